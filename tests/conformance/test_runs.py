"""What every host promises about a run beyond its events."""

import uuid

import pytest
from tests.conformance.client import Client

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def test_the_same_key_is_the_same_run_also_after_its_end(client: Client) -> None:
    key, body = uuid.uuid4().hex, {"team": "talk", "input": "go"}
    first = client.create("/v1/runs", body, key=key)
    second = client.create("/v1/runs", body, key=key)
    run_id = first.json()["id"]
    ended = client.until(run_id)

    third = client.create("/v1/runs", body, key=key)
    other = client.create("/v1/runs", {**body, "input": "other"}, key=key)

    assert [answer.json()["id"] for answer in (second, third)] == [run_id, run_id]
    assert [answer.headers["idempotency-replayed"] for answer in (second, third)] == ["true"] * 2
    assert other.status_code == 422
    assert client.run(run_id) == ended


def test_a_deleted_run_is_gone(client: Client) -> None:
    key, body = uuid.uuid4().hex, {"team": "files", "input": "go"}
    run_id = client.create("/v1/runs", body, key=key).json()["id"]
    assert client.until(run_id)["artifacts_count"] == 1

    assert client.http.delete(f"/v1/runs/{run_id}").status_code == 204

    for part in ("", "/events", "/result", "/artifacts/note.txt"):
        assert client.http.get(f"/v1/runs/{run_id}{part}").status_code == 404
    assert client.create("/v1/runs", body, key=key).status_code == 410
