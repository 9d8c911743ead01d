"""`teamrun webhooks listen` with named runs: its outcomes and its status."""

import json
from typing import Any

import pytest
from tests.support.receiver import Reply, receiving
from tests.support.scripted_api import Given, scripted_api
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun.client import RunNotFoundError
from teamrun.json_types import JsonObject
from teamrun.webhooks.secret import new_secret

_SECRET = Given(200, json.dumps({"secret": new_secret()}).encode())
_EVENT: JsonObject = {
    "id": "run_1-1",
    "seq": 1,
    "type": "run.completed",
    "time": "2026-03-31T08:00:00Z",
    "run_id": "run_1",
    "data": {},
}
_STREAM = Given(
    200,
    f"id: run_1-1\nevent: run.completed\ndata: {json.dumps(_EVENT)}\n\n".encode()
    + b'event: end\nid: run_1-1\ndata: {"run_id": "run_1", "status": "completed"}\n\n',
    {"Content-Type": "text/event-stream"},
)


def listen(answer: Given, receiver: str) -> Any:
    with scripted_api(_SECRET, answer) as api:
        options = ["--forward", receiver, "--json", "--url", api.url]
        return CliRunner().invoke(app, ["webhooks", "listen", "run_1", *options])


def outcomes(done: Any) -> list[str]:
    return [json.loads(line)["outcome"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("status", "exit_code"), [(204, 0), (500, 1)])
def test_the_status_says_whether_the_receiver_accepted(status: int, exit_code: int) -> None:
    with receiving() as receiver:
        receiver.replies.append(Reply(status))
        done = listen(_STREAM, receiver.url)

    assert (outcomes(done), done.exit_code) == ([str(status)], exit_code)


def test_a_receiver_that_cannot_be_reached_is_a_failed_connection() -> None:
    done = listen(_STREAM, "http://127.0.0.1:9/hook")

    assert (outcomes(done), done.exit_code) == (["connection_failed"], 1)


def test_a_run_that_does_not_exist_is_an_error() -> None:
    problem = {"code": "run_not_found", "detail": "Run 'run_1' does not exist."}
    done = listen(Given(404, json.dumps(problem).encode()), "http://127.0.0.1:9/hook")

    assert isinstance(done.exception, RunNotFoundError)
    assert done.stdout == ""
