"""The normal form of what is compared between hosts.

What differs from run to run is replaced by `*`: times and durations, ids of runs, traces, batches
and messages, ports of servers of the test, and two numbers of the log that depend on who executes
a run (`revision`, `epoch`).
Everything else is compared: the types of events, their order, their data, and the run's fields.
"""

import json
import re
from typing import Any, cast

from tests.conformance.client import ENDED, Client

__all__ = ["batch_record", "normal", "record_of"]

Json = dict[str, Any]

_FREE = {
    "time", "created_at", "queued_at", "started_at", "finished_at", "updated_at", "expires_at",
    "run_at", "retry_at", "deadline", "duration_ms", "revision", "epoch", "trace_id",
}  # fmt: skip
_IDS = re.compile(r"\b(run|bat|whe|msg|file)_[0-9a-f]{32}\b")
_UUID = re.compile(r"\b[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b")
_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
_IN_SECONDS = {"deadline", "timeout_seconds"}
"""Kinds of limits that count seconds."""


def normal(value: Any, name: str = "") -> Any:
    """A value without what differs from run to run."""
    if name in _FREE and value is not None:
        return "*"
    if isinstance(value, dict):
        fields = cast(Json, value)
        if fields.get("kind") in _IN_SECONDS:
            fields = {**fields, "used": "*", "limit": "*"}
        return {key: normal(each, key) for key, each in fields.items()}
    if isinstance(value, list):
        return [normal(each) for each in cast("list[Any]", value)]
    if isinstance(value, str):
        return _ADDRESS.sub("127.0.0.1:*", _UUID.sub("*", _IDS.sub(r"\1_*", value)))
    return value


def record_of(client: Client, run_id: str) -> Json:
    """A run that has ended: its events, its view and its result."""
    run = client.until(run_id, *ENDED)
    events = client.events(run_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["id"] for event in events] == [f"{run_id}-{event['seq']}" for event in events]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    return {
        "events": [
            {name: normal(event[name]) for name in ("type", "agent", "data")} for event in events
        ],
        "run": normal(run),
        "result": normal(client.get(f"/v1/runs/{run_id}/result")),
    }


def batch_record(client: Client, batch_id: str) -> Json:
    """A batch that has ended: its events, its view and its results.

    How many items have ended when progress is reported depends on who executes them; only the
    reports are left out, and their numbers must increase.
    """
    batch = client.until(batch_id, path="/v1/batches")
    events = client.events(batch_id, path="/v1/batches")
    answer = client.http.get(f"/v1/batches/{batch_id}/results")
    reports = [event for event in events if event["type"] == "batch.progressed"]
    ended = [event["data"]["ended"] for event in reports]
    assert ended == sorted(set(ended)), ended
    return {
        "events": [
            {name: normal(event[name]) for name in ("type", "data")}
            for event in events
            if event not in reports
        ],
        "batch": normal(batch),
        "results": [json.loads(line) for line in answer.text.splitlines()],
    }
