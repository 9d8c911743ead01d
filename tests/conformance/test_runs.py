"""The guarantees of every host for runs; the same tests run on each."""

import uuid
from itertools import pairwise
from typing import Any

import pytest
from tests.conformance.client import Client
from tests.conformance.hosts import Host

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def action_of(run: dict[str, Any]) -> str:
    [action] = run["required_actions"]
    return action["id"]


def ledger(host: Host) -> list[str]:
    path = host.folder / "ledger"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_a_run_completes_and_its_events_have_no_gap(client: Client) -> None:
    run_id = client.submit("talk")

    streamed = list(client.stream(run_id))

    run = client.until(run_id)
    assert (run["status"], run["output"]["text"]) == ("completed", "four DONE")
    assert [event["seq"] for event in streamed] == list(range(1, len(streamed) + 1))
    assert client.events(run_id) == streamed
    assert types(streamed)[0] == "run.queued"
    assert types(streamed)[-1] == "run.completed"
    assert all(a["time"] <= b["time"] for a, b in pairwise(streamed))
    result = client.http.get(f"/v1/runs/{run_id}/result").json()
    assert result["output"] == run["output"]
    assert result["usage"]["model_calls"] == 4


def test_a_stream_is_resumed_behind_any_event(client: Client) -> None:
    run_id = client.submit("talk")
    whole = list(client.stream(run_id))

    for event in whole[::3]:
        assert list(client.stream(run_id, after=event["id"])) == whole[event["seq"] :]


def test_the_same_key_is_the_same_run(client: Client) -> None:
    key = uuid.uuid4().hex
    first, second = client.submit("talk", key=key), client.submit("talk", key=key)

    assert first == second
    assert client.until(first)["status"] == "completed"
    answer = client.http.post(
        "/v1/runs", json={"team": "talk", "input": "other"}, headers={"Idempotency-Key": key}
    )
    assert answer.status_code == 422


def test_a_person_answers(client: Client) -> None:
    run_id = client.submit("ask")
    waiting = client.until(run_id, "input_required")

    client.post(run_id, "input", {"action_id": action_of(waiting), "content": "blue"})

    run = client.until(run_id)
    assert run["status"] == "completed"
    said = [
        e["data"]["message"]["content"] for e in client.events(run_id) if "message" in e["data"]
    ]
    assert said == ["go", "blue", "one"]


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_tool_is_called_only_when_it_is_approved(
    client: Client, host: Host, decision: str
) -> None:
    before = len(ledger(host))
    run_id = client.submit("pay")
    waiting = client.until(run_id, "input_required")
    assert len(ledger(host)) == before

    client.post(run_id, "input", {"action_id": action_of(waiting), "decision": decision})

    assert client.until(run_id)["status"] == "completed"
    assert len(ledger(host)) - before == (decision == "approve")


@pytest.mark.parametrize("mode", ["graceful", "now"])
def test_a_cancel_ends_the_run(client: Client, mode: str) -> None:
    run_id = client.submit("nap")
    for event in client.stream(run_id):
        if event["type"] == "tool.call.requested":
            break

    client.post(run_id, "cancel", {"mode": mode})

    run = client.until(run_id)
    assert (run["status"], run["stop_code"]) == ("cancelled", "cancelled")
    completed = types(client.events(run_id)).count("tool.call.completed")
    assert completed == (mode == "graceful")


def test_a_run_is_paused_and_resumed(client: Client) -> None:
    run_id = client.submit("nap")
    client.post(run_id, "pause")
    client.until(run_id, "paused")

    client.post(run_id, "resume")

    assert client.until(run_id)["status"] == "completed"


def test_a_limit_ends_the_run_with_what_it_has(client: Client) -> None:
    run_id = client.submit("talk", limits={"max_model_calls": 2})

    run = client.until(run_id)

    assert (run["status"], run["stop_code"]) == ("incomplete", "max_model_calls")
    assert run["output"]["text"] == "two"


def test_a_scheduled_run_begins_by_itself(client: Client) -> None:
    run_id = client.submit("talk", delay_seconds=1)
    assert client.run(run_id)["status"] == "scheduled"

    assert client.until(run_id)["status"] == "completed"


def test_a_fork_pays_nothing_again_and_a_retry_begins_anew(client: Client) -> None:
    run_id = client.submit("talk")
    events = list(client.stream(run_id))
    second = [event for event in events if event["type"] == "turn.completed"][1]

    fork = client.until(client.post(run_id, "fork", {"after_seq": second["seq"]})["id"])
    retry = client.until(client.post(run_id, "retry")["id"])

    assert fork["forked_from"] == {"run_id": run_id, "after_seq": second["seq"]}
    assert (fork["status"], fork["usage"]["model_calls"]) == ("completed", 2)
    assert (retry["status"], retry["usage"]["model_calls"]) == ("completed", 4)


def test_files_are_kept_and_a_deleted_run_is_gone(client: Client) -> None:
    run_id = client.submit("files")
    assert client.until(run_id)["artifacts_count"] == 1
    assert client.http.get(f"/v1/runs/{run_id}/artifacts/note.txt").content == b"kept"

    assert client.http.delete(f"/v1/runs/{run_id}").status_code == 204

    for part in ("", "/events", "/result", "/artifacts/note.txt"):
        assert client.http.get(f"/v1/runs/{run_id}{part}").status_code == 404


@pytest.mark.parametrize("ending", ["replace", "lose"])
def test_a_run_continues_after_the_end_of_its_process(
    client: Client, host: Host, ending: str
) -> None:
    run_id = client.submit("nap")
    for event in client.stream(run_id):
        if event["type"] == "tool.call.requested":
            break

    getattr(host, ending)()

    run = client.until(run_id)
    assert (run["status"], run["output"]["text"]) == ("completed", "rested")
    events = client.events(run_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert types(events).count("run.started") == 1


@pytest.mark.parametrize("ending", ["replace", "lose"])
def test_an_effect_happens_once_although_its_process_ends(
    client: Client, host: Host, ending: str
) -> None:
    before = len(ledger(host))
    run_id = client.submit("pay")
    waiting = client.until(run_id, "input_required")

    getattr(host, ending)()
    client.post(run_id, "input", {"action_id": action_of(waiting), "decision": "approve"})

    assert client.until(run_id)["status"] == "completed"
    assert len(ledger(host)) == before + 1
