"""Forks and retries: new runs that continue another one."""

from typing import Any

import pytest
from tests.support.api import World, serve, world
from tests.unit.api.test_actions import NEW_RUNS

UNWRITTEN: dict[str, Any] = {
    "type": "round_robin_group_chat",
    "participants": [{"type": "assistant_agent", "name": "nobody", "model": "default"}],
}
"""A team whose only call fails: nothing is written for its agent."""


async def failed(w: World) -> str:
    answer = await w.client.post("/v1/runs", json={"team_spec": UNWRITTEN, "input": "Go"})
    await w.execute()
    run = (await w.client.get(answer.headers["location"])).json()
    assert (run["status"], run["error"]["code"]) == ("failed", "model_error")
    return run["id"]


async def events(w: World, run_id: str) -> list[dict[str, Any]]:
    return (await w.client.get(f"/v1/runs/{run_id}/events?limit=999")).json()["data"]


@pytest.mark.parametrize("route", NEW_RUNS)
def test_the_answer_is_202_with_a_new_run_and_its_place(route: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended(metadata={"customer": "42"})
            answer = await w.client.post(f"/v1/runs/{run_id}/{route}", json=NEW_RUNS[route])
            run = answer.json()
            assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
            assert answer.headers["location"] == f"/v1/runs/{run['id']}" == run["urls"]["self"]
            assert answer.headers["etag"] == f'"r{run["revision"]}"'
            assert (run["status"], run["parent_run_id"]) == ("queued", run_id)
            assert (run["id"] == run_id, run["metadata"]) == (False, {"customer": "42"})
            await w.execute()
            child = (await w.client.get(answer.headers["location"])).json()
            assert (child["status"], child["usage"]["model_calls"]) == ("completed", 4)
            parent = (await w.client.get(f"/v1/runs/{run_id}")).json()
            assert parent["urls"][route] == f"/v1/runs/{run_id}/{route}"

    serve(scenario())


def test_a_fork_repeats_no_calls_and_gets_its_message() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended(limits={"max_model_calls": 2})
            assert (await w.client.get(f"/v1/runs/{run_id}")).json()["status"] == "incomplete"
            last = (await events(w, run_id))[-1]["seq"]
            body = {"after_seq": last, "input": {"content": "Go on."}, "limits": {"max_turns": 5}}
            answer = await w.client.post(f"/v1/runs/{run_id}/fork", json=body)
            run = answer.json()
            assert run["forked_from"] == {"run_id": run_id, "after_seq": last}
            assert (run["limits"]["max_turns"], run["limits"]["max_model_calls"]) == (5, None)
            await w.execute()
            result = (await w.client.get(f"{answer.headers['location']}/result")).json()
            assert (result["status"], result["usage"]["model_calls"]) == ("completed", 2)
            assert [m["content"] for m in result["messages"]] == [
                "Go",
                "It is noted.",
                "Go on.",
                "It is noted again. DONE",
            ]
            seqs = [event["seq"] for event in await events(w, run["id"])]
            assert seqs == list(range(1, len(seqs) + 1))

    serve(scenario())


def test_a_retry_from_here_shares_everything_before_the_failure() -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post(f"/v1/runs/{await failed(w)}/retry", json={"from": "here"})
            assert answer.status_code == 202
            types = [event["type"] for event in await events(w, answer.json()["id"])]
            assert "model.call.failed" not in types
            assert types[-1] == "run.queued"

    serve(scenario())


def test_a_retry_takes_no_body_as_one_from_the_start() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            headers = {"Idempotency-Key": "k"}
            first = await w.client.post(f"/v1/runs/{run_id}/retry", headers=headers)
            body = {"from": "start"}
            again = await w.client.post(f"/v1/runs/{run_id}/retry", json=body, headers=headers)
            assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
            assert again.json()["id"] == first.json()["id"]

    serve(scenario())


@pytest.mark.parametrize(
    ("route", "other"), [("fork", {"after_seq": 2}), ("retry", {"from": "here"})]
)
def test_a_repeated_request_is_the_same_run_and_another_one_under_its_key_is_refused(
    route: str, other: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with world() as w:
            url, headers = f"/v1/runs/{await failed(w)}/{route}", {"Idempotency-Key": "k"}
            first = await w.client.post(url, json=NEW_RUNS[route], headers=headers)
            again = await w.client.post(url, json=NEW_RUNS[route], headers=headers)
            assert (first.status_code, again.status_code) == (202, 202)
            assert "idempotency-replayed" not in first.headers
            assert again.headers["idempotency-replayed"] == "true"
            assert again.headers["location"] == first.headers["location"]
            refused = await w.client.post(url, json=other, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_conflict")
            metrics = (await w.client.get("/metrics")).text
            assert 'replayed="true"} 1' in metrics, "children are counted as runs"

    serve(scenario())


@pytest.mark.parametrize(
    ("route", "body", "pointer"),
    [("fork", {"after_seq": 999}, "/after_seq"), ("retry", {"from": "here"}, "/from")],
)
def test_a_point_that_does_not_exist_is_422(route: str, body: dict[str, Any], pointer: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            url = f"/v1/runs/{await w.ended()}/{route}"
            answer = await w.client.post(url, json=body)
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (422, "no_such_point")
            assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [
                (pointer, "no_such_point")
            ]
            assert len((await w.client.get("/v1/runs")).json()["data"]) == 1

    serve(scenario())


@pytest.mark.parametrize(
    ("route", "body", "pointer"),
    [
        ("fork", {}, "/after_seq"),
        ("fork", {"after_seq": 0}, "/after_seq"),
        ("fork", {"after_seq": 10**30}, "/after_seq"),
        ("fork", {"after_seq": 1, "limits": {"max_turns": -1}}, "/limits/max_turns"),
        ("fork", {"after_seq": 1, "overrides": {"max_turns": 0}}, "/overrides/max_turns"),
        ("fork", {"after_seq": 1, "override": {}}, "/override"),
        ("retry", {"from": "there"}, "/from"),
        ("retry", {"from_": "here"}, "/from_"),
    ],
)
def test_an_invalid_body_is_422(route: str, body: dict[str, Any], pointer: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post(f"/v1/runs/{await w.ended()}/{route}", json=body)
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (422, "invalid_body")
            assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
            assert "from_'" not in problem["detail"].partition("use one of")[2]

    serve(scenario())


def test_only_an_ended_run_is_retried() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            answer = await w.client.post(f"/v1/runs/{run_id}/retry")
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (409, "run_not_finished")
            assert (problem["run_id"], answer.headers["retry-after"]) == (run_id, "1")
            forked = await w.client.post(f"/v1/runs/{run_id}/fork", json=NEW_RUNS["fork"])
            assert forked.status_code == 202, "a fork needs no end"

    serve(scenario())
