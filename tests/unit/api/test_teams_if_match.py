"""`If-Match` of every request that changes a team."""

from typing import Any

import pytest
from tests.unit.api.test_stored_teams import ANY, failed, haiku, ok, solo

CHANGES: dict[str, tuple[str, str, Any, int]] = {
    "rename": ("PATCH", "", {"description": "New."}, 200),
    "delete": ("DELETE", "", None, 204),
    "push": ("POST", "/versions", solo("Three."), 201),
    "equal push": ("POST", "/versions", solo("Two."), 200),
    "move": ("PUT", "/aliases/live", {"version": 2}, 200),
    "unname": ("DELETE", "/aliases/live", None, 204),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_based_on_an_earlier_team_is_refused_and_changes_nothing(
    change: str,
) -> None:
    method, path, body, status = CHANGES[change]
    async with haiku() as w:
        c, at = w.client, "/v1/teams/haiku"
        seen = (await c.get(at)).headers["etag"]
        await ok(c.put(f"{at}/aliases/live", json={"version": 1}, headers=ANY))
        team = await ok(c.get(at))
        more: dict[str, Any] = {} if body is None else {"json": body}
        for stale in (seen, '"v99"', "2", 'W/"v3"'):
            refused = c.request(method, at + path, headers={"If-Match": stale}, **more)
            assert (await failed(refused, 412))["code"] == "precondition_failed"
        assert await ok(c.get(at)) == team
        now = {"If-Match": (await c.get(at)).headers["etag"]}
        await ok(c.request(method, at + path, headers=now, **more), status)


async def test_a_push_that_is_repeated_with_its_key_is_not_refused_for_its_own_change() -> None:
    async with haiku() as w:
        at = "/v1/teams/haiku"
        seen = (await w.client.get(at)).headers["etag"]
        headers = {"If-Match": seen, "Idempotency-Key": "deploy"}
        for replayed in (None, "true"):
            answer = await w.client.post(f"{at}/versions", json=solo("Three."), headers=headers)
            assert (answer.status_code, answer.json()["version"]) == (201, "3")
            assert answer.headers.get("idempotency-replayed") == replayed


async def test_a_push_that_added_nothing_says_that_it_is_replayed() -> None:
    async with haiku() as w:
        at, headers = "/v1/teams/haiku/versions", {"Idempotency-Key": "deploy"}
        await ok(w.client.post(at, json=solo("Two."), headers=headers))
        await ok(w.client.post(at, json=solo("Three.")), 201)
        again = await w.client.post(at, json=solo("Two."), headers=headers)
        assert (again.status_code, again.json()["version"]) == (200, "2")
        assert again.headers["idempotency-replayed"] == "true"


async def test_a_team_that_has_not_changed_is_304() -> None:
    async with haiku() as w:
        for at in ("/v1/teams/haiku", "/v1/teams/writers"):
            seen = (await w.client.get(at)).headers["etag"]
            same = await w.client.get(at, headers={"If-None-Match": f'"x", {seen}'})
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", seen)
        seen = {"If-None-Match": (await w.client.get("/v1/teams/haiku")).headers["etag"]}
        await ok(w.client.post("/v1/teams/haiku/versions", json=solo("Three.")), 201)
        assert (await ok(w.client.get("/v1/teams/haiku", headers=seen)))["version"] == "3"


async def test_the_tag_of_a_deleted_team_is_none_of_a_new_team_with_its_name() -> None:
    async with haiku() as w:
        at, tags = "/v1/teams/haiku", [(await w.client.get("/v1/teams/haiku")).headers["etag"]]
        for _ in range(3):
            await ok(w.client.delete(at, headers={"If-Match": tags[-1]}), 204)
            body = {"name": "haiku", "team_spec": solo("One.")}
            made = await w.client.post("/v1/teams", json=body)
            assert made.headers["etag"] == (await w.client.get(at)).headers["etag"]
            refused = w.client.delete(at, headers={"If-Match": tags[-1]})
            assert (await failed(refused, 412))["code"] == "precondition_failed"
            tags.append(made.headers["etag"])
        assert len(set(tags)) == len(tags)


async def test_the_tag_of_a_team_is_none_of_another_that_gets_its_name() -> None:
    async with haiku() as w:
        at = "/v1/teams/haiku"
        seen = {"If-Match": (await w.client.get(at)).headers["etag"]}
        body = {"name": "other", "team_spec": solo("One.")}
        await ok(w.client.post("/v1/teams", json=body), 201)
        for name, new in (("haiku", "old"), ("other", "haiku")):
            patch = w.client.patch(f"/v1/teams/{name}", json={"name": new}, headers=ANY)
            await ok(patch)
        assert (await failed(w.client.delete(at, headers=seen), 412))["code"]
