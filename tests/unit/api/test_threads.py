"""`/v1/threads`: create, continue, read, change and delete conversations."""

from typing import Any

import httpx2
from tests.support.api import World, key, world

from teamrun.components.registry import Registry
from teamrun.testing import ScriptedModel

TEAM = {
    "type": "round_robin_group_chat",
    "participants": [{"name": "poet", "model": "default"}],
    "max_turns": 1,
}
ANY = {"If-Match": "*"}


def poets() -> Registry:
    model = ScriptedModel({"poet": ["Rain."] * 3})
    return Registry.of(teams={"writers": TEAM}, models={"default": model})


async def ok(answer: Any, status: int = 200) -> Any:
    response: httpx2.Response = await answer
    assert response.status_code == status, response.text
    return response.json() if response.content else None


async def code(answer: Any, status: int) -> str:
    return (await ok(answer, status))["code"]


async def started(w: World) -> str:
    return (await ok(w.client.post("/v1/threads", json={"metadata": {"a": "b"}}), 201))["id"]


async def test_runs_continue_a_thread_and_the_conversation_can_be_read() -> None:
    async with world(registry=poets()) as w:
        created = await w.client.post("/v1/threads")
        thread = created.json()
        assert created.headers["location"] == f"/v1/threads/{thread['id']}"
        assert (thread["status"], thread["runs_count"]) == ("idle", 0)
        place = f"/v1/threads/{thread['id']}"
        empty = await ok(w.client.get(f"{place}/state"))
        assert (empty["run_id"], empty["state"]) == (None, None)
        first = await w.submit(input="One", thread_id=thread["id"])
        busy = await ok(w.client.get(place))
        assert (busy["status"], busy["active_run_id"]) == ("busy", first)
        refused = {"team": "writers", "input": "x", "thread_id": thread["id"]}
        refused["on_busy_thread"] = "reject"
        assert await code(w.client.post("/v1/runs", json=refused), 409) == "thread_busy"
        assert await code(w.client.delete(place), 409) == "thread_busy"
        await w.execute()
        second = await w.ended(input="Two", thread_id=thread["id"])

        page = await ok(w.client.get(f"{place}/messages?limit=3"))
        rest = await ok(w.client.get(f"{place}/messages?after={page['next_cursor']}"))
        messages = [*page["data"], *rest["data"]]
        assert [(each["run_id"], each["message"]["content"]) for each in messages] == [
            (first, "One"),
            (first, "Rain."),
            (second, "Two"),
            (second, "Rain."),
        ]
        runs = await ok(w.client.get(f"{place}/runs?limit=1"))
        assert [run["id"] for run in runs["data"]] == [second]
        older = await ok(w.client.get(f"{place}/runs?after={runs['next_cursor']}"))
        assert [(run["id"], run["thread_id"]) for run in older["data"]] == [(first, thread["id"])]
        assert older["has_more"] is False
        assert (await ok(w.client.get(f"{place}/state")))["run_id"] == second


async def test_a_thread_is_listed_changed_and_deleted() -> None:
    async with world(registry=poets()) as w:
        ids = [await started(w) for _ in range(3)]
        page = await ok(w.client.get("/v1/threads?limit=2"))
        rest = await ok(w.client.get(f"/v1/threads?limit=2&after={page['next_cursor']}"))
        listed = [thread["id"] for thread in (*page["data"], *rest["data"])]
        assert (sorted(listed), rest["has_more"]) == (sorted(ids), False)
        place = f"/v1/threads/{ids[0]}"
        tag = (await w.client.get(place)).headers["etag"]
        body = {"metadata": {"c": "d"}}
        changed = await ok(w.client.patch(place, json=body, headers={"If-Match": tag}))
        assert changed["metadata"] == {"c": "d"}
        late = w.client.patch(place, json=body, headers={"If-Match": tag})
        assert await code(late, 412) == "precondition_failed"
        assert await code(w.client.patch(place, json=body), 428) == "precondition_required"
        late = w.client.delete(place, headers={"If-Match": tag})
        assert await code(late, 412) == "precondition_failed"
        tag = (await w.client.get(place)).headers["etag"]
        await ok(w.client.delete(place, headers={"If-Match": tag}), 204)
        assert await code(w.client.get(place), 404) == "thread_not_found"
        run = {"team": "writers", "input": "x", "thread_id": ids[0]}
        assert await code(w.client.post("/v1/runs", json=run), 404) == "thread_not_found"
        assert len((await ok(w.client.get("/v1/threads")))["data"]) == 2
        assert await code(w.client.get("/v1/threads?after=x"), 400) == "invalid_parameter"
        assert await code(w.client.get("/v1/threads/a.b"), 404) == "thread_not_found"


async def test_a_key_makes_one_thread() -> None:
    async with world(registry=poets()) as w:
        key_of = {"Idempotency-Key": "k"}
        first = await w.client.post("/v1/threads", json={}, headers=key_of)
        again = await w.client.post("/v1/threads", json={}, headers=key_of)
        assert (again.json()["id"], again.headers["idempotency-replayed"]) == (
            first.json()["id"],
            "true",
        )
        other = w.client.post("/v1/threads", json={"metadata": {"a": "b"}}, headers=key_of)
        assert await code(other, 422) == "idempotency_conflict"


async def test_a_tenant_does_not_see_the_threads_of_another() -> None:
    scopes = ("runs:read", "runs:write")
    keys = [key(name, *scopes, name=name, tenant=name) for name in ("ours", "theirs")]
    async with world(registry=poets(), api_keys=tuple(keys)) as w:
        ours, theirs = ({"Authorization": f"Bearer {name}"} for name in ("ours", "theirs"))
        made = await ok(w.client.post("/v1/threads", headers=ours), 201)
        read = w.client.get(f"/v1/threads/{made['id']}", headers=theirs)
        assert await code(read, 404) == "thread_not_found"
        run = {"team": "writers", "input": "x", "thread_id": made["id"]}
        post = w.client.post("/v1/runs", json=run, headers=theirs)
        assert await code(post, 404) == "thread_not_found"


async def test_a_policy_without_a_thread_is_refused_at_its_field() -> None:
    async with world(registry=poets()) as w:
        run = {"team": "writers", "input": "x", "on_busy_thread": "reject"}
        refused = await ok(w.client.post("/v1/runs", json=run), 422)
        assert [error["pointer"] for error in refused["errors"]] == ["/on_busy_thread"]
        assert "add thread_id, or leave it out" in refused["detail"]
