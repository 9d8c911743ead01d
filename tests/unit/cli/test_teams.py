"""`teamrun teams`: push, show, versions, diff; the first word alone lists."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.scripted_api import Given, scripted_api
from typer.testing import CliRunner, Result

from teamrun.cli.app import app
from teamrun_api.examples import EXAMPLES

TEAM, VERSION = EXAMPLES["StoredTeam"], EXAMPLES["Version"]


def answer(value: Any, status: int = 200) -> Given:
    return Given(status, json.dumps(value).encode())


def problem(status: int, code: str, **more: Any) -> Given:
    body = {"title": "t", "detail": "d", "code": code, "status": status, **more}
    return answer(body, status)


def typed(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["teams", *arguments, "--url", url])


def test_the_first_word_alone_lists_all_pages() -> None:
    pages = [
        {"data": [TEAM], "next_cursor": "c", "has_more": True},
        {"data": [{**TEAM, "name": "poem"}], "next_cursor": None, "has_more": False},
    ]
    with scripted_api(*map(answer, pages)) as api:
        done = typed(api.url)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["haiku", "poem"]


def test_push_registers_a_team_that_does_not_exist_and_moves_an_alias(tmp_path: Path) -> None:
    file = tmp_path / "haiku.json"
    file.write_text('{"type": "x"}', encoding="utf-8")
    answers = [problem(404, "team_not_found"), answer(TEAM, 201), answer(TEAM)]
    with scripted_api(*answers) as api:
        done = typed(api.url, "push", "haiku", str(file), "--comment", "c", "--alias", "live")
    assert (done.exit_code, done.stdout) == (0, "haiku@2\n")
    sent = [(each.method, each.path, json.loads(each.body)) for each in api.asked]
    version = {"team_spec": {"type": "x"}, "comment": "c"}
    assert sent == [
        ("POST", "/v1/teams/haiku/versions", version),
        ("POST", "/v1/teams", {"name": "haiku", **version}),
        ("PUT", "/v1/teams/haiku/aliases/live", {"version": 2}),
    ]


def test_push_prints_the_line_of_each_fault(tmp_path: Path) -> None:
    file = tmp_path / "haiku.json"
    file.write_text('{\n  "type": "x",\n  "participants": []\n}', encoding="utf-8")
    fault = {"pointer": "/team_spec/participants", "code": "invalid_definition", "detail": "None."}
    with scripted_api(problem(422, "invalid_definition", errors=[fault])) as api:
        done = typed(api.url, "push", "haiku", str(file))
    assert "haiku.json:3: /participants: None." in str(done.exception)


def test_submit_prints_the_line_of_each_fault_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "haiku.json"
    file.write_text('{\n  "type": "x",\n  "participants": []\n}', encoding="utf-8")
    fault = {"pointer": "/team_spec/participants", "code": "invalid_definition", "detail": "None."}
    with scripted_api(problem(422, "invalid_definition", errors=[fault])) as api:
        arguments = ["submit", str(file), "x", "--url", api.url]
        error = CliRunner().invoke(app, arguments).exception
    assert "haiku.json:3: /participants: None." in str(error)


def test_push_takes_only_json() -> None:
    done = typed("http://127.0.0.1:1", "push", "haiku", "haiku.yaml")
    assert "not a .json file" in str(done.exception)


def test_show_prints_the_version_that_is_named() -> None:
    with scripted_api(answer(VERSION), answer(TEAM)) as api:
        done = typed(api.url, "show", "haiku@production")
    assert [each.path for each in api.asked] == [
        "/v1/teams/haiku/versions/production",
        "/v1/teams/haiku",
    ]
    assert done.stdout.startswith("haiku@2  team_")
    assert f"  revision {TEAM['revision']}\n" in done.stdout
    assert '"poet"' in done.stdout


@pytest.mark.parametrize(
    ("arguments", "example", "expected"),
    [
        (["versions", "haiku"], "Versions", "2\t2026-03-31 08:00:00\tproduction\t2c26b46b68ff"),
        (
            ["diff", "haiku", "1"],
            "TeamDiff",
            '~ /participants/0/system_message "Write a haiku." -> "Write a haiku on the topic."',
        ),
        (["alias", "haiku", "production", "2"], "StoredTeam", "haiku@production is haiku@2"),
        (["graph", "haiku@2"], "TeamGraph", "flowchart TD\n"),
    ],
)
def test_what_else_is_printed(arguments: list[str], example: str, expected: str) -> None:
    value = EXAMPLES[example]
    given = {**value, "has_more": False} if example == "Versions" else value
    with scripted_api(answer(given)) as api:
        done = typed(api.url, *arguments)
    assert done.stdout.startswith(expected), done.exception
    with scripted_api(answer(given)) as api:
        assert json.loads(typed(api.url, *arguments, "--json").stdout) == given


def test_show_refuses_an_at_sign_without_a_version() -> None:
    with scripted_api() as api:
        done = typed(api.url, "show", "haiku@")
    assert (done.exit_code, "no version after the '@'" in done.stderr) == (2, True)


def test_a_change_can_name_the_revision_that_it_is_based_on(tmp_path: Path) -> None:
    file = tmp_path / "haiku.json"
    file.write_text('{"type": "x"}', encoding="utf-8")
    given = ("--revision", "3")
    for words, reply in (
        (("delete", "haiku", *given), Given(204, b"")),
        (("alias", "haiku", "production", "2", *given), answer(TEAM)),
        (("push", "haiku", str(file), *given), answer(VERSION, 201)),
    ):
        with scripted_api(reply) as api:
            done = typed(api.url, *words)
        assert (done.exit_code, api.asked[0].headers["if-match"]) == (0, '"v3"')


def test_push_of_a_revision_registers_no_team(tmp_path: Path) -> None:
    file = tmp_path / "haiku.json"
    file.write_text('{"type": "x"}', encoding="utf-8")
    with scripted_api(problem(404, "team_not_found"), answer(TEAM, 201)) as api:
        done = typed(api.url, "push", "haiku", str(file), "--revision", "3")
    assert (len(api.asked), done.exit_code != 0) == (1, True)


def test_a_revision_is_of_one_team() -> None:
    done = typed("http://127.0.0.1:1", "delete", "haiku", "poem", "--revision", "3")
    assert "--revision is of one team" in str(done.exception)


def test_delete_prints_the_name() -> None:
    with scripted_api(Given(204, b"")) as api:
        assert typed(api.url, "delete", "haiku").stdout == "haiku\n"
