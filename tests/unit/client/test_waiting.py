"""Waiting for runs over real HTTP: long polls until the end, a question, or the time is over."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.scripted_api import Given, scripted_api
from tests.unit.client.both import Way, with_both_clients

from teamrun.client import RunNotFoundError, WaitTimeoutError
from teamrun.client.calls import waiting
from teamrun.client.requests import Pause, Reply, Request

ROOT = Path(__file__).parents[3]
RUN: dict[str, Any] = json.loads(
    (ROOT / "docs/reference/openapi.json").read_text(encoding="utf-8")
)["components"]["examples"]["RunQueued"]["value"]


def run(status: str, revision: int = 1) -> Given:
    body = {**RUN, "id": "r", "status": status, "revision": revision}
    return Given(200, json.dumps(body).encode())


@with_both_clients
@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "input_required", "paused"])
def test_a_wait_is_over_when_the_run_has_ended_or_rests(send: Way, status: str) -> None:
    with scripted_api(run("running"), run(status, 2)) as api:
        found = send(api.url, waiting.wait("r"))

    assert found.status == status
    assert [each.headers.get("prefer") for each in api.asked] == [None, "wait=30"]
    assert api.asked[1].headers.get("if-none-match") is None


@with_both_clients
def test_a_wait_for_the_end_passes_a_question(send: Way) -> None:
    answers = [run("input_required", 4), run("running", 5), run("completed", 6)]
    with scripted_api(*answers) as api:
        found = send(api.url, waiting.wait("r", until="end"))

    assert found.status == "completed"
    known = [each.headers.get("if-none-match") for each in api.asked]
    assert known == [None, '"r4"', None]


@with_both_clients
def test_a_run_that_needs_too_long_is_named(send: Way) -> None:
    with scripted_api(run("running")) as api, pytest.raises(WaitTimeoutError) as raised:
        send(api.url, waiting.wait("r", timeout=0))

    assert isinstance(raised.value, TimeoutError)
    assert (raised.value.id, raised.value.status) == ("r", "running")


@with_both_clients
def test_submit_and_wait_needs_one_request_for_a_quick_run(send: Way) -> None:
    with scripted_api(run("completed")) as api:
        found = send(api.url, waiting.submit_and_wait("t", "Go", tags=["a"], timeout=9))

    assert found.status == "completed"
    assert api.asked[0].headers["prefer"] == "wait=9"
    assert json.loads(api.asked[0].body) == {"team": "t", "input": "Go", "tags": ["a"]}


@with_both_clients
def test_submit_and_wait_follows_a_slow_run(send: Way) -> None:
    answers = [run("queued"), run("completed", 2)]
    with scripted_api(*answers) as api:
        found = send(api.url, waiting.submit_and_wait("t", "Go"))

    assert (found.status, found.revision) == ("completed", 2)
    assert [each.method for each in api.asked] == ["POST", "GET"]


@with_both_clients
def test_a_run_that_is_not_there_is_not_waited_for(send: Way) -> None:
    gone = Given(404, json.dumps({"code": "run_not_found"}).encode())
    with scripted_api(gone) as api, pytest.raises(RunNotFoundError):
        send(api.url, waiting.wait("r"))


def test_a_server_that_grants_no_wait_is_not_asked_without_pause() -> None:
    journey = waiting.wait("r")
    request = next(journey)
    assert isinstance(request, Request)
    reply = run("running")
    running = request.read(Reply(reply.status, {}, reply.body))
    poll = journey.send(running)

    assert isinstance(poll, Request)
    assert isinstance(journey.send(running), Pause)
