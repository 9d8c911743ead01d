"""Every object of a store damaged in every way: what clients, the reaper and other runs meet."""

import asyncio
import json
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import settings
from tests.support.api import team_service
from tests.support.audit import violations_of
from tests.support.damage import DAMAGES, KEY, Damage, Wreck, ages, build, cluster_over, execute
from tests.support.examples import FULL
from tests.support.runs import TENANT, Cluster
from tests.support.webhooks import webhook_service

from teamrun.batches.service import BatchService
from teamrun.live.base import View
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.announcer import view_key
from teamrun.runs.log.keys import entry_key
from teamrun.runs.service.listing import RunFilter
from teamrun.storage.memory import MemoryStore
from teamrun_api.app import create_app
from teamrun_api.settings import ApiSettings

OF_MARKERS = ("removed", "garbage")
"""A marker is empty and its content is never read, so other damage is equivalent."""

STRIDE = 1 if settings().max_examples >= FULL else 6
"""A fast run damages every sixth object; which ones differs for each kind of damage."""

ENDED = ("completed", "failed", "cancelled", "incomplete", "expired")


@pytest.fixture(scope="module")
def whole() -> Wreck:
    return asyncio.run(build())


class Deployment:
    """A service, its API and its workers over a copy of a store."""

    def __init__(self, store: MemoryStore) -> None:
        self.cluster: Cluster = cluster_over(store)
        self.store = store
        app = create_app(
            service=self.cluster.service,
            batches=BatchService(
                store=store, live=self.cluster.live, teams=self.cluster.service.teams
            ),
            webhooks=webhook_service(store),
            teams=team_service(self.cluster.service, self.cluster.registry, store),
            threads=self.cluster.threads,
            settings=ApiSettings(),
            checks={},
        )
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    @classmethod
    async def over(cls, whole: Wreck) -> "Deployment":
        store = MemoryStore()
        for key, data in whole.objects.items():
            await store.put(key, data)
        return cls(store)

    async def restore(self, whole: Wreck) -> None:
        """Begin anew, as `over` does, without the cost of another application."""
        live = self.cluster.live
        assert isinstance(live, MemoryLive)
        live.forget()
        self.cluster.queue.sent.clear()
        self.cluster.clock.shift = timedelta()
        for key in await self.store.list("", limit=10_000):
            await self.store.delete(key)
        for key, data in whole.objects.items():
            await self.store.put(key, data)

    async def get(self, path: str, accept: str = "application/json") -> httpx2.Response:
        return await self.client.get(path, headers={"Accept": accept})

    async def close(self) -> None:
        await self.client.aclose()
        await self.cluster.service.close()

    async def objects_of(self, run_id: str) -> dict[str, bytes]:
        keys = [key for key in await self.store.list("t/") if f"/{run_id}/" in key]
        return {key: await self.store.get(key) for key in keys}


class Facts:
    """The responses of the API about each run of a store."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.events: dict[str, list[Any]] = {}
        self.results: dict[str, Any] = {}

    @classmethod
    async def of(cls, here: Deployment, whole: Wreck) -> "Facts":
        facts = cls()
        for name, ref in whole.runs.items():
            path = f"/v1/runs/{ref.run_id}"
            facts.status[name] = (await here.get(path)).json()["status"]
            facts.events[name] = (await here.get(f"{path}/events?limit=1000")).json()["data"]
            answer = await here.get(f"{path}/result")
            facts.results[name] = answer.json() if answer.status_code == 200 else None
        return facts


@pytest.fixture(scope="module")
def facts(whole: Wreck) -> Facts:
    """What an undamaged store answers; the same for each test."""

    async def read() -> Facts:
        here = await Deployment.over(whole)
        try:
            return await Facts.of(here, whole)
        finally:
            await here.close()

    return asyncio.run(read())


async def check_the_run(here: Deployment, whole: Wreck, facts: Facts, name: str) -> None:
    """Responses about a damaged run are correct, or report that it is unreadable."""
    path = f"/v1/runs/{whole.runs[name].run_id}"
    answer = await here.get(path)
    assert answer.status_code in (200, 404)
    run = answer.json()
    if answer.status_code == 200 and run["status"] == "unreadable":
        assert run["error"]["code"] == "unreadable_entry"
        assert entry_key(whole.runs[name], run["unreadable"]["entry"]) == run["unreadable"]["key"]
    for form in ("application/json", "application/x-ndjson", "text/event-stream"):
        if form == "text/event-stream" and run.get("status") not in (*ENDED, "unreadable"):
            continue  # it would go on
        answer = await here.get(f"{path}/events?limit=1000", form)
        assert answer.status_code in (200, 404, 409)
        if answer.status_code == 409:
            assert answer.json()["code"] == "unreadable_entry"
        if answer.status_code == 200:
            told = events_in(answer, form)
            assert told == facts.events[name][: len(told)]
            assert len(told) == len(facts.events[name]) or run["status"] not in ENDED
    answer = await here.get(f"{path}/result")
    if answer.status_code == 200:
        assert answer.json() == facts.results[name]
    else:
        assert answer.json()["code"] in ("unreadable_entry", "run_not_finished", "run_not_found")
    answer = await here.get(f"{path}/artifacts/note.txt")
    if answer.status_code == 200:
        assert answer.content == b"kept"
    else:
        codes = ("unreadable_entry", "damaged_blob", "artifact_not_found", "run_not_found")
        assert answer.json()["code"] in codes


def events_in(answer: httpx2.Response, form: str) -> list[Any]:
    if form == "application/json":
        return answer.json()["data"]
    if form == "application/x-ndjson":
        return [json.loads(line) for line in answer.text.splitlines()]
    data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [event for event in map(json.loads, data) if "seq" in event]


async def check_the_others(here: Deployment, whole: Wreck, facts: Facts, hurt: str | None) -> None:
    answer = await here.get("/v1/runs?limit=100")
    assert answer.status_code == 200
    listed = {run["id"]: run["status"] for run in answer.json()["data"]}
    for name, ref in whole.runs.items():
        if name != hurt:
            assert (await here.get(f"/v1/runs/{ref.run_id}")).json()["status"] == facts.status[name]
            assert listed.get(ref.run_id, "its marker is gone") in (
                facts.status[name],
                "its marker is gone",
            )
        elif ref.run_id in listed:
            own = (await here.get(f"/v1/runs/{ref.run_id}")).json()["status"]
            assert listed[ref.run_id] == own


async def check_that_work_goes_on(here: Deployment, whole: Wreck, hurt: str | None) -> None:
    body = {"team": "team", "input": "go", "metadata": {"kind": "ended"}}
    same = await here.client.post("/v1/runs", json=body, headers={"Idempotency-Key": KEY})
    assert same.status_code in (202, 409), same.text
    new = await here.client.post("/v1/runs", json={"team": "team", "input": "go"})
    assert new.status_code == 202
    ages(here.cluster)
    await here.cluster.live.age()
    ages(here.cluster)
    await here.cluster.reaper().sweep()
    refs = {*whole.runs.values(), *here.cluster.queue.sent}
    for ref in sorted(refs):
        await execute(here.cluster, ref, "w9")
    assert (await here.get(f"/v1/runs/{new.json()['id']}")).json()["status"] == "completed"
    going = ("fork", "begun", "bystander that is queued", "ended", "bystander that has ended")
    for name in going:
        if name != hurt:
            run_id = whole.runs[name].run_id
            assert (await here.get(f"/v1/runs/{run_id}")).json()["status"] == "completed"
            assert violations_of(await here.cluster.entries(whole.runs[name])) == []


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.id)
async def test_damage_to_one_object_stops_no_other_run(
    damage: Damage, whole: Wreck, facts: Facts
) -> None:
    # With a view, the bodies of entries are not read, so damage in one is not seen.
    may_be_warm = damage.id != "events of a wrong shape"

    async def one(here: Deployment, key: str, *, is_warm: bool) -> str | None:
        data = damage.do(whole.objects[key])
        if data == whole.objects[key] or (not whole.objects[key] and damage.id not in OF_MARKERS):
            return None
        await here.restore(whole)
        hurt = whole.owner_of(key)
        if is_warm:
            await here.cluster.service.list(TENANT, RunFilter())
        await (here.store.delete(key) if data is None else here.store.put(key, data))
        if hurt is not None and "/runs/" in key:
            await check_the_run(here, whole, facts, hurt)
        before = await here.objects_of(whole.runs[hurt].run_id) if hurt else {}
        seen = ""
        if hurt:
            run = (await here.get(f"/v1/runs/{whole.runs[hurt].run_id}")).json()
            seen = str(run.get("status"))
        await check_the_others(here, whole, facts, hurt)
        await check_that_work_goes_on(here, whole, hurt)
        if hurt and seen == "unreadable":
            assert await here.objects_of(whole.runs[hurt].run_id) == before
        return seen

    here = await Deployment.over(whole)
    seen = set[str | None]()
    for count, key in list(enumerate(whole.objects))[DAMAGES.index(damage) % STRIDE :: STRIDE]:
        async with asyncio.timeout(10):
            seen.add(await one(here, key, is_warm=may_be_warm and count % 2 == 0))
    await here.close()
    assert "unreadable" in seen


async def test_every_entry_but_the_last_is_missed_and_its_place_is_shown(whole: Wreck) -> None:
    ref = whole.runs["ended"]
    log = [key for key in whole.objects if f"{ref.run_id}/log/" in key]
    for n, key in enumerate(log[:-1]):
        here = await Deployment.over(whole)
        await here.store.delete(key)
        run = (await here.get(f"/v1/runs/{ref.run_id}")).json()
        assert run["status"] == "unreadable"
        assert run["unreadable"] == {"entry": n, "key": key}
        if n:
            assert run["metadata"] == {"kind": "ended"}
        page = (await here.get("/v1/runs?status=unreadable")).json()
        assert [each["id"] for each in page["data"]] == [ref.run_id]
        answer = await here.client.post(f"/v1/runs/{ref.run_id}/cancel")
        assert (answer.status_code, answer.json()["code"]) == (409, "unreadable_entry")
        assert "retry-after" not in answer.headers
        await here.close()


BAD_VIEWS = [
    View(10**9, b"garbage"),
    View(10**9, b"{}"),
    View(10**9, b"null"),
    View(10**9, b""),
]


@pytest.mark.parametrize("view", BAD_VIEWS, ids=range(len(BAD_VIEWS)))
async def test_a_damaged_view_is_made_anew_from_the_log(view: View, whole: Wreck) -> None:
    here = await Deployment.over(whole)
    facts = await Facts.of(here, whole)
    for ref in whole.runs.values():
        await here.cluster.live.drop_view(view_key(ref))
        await here.cluster.live.set_view(view_key(ref), view)
    await check_the_others(here, whole, facts, None)
    await here.close()


async def test_the_view_of_another_run_is_not_served(whole: Wreck) -> None:
    here = await Deployment.over(whole)
    facts = await Facts.of(here, whole)
    [other] = await here.cluster.live.views([view_key(whole.runs["bystander that has ended"])])
    assert other is not None
    for ref in whole.runs.values():
        await here.cluster.live.drop_view(view_key(ref))
        await here.cluster.live.set_view(view_key(ref), other)
    await check_the_others(here, whole, facts, None)
    await here.close()


STRANGE = [
    "open/0/nonsense",
    "open/f/a.b.c",
    "open/f/deeper/still",
    "due/2020010100/0/nonsense",
    "due/nonsense",
    "t/default/index/nonsense",
    "t/default/index/99/99/99/9999999999999.",
    "t/default/index/99999/99/99/9999999999999.a.b",
    "t/default/runs/ff/nonsense",
]


@pytest.mark.parametrize("key", STRANGE)
async def test_an_object_whose_name_is_no_reference_is_skipped_with_one_warning(
    key: str, whole: Wreck, caplog: pytest.LogCaptureFixture
) -> None:
    here = await Deployment.over(whole)
    facts = await Facts.of(here, whole)
    await here.store.put(key, b"")
    await check_the_others(here, whole, facts, None)
    reaper = here.cluster.reaper()
    await reaper.sweep()
    await reaper.sweep()
    assert await here.store.get(key) == b""
    await check_that_work_goes_on(here, whole, None)
    await here.close()
    found = [r for r in caplog.records if vars(r).get("action") == "reaper.marker_invalid"]
    assert len(found) == (2 if key.startswith(("open/", "due/2020")) else 0)  # one of each reaper


async def test_a_run_whose_folder_was_removed_is_not_found_anywhere(whole: Wreck) -> None:
    for name, ref in whole.runs.items():
        here = await Deployment.over(whole)
        facts = await Facts.of(here, whole)
        for key in await here.objects_of(ref.run_id):
            await here.store.delete(key)
        run = f"/v1/runs/{ref.run_id}"
        for path in (run, f"{run}/events", f"{run}/result", f"{run}/artifacts"):
            assert (await here.get(path)).status_code == 404, (name, path)
        assert (await here.client.post(f"{run}/cancel")).status_code == 404
        listed = (await here.get("/v1/runs?limit=100")).json()["data"]
        assert ref.run_id not in [each["id"] for each in listed]
        await check_the_others(here, whole, facts, name)
        await here.close()


async def test_a_stream_ends_without_its_end_if_the_log_becomes_unreadable(whole: Wreck) -> None:
    here = await Deployment.over(whole)
    ref = whole.runs["bystander that is queued"]
    following = here.cluster.service.follow(TENANT, ref.run_id)
    async with aclosing(following) as items:
        await anext(items)
        await here.store.put(entry_key(ref, 1), b'{"v":1,"n":')
        with pytest.raises(Exception) as raised:
            await anext(items)
        assert getattr(raised.value, "code", None) == "unreadable_entry"
    await here.close()
