"""Errors on the command line: they name options, and are JSON with `--json`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import LEAVES
from tests.support.scripted_api import Given, scripted_api
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun.cli.command import in_options
from teamrun.cli.problem import wants_json
from teamrun.client import InvalidRequestError
from teamrun.errors import TeamrunError, UsageError

FAULTS: list[tuple[list[str], dict[str, str], str]] = [
    (["batch", "F", "-t", "t"], {"pointer": "/max_failure_rate"}, "--max-failure-rate"),
    (["batch", "F", "-t", "t"], {"pointer": "/limits/max_cost_usd"}, "--max-cost-usd"),
    (["batch", "F", "-t", "t"], {"pointer": "/tags/0"}, "--tag"),
    (["batch", "F", "-t", "t"], {"pointer": "/metadata/team"}, "--metadata"),
    (["batch", "F", "-t", "t"], {"pointer": "/team_spec/agents/0"}, "--team"),
    (["batch", "F", "-t", "t"], {"pointer": "/webhook/url"}, "--webhook must"),
    (["batch", "F", "-t", "t"], {"pointer": "/webhook/events/0"}, "--webhook-events at /0"),
    (["batch", "s3://b/x", "-t", "t"], {"pointer": "/input_url"}, "FILE"),
    (["batch", "F", "-t", "t"], {"header": "Authorization"}, "--api-key"),
    (["submit", "t", "x"], {"pointer": "/overrides/max_turns"}, "--max-turns"),
    (["submit", "t", "x"], {"pointer": "/team"}, "TEAM"),
    (["submit", "t", "x"], {"pointer": "/input"}, "TASK"),
    (["submit", "t", "x"], {"header": "Idempotency-Key"}, "--idempotency-key"),
    (["runs"], {"parameter": "status"}, "--status"),
    (["say", "r", "x"], {"pointer": "/content"}, "TEXT"),
    (["fork", "r", "--after", "1"], {"pointer": "/after_seq"}, "--after"),
    (["webhooks", "create", "http://x"], {"pointer": "/url"}, "URL"),
    (["webhooks", "create", "http://x"], {"pointer": "/events/3"}, "--events"),
    (["webhooks", "trigger", "w"], {"pointer": "/type"}, "--event"),
]


def refusal(**place: str) -> Given:
    field = next(iter(place.values())).rpartition("/")[2]
    fault = {**place, "detail": f"`{field}` must be smaller.", "code": "less_than"}
    problem = {"code": "invalid_body", "detail": fault["detail"], "errors": [fault]}
    return Given(422, json.dumps(problem).encode())


@pytest.mark.parametrize(("arguments", "place", "option"), FAULTS)
def test_a_field_that_the_server_refuses_is_named_as_its_option(
    arguments: list[str], place: dict[str, str], option: str, tmp_path: Path
) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"input": "a"}\n', encoding="utf-8")
    arguments = [str(tasks) if each == "F" else each for each in arguments]
    with scripted_api(refusal(**place)) as api:
        error = CliRunner().invoke(app, [*arguments, "--url", api.url]).exception

    assert isinstance(error, InvalidRequestError)
    assert str(error).startswith(option)
    [fault] = error.data["errors"]
    assert fault["option"] == option.split()[0]
    assert {**fault, **place} == fault


OPTIONS = {"limit": "--limit", "on_invalid": "--on-invalid", "team": "--team"}


def test_fields_in_a_text_become_options_and_other_words_stay() -> None:
    error = UsageError("Use `on_invalid: skip`, or `limit`, `other` or limit.")

    assert str(in_options(error, OPTIONS)) == (
        "Use `--on-invalid skip`, or --limit, `other` or limit."
    )


def test_an_error_without_fields_is_the_same_error() -> None:
    error = TeamrunError("The server is away.")

    assert in_options(error, OPTIONS) is error


def test_a_place_inside_a_value_is_kept_and_its_words_are_not_options() -> None:
    fault = {"pointer": "/team/agents/0/limit", "detail": "`limit` is not known.", "code": "c"}

    told = in_options(UsageError("D.", errors=[fault]), OPTIONS)

    assert str(told) == "--team at /agents/0/limit: `limit` is not known."


def test_several_faults_are_a_list() -> None:
    faults = [
        {"pointer": "/limit", "detail": "`limit` must be smaller.", "code": "c"},
        {"pointer": "/team", "detail": "There is no team 'x'.", "code": "c"},
    ]

    told = str(in_options(UsageError("D.", errors=faults), OPTIONS))

    assert told.splitlines()[1:] == [
        "  --limit must be smaller.",
        "  --team: There is no team 'x'.",
    ]


def test_a_missing_key_names_the_option_and_its_variable() -> None:
    detail = "Send the API key as `Authorization: Bearer <key>`."
    refused = Given(401, json.dumps({"code": "unauthenticated", "detail": detail}).encode())
    with scripted_api(refused) as api:
        told = str(CliRunner().invoke(app, ["runs", "--url", api.url]).exception)

    assert "--api-key or TEAMRUN_API_KEY" in told
    assert "Bearer" not in told


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["run", "t", "x", "--max-cost-usd", "-1"], "--max-cost-usd"),
        (["run", "t", "x", "--max-turns", "0"], "--max-turns"),
        (["batch", "tasks.jsonl", "-t", "t", "--local", "--max-failure-rate", "2"], "--max-fail"),
    ],
)
def test_a_run_in_this_process_names_options_too(
    arguments: list[str], option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tasks.jsonl").write_text('{"input": "a"}\n', encoding="utf-8")
    Path("teamrun.yaml").write_text("version: 1\nteams: {}\n", encoding="utf-8")

    error = CliRunner().invoke(app, arguments).exception

    assert isinstance(error, UsageError)
    assert str(error).startswith(option)


@pytest.mark.parametrize(
    ("arguments", "environ", "wanted"),
    [
        (["runs"], {}, False),
        (["runs", "--json"], {}, True),
        (["runs", "--json", "--no-json"], {}, False),
        (["say", "r", "--", "--json"], {}, False),
        (["runs"], {"TEAMRUN_JSON": "1"}, True),
        (["runs"], {"TEAMRUN_JSON": "off"}, False),
        (["runs", "--no-json"], {"TEAMRUN_JSON": "true"}, False),
    ],
)
def test_json_is_asked_for_by_an_option_or_a_variable(
    arguments: list[str], environ: dict[str, str], wanted: bool
) -> None:
    assert wants_json(arguments, environ) is wanted


def test_every_command_that_ends_takes_the_option() -> None:
    without = {name for name, leaf in LEAVES.items() if "--json" not in _options(leaf)}

    assert without == {"serve", "api", "worker", "mcp"}  # processes, which have --log-format


def _options(leaf: Any) -> list[str]:
    return [name for param in leaf.params for name in param.opts]


def problem(*arguments: str, folder: Path, stdout: int = subprocess.PIPE) -> dict[str, Any]:
    """The problem in the last line of stderr, and the exit status of the process."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TEAMRUN_")}
    done = subprocess.run(
        [sys.executable, "-m", "teamrun", *arguments, "--json"],
        cwd=folder,
        env={**clean, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert not done.stdout
    found = json.loads(done.stderr.splitlines()[-1])
    return {"exit": done.returncode, **found}


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("fly",), 2, "usage"),
        (("runs", "--limit", "x"), 2, "usage"),
        (("runs", "--url", "http://["), 2, "usage"),
        (("runs", "--url", "http://127.0.0.1:9"), 1, "server_unreachable"),
        (("batch", "absent.jsonl", "--team", "t"), 2, "usage"),
        (("check",), 2, "invalid_definition"),
    ],
)
def test_an_error_is_one_line_of_json_with_the_same_status(
    arguments: tuple[str, ...], status: int, code: str, tmp_path: Path
) -> None:
    found = problem(*arguments, folder=tmp_path)

    assert (found["exit"], found["code"]) == (status, code)
    assert found["type"] == f"urn:teamrun:problem:{code}"
    assert found["detail"]


def test_the_problem_of_the_server_is_passed_on(tmp_path: Path) -> None:
    fault = {"pointer": "/team", "detail": "No.", "code": "unknown_team"}
    body = {"code": "unknown_team", "detail": "No.", "request_id": "req_1", "errors": [fault]}
    with scripted_api(Given(422, json.dumps(body).encode())) as api:
        found = problem("submit", "t", "x", "--url", api.url, folder=tmp_path)

    assert found == {
        "exit": 2,
        "type": "urn:teamrun:problem:unknown_team",
        "status": 422,
        **body,
        "errors": [{**fault, "option": "TEAM"}],
    }


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_full_disk_is_a_problem_too(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        found = problem("version", folder=tmp_path, stdout=full.fileno())

    assert (found["exit"], found["code"]) == (1, "unwritable")
