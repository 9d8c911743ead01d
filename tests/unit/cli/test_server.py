"""The commands and a server that answers in one way or another: output and exit statuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.scripted_api import Given, scripted_api
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun.cli.server import POLICY
from teamrun.client import InvalidAnswerError, RunNotFoundError, ServerUnreachableError
from teamrun.errors import TeamrunError, Unavailable, UsageError

ROOT = Path(__file__).parents[3]
EXAMPLES: dict[str, Any] = json.loads(
    (ROOT / "docs/reference/openapi.json").read_text(encoding="utf-8")
)["components"]["examples"]
RUN = json.dumps({**EXAMPLES["RunEnded"]["value"], "added_later": 1})
RUN_ID = EXAMPLES["RunEnded"]["value"]["id"]


def invoke(url: str, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--url", url])


def problem(status: int, code: str) -> Given:
    return Given(status, json.dumps({"code": code, "detail": "D."}).encode())


SENT: list[tuple[tuple[str, ...], dict[str, Any], str]] = [
    (("submit", "analysts", "Go", "--tag", "a"), {"input": "Go", "tags": ["a"]}, RUN_ID),
    (("cancel", "r", "--graceful"), {"mode": "graceful"}, "completed"),
    (("pause", "r"), {}, "completed"),
    (("resume", "r", "--max-cost-usd", "2"), {"limits": {"max_cost_usd": "2"}}, "completed"),
    (("say", "r", "Hello"), {"content": "Hello", "source": "user"}, "completed"),
    (("retry", "r", "--from", "here"), {"from": "here"}, RUN_ID),
    (("fork", "r", "--after", "3", "--say", "x"), {"after_seq": 3, "input": "x"}, RUN_ID),
]


@pytest.mark.parametrize(("arguments", "body", "shown"), SENT, ids=[each[0][0] for each in SENT])
def test_a_command_sends_its_request_and_prints_one_line(
    arguments: tuple[str, ...], body: dict[str, Any], shown: str
) -> None:
    with scripted_api(Given(202, RUN.encode())) as api:
        done = invoke(api.url, *arguments)

    assert (done.exit_code, done.stdout) == (0, f"{shown}\n")
    assert body.items() <= json.loads(api.asked[0].body).items()
    assert api.asked[0].headers["idempotency-key"]


@pytest.mark.parametrize("arguments", [each[0] for each in SENT], ids=[each[0][0] for each in SENT])
def test_json_is_printed_as_the_server_sent_it(arguments: tuple[str, ...]) -> None:
    with scripted_api(Given(202, RUN.encode())) as api:
        done = invoke(api.url, *arguments, "--json")

    assert (done.exit_code, done.stdout) == (0, f"{RUN}\n")


FAILED = [
    (problem(404, "run_not_found"), RunNotFoundError, UsageError),
    (problem(409, "run_ended"), UsageError, UsageError),
    (problem(401, "unauthenticated"), UsageError, UsageError),
    (Given(500), Unavailable, Unavailable),
    (Given(200, b"<html>"), InvalidAnswerError, TeamrunError),
]


@pytest.mark.parametrize(("answer", "kind", "parent"), FAILED)
def test_an_error_of_the_request_is_wrong_use_and_others_are_not(
    answer: Given, kind: type[TeamrunError], parent: type[TeamrunError]
) -> None:
    with scripted_api(answer) as api:
        error = invoke(api.url, "pause", "r").exception

    assert isinstance(error, kind)
    assert isinstance(error, UsageError) == (parent is UsageError)


def test_a_wrong_url_is_not_tried_twice() -> None:
    assert POLICY.delay(ServerUnreachableError("m"), 0) is None
    with scripted_api() as api:
        url = api.url
    for command in (("teams",), ("watch", "r")):
        assert isinstance(invoke(url, *command).exception, ServerUnreachableError)


def test_the_variable_of_a_proxy_that_is_invalid_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:HUNTER2@:x")

    error = invoke("http://api.example.invalid", "teams").exception

    assert isinstance(error, UsageError)
    assert "HTTP_PROXY" in str(error)
    assert "HUNTER2" not in str(error)
