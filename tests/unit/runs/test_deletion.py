"""Deleting runs: whole before, gone after, and never half there, wherever it is interrupted."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from tests.support.audit import violations_of
from tests.support.damage import KEY, build, cluster_over
from tests.support.damage import Wreck as Built
from tests.support.runs import TENANT, Cluster

from teamrun.core.refs import RunRef
from teamrun.errors import (
    RunDeleted,
    RunNotFinished,
    RunNotFound,
    Unavailable,
    UnreadableEntry,
)
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.reaper import Reaper
from teamrun.runs.log.archive import conclude
from teamrun.runs.log.entries import Step
from teamrun.runs.log.keys import entry_key, log_folder
from teamrun.runs.log.reader import RunReader
from teamrun.runs.service.listing import RunFilter
from teamrun.runs.service.requests import RunRequest
from teamrun.storage.memory import MemoryStore

SAME = RunRequest.model_validate({"team": "team", "input": "go", "metadata": {"kind": "ended"}})


class StoppingStore(MemoryStore):
    """A store that takes so many writes, and none after."""

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None
        self.puts: list[str] = []

    def _spend(self) -> None:
        if self.left == 0:
            raise Unavailable("the process is lost here")
        if self.left is not None:
            self.left -= 1

    async def put_new(self, key: str, data: bytes) -> bool:
        self._spend()
        return await super().put_new(key, data)

    async def put(self, key: str, data: bytes) -> None:
        self._spend()
        self.puts.append(key)
        await super().put(key, data)

    async def delete(self, key: str) -> None:
        self._spend()
        await super().delete(key)


@pytest.fixture(scope="module")
def built() -> Built:
    return asyncio.run(build())


async def over(built: Built) -> tuple[StoppingStore, Cluster]:
    store = StoppingStore()
    for key, data in built.objects.items():
        await store.put(key, data)
    return store, cluster_over(store)


async def shown(cluster: Cluster, ref: RunRef) -> dict[str, Any]:
    """The result of each way to read a run: the code of its error, or its type."""

    async def tried(read: Any) -> Any:
        try:
            return await read
        except (RunNotFound, RunNotFinished, UnreadableEntry) as error:
            return error.code

    service, run_id = cluster.service, ref.run_id
    page = await service.list(TENANT, RunFilter(), limit=100)
    return {
        "listed": any(run.id == run_id for run in page.data),
        "run": await tried(service.get(TENANT, run_id)),
        "events": await tried(service.events(TENANT, run_id, limit=1000)),
        "result": await tried(service.result(TENANT, run_id)),
        "artifacts": await tried(service.artifacts(TENANT, run_id)),
    }


def is_gone(seen: dict[str, Any]) -> bool:
    return not seen["listed"] and {*map(str, list(seen.values())[1:])} == {"run_not_found"}


async def keys_of(store: MemoryStore, ref: RunRef) -> list[str]:
    return [key for key in await store.list("", limit=10_000) if ref.run_id in key]


def later(cluster: Cluster, by: timedelta) -> Reaper:
    cluster.clock.shift += by
    return cluster.reaper()


async def test_a_deleted_run_is_gone_for_every_reader_and_later_from_the_store(
    built: Built,
) -> None:
    store, cluster = await over(built)
    ref = built.runs["ended"]
    await shown(cluster, ref)  # leaves a view
    await cluster.service.delete(TENANT, ref.run_id)
    assert is_gone(await shown(cluster, ref))
    for key in await keys_of(store, ref):
        assert b"kept" not in await store.get(key)
        assert b"DONE" not in await store.get(key)
    with pytest.raises(RunNotFound):
        await cluster.service.delete(TENANT, ref.run_id)
    await later(cluster, timedelta(hours=26)).keep_up()
    assert await keys_of(store, ref) == []


async def test_the_last_traces_are_removed_without_a_write_per_entry(built: Built) -> None:
    store, cluster = await over(built)
    ref = built.runs["ended"]
    await cluster.service.delete(TENANT, ref.run_id)
    [plan] = await store.list("gone/")
    assert plan.endswith(f"/{ref}")
    assert len(plan.split("/")) == 4, "the plans of an hour are spread over folders"
    reaper = later(cluster, timedelta(hours=26))
    store.puts.clear()
    await reaper.keep_up()
    assert await keys_of(store, ref) == []
    assert [key for key in store.puts if ref.run_id in key] == []


async def test_a_plan_of_an_earlier_release_is_carried_out(built: Built) -> None:
    store, cluster = await over(built)
    ref = built.runs["ended"]
    await cluster.service.delete(TENANT, ref.run_id)
    [plan] = await store.list("gone/")
    _, hour, _, name = plan.split("/")
    await store.put(f"gone/{hour}/{name}", await store.get(plan))
    await store.delete(plan)
    await later(cluster, timedelta(hours=26)).keep_up()
    assert await keys_of(store, ref) == []


@pytest.mark.parametrize("name", ["waiting", "begun", "later", "bystander that is queued"])
async def test_a_run_that_has_not_ended_is_not_deleted(name: str, built: Built) -> None:
    store, cluster = await over(built)
    before = {key: await store.get(key) for key in await store.list("")}
    with pytest.raises(RunNotFinished):
        await cluster.service.delete(TENANT, built.runs[name].run_id)
    assert {key: await store.get(key) for key in await store.list("")} == before


async def test_a_fork_outlives_its_parent(built: Built) -> None:
    _, cluster = await over(built)
    await cluster.service.delete(TENANT, built.runs["ended"].run_id)
    await later(cluster, timedelta(hours=26)).keep_up()
    fork = built.runs["fork"]
    await cluster.worker().execute(fork)
    run = await cluster.service.get(TENANT, fork.run_id)
    assert run.status == "completed"
    assert run.parent_run_id == built.runs["ended"].run_id
    assert violations_of(await cluster.entries(fork)) == []
    _, data = await cluster.service.artifact(TENANT, fork.run_id, "note.txt")
    assert data == b"kept"


async def test_the_key_of_a_deleted_run_is_free_when_its_time_is_over(built: Built) -> None:
    _, cluster = await over(built)
    await cluster.service.delete(TENANT, built.runs["ended"].run_id)
    with pytest.raises(RunDeleted) as raised:
        await cluster.service.submit(TENANT, SAME, idempotency_key=KEY)
    assert raised.value.data["run_id"] == built.runs["ended"].run_id
    assert is_gone(await shown(cluster, built.runs["ended"]))
    await later(cluster, timedelta(hours=26)).keep_up()
    again = await cluster.service.submit(TENANT, SAME, idempotency_key=KEY)
    assert not again.replayed
    assert again.run.id != built.runs["ended"].run_id


async def test_an_interrupted_deletion_leaves_nothing_half_there_and_is_finished(
    built: Built,
) -> None:
    ref, steps = built.runs["ended"], 0
    while True:
        store, cluster = await over(built)
        before = await shown(cluster, ref)
        store.left = steps
        try:
            await cluster.service.delete(TENANT, ref.run_id)
            was_interrupted = False
        except Unavailable:
            was_interrupted = True
        store.left = None
        seen = await shown(cluster, ref)
        assert is_gone(seen) or seen == before, steps
        if steps:
            await cluster.reaper().sweep()
            await cluster.reaper().keep_up()
            assert is_gone(await shown(cluster, ref)), steps
            await later(cluster, timedelta(hours=26)).keep_up()
            assert await keys_of(store, ref) == [], steps
        if not was_interrupted:
            break
        steps += 1
    assert steps > 10


async def test_an_interrupted_removal_of_the_last_traces_is_finished(built: Built) -> None:
    ref, steps = built.runs["ended"], 0
    while True:
        store, cluster = await over(built)
        await cluster.service.delete(TENANT, ref.run_id)
        reaper = later(cluster, timedelta(hours=26))
        store.left = steps
        try:
            await reaper.keep_up()
            was_interrupted = False
        except Unavailable:
            was_interrupted = True
        store.left = None
        assert is_gone(await shown(cluster, ref)), steps
        await cluster.reaper().keep_up()
        assert await keys_of(store, ref) == [], steps
        if not was_interrupted:
            break
        steps += 1
    assert steps > 10


async def test_a_worker_that_was_frozen_before_the_end_writes_nothing_into_a_deleted_log(
    built: Built,
) -> None:
    store, cluster = await over(built)
    ref = built.runs["ended"]
    entries = await cluster.entries(ref)
    log = cluster.log(ref, "frozen")
    states = [log.folded(entries[:count]) for count in range(1, len(entries))]
    ended = log.folded(entries)
    assert ended is not None
    await cluster.service.delete(TENANT, ref.run_id)
    for state in states:
        assert await log.append(state, Step(), [], epoch=1) is None
    await conclude(store, log, ended)
    assert await cluster.worker().execute(ref) is Finish.ABSENT
    assert is_gone(await shown(cluster, ref))
    assert not [key for key in await keys_of(store, ref) if key.endswith((".jsonl", "t.json"))]


async def test_old_runs_are_deleted_after_the_retention_time_and_only_ended_ones(
    built: Built,
) -> None:
    _, cluster = await over(built)

    def reaper() -> Reaper:
        return Reaper(
            store=cluster.store,
            live=cluster.live,
            dispatcher=cluster.queue,
            owner="reaper",
            clock=cluster.clock,
            retention=timedelta(days=30),
        )

    cluster.clock.shift += timedelta(days=29)
    await reaper().keep_up()
    assert not is_gone(await shown(cluster, built.runs["ended"]))
    cluster.clock.shift += timedelta(days=2)
    await reaper().keep_up()
    await reaper().keep_up()  # the page behind the last one: it begins anew
    for name, ref in built.runs.items():
        expected = name in ("ended", "bystander that has ended")
        assert is_gone(await shown(cluster, ref)) == expected, name


@pytest.mark.parametrize(
    "name", ["000001.json.bak", "1.json", "x", "\u0661.json", "sub/000001.json"]
)
async def test_foreign_objects_beside_the_entries_are_deleted_with_the_run(
    name: str, built: Built
) -> None:
    ref = built.runs["ended"]
    store, cluster = await over(built)
    await cluster.service.get(TENANT, ref.run_id)  # read before, as from a shared view
    foreign = log_folder(ref) + name
    await store.put(foreign, b"secret")
    await cluster.service.delete(TENANT, ref.run_id)
    with pytest.raises(RunNotFound):
        await cluster.service.get(TENANT, ref.run_id)
    assert foreign not in await store.list("t/", limit=10_000)


async def test_a_run_that_cannot_be_read_is_not_deleted(built: Built) -> None:
    store, cluster = await over(built)
    ref = built.runs["ended"]
    await store.delete(entry_key(ref, 2))
    before = await keys_of(store, ref)
    with pytest.raises(UnreadableEntry):
        await cluster.service.delete(TENANT, ref.run_id)
    assert await keys_of(store, ref) == before


async def test_reads_during_a_deletion_are_whole_or_not_found(
    built: Built,
) -> None:
    """A reader may have seen the run just before the first write of its deletion."""
    ref, gone = built.runs["ended"], 0
    for writes in range(30):
        store, cluster = await over(built)
        reader = RunReader(store=store, live=cluster.live, clock=cluster.clock)
        [file] = await cluster.service.artifacts(TENANT, ref.run_id)
        whole = await cluster.service.events(TENANT, ref.run_id)
        store.left = writes
        with suppress(Unavailable):
            await cluster.service.delete(TENANT, ref.run_id)
        store.left = None
        try:
            assert await cluster.service.events(TENANT, ref.run_id) == whole
            async with reader.unless_erased(ref):
                assert await reader.log(ref).get_blob(file.sha256) == b"kept"
        except RunNotFound:
            gone += 1
        await cluster.service.close()
    assert 5 < gone < 30
