"""The routes below a run that change it or continue it: the rules that all of them share."""

from typing import Any

import pytest
from tests.support.api import key, world

NEW_RUNS: dict[str, dict[str, Any]] = {"fork": {"after_seq": 1}, "retry": {"from": "start"}}
SIGNALS: dict[str, dict[str, Any]] = {
    "input": {"action_id": "a", "content": "x"},
    "messages": {"content": "x"},
    "pause": {},
    "resume": {},
}
BODIES = {**NEW_RUNS, **SIGNALS}


@pytest.mark.parametrize("route", BODIES)
async def test_an_unknown_run_is_404_and_an_invalid_key_400(route: str) -> None:
    async with world() as w:
        answer = await w.client.post(f"/v1/runs/run_0/{route}", json=BODIES[route])
        assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")
        run_id = await (w.ended() if route in NEW_RUNS else w.submit())
        headers = {"Idempotency-Key": "k" * 256}
        answer = await w.client.post(
            f"/v1/runs/{run_id}/{route}", json=BODIES[route], headers=headers
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")


@pytest.mark.parametrize("route", BODIES)
async def test_the_scope_and_the_tenant_of_the_run_are_needed(route: str) -> None:
    keys = (
        key("write", "runs:write", name="a"),
        key("read", "runs:read", name="b"),
        key("other", "runs:write", name="c", tenant="other"),
    )
    expected = {"read": 403, "other": 404} | ({"write": 202} if route in NEW_RUNS else {})
    async with world(api_keys=keys) as w:
        submitted = await w.client.post(
            "/v1/runs",
            json={"team": "writers", "input": "Go"},
            headers={"Authorization": "Bearer write"},
        )
        if route in NEW_RUNS:
            await w.execute()
        url = f"/v1/runs/{submitted.json()['id']}/{route}"
        for token, status in expected.items():
            headers = {"Authorization": f"Bearer {token}"}
            answer = await w.client.post(url, json=BODIES[route], headers=headers)
            assert answer.status_code == status


@pytest.mark.parametrize("route", SIGNALS)
async def test_a_run_that_has_ended_takes_no_signals(route: str) -> None:
    async with world() as w:
        run_id = await w.ended()
        answer = await w.client.post(f"/v1/runs/{run_id}/{route}", json=SIGNALS[route])
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "run_ended")
        assert problem["run_id"] == run_id
