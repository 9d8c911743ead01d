"""A process dies at each of its writes, and another goes on: nothing is lost, nothing is twice."""

import asyncio
from collections import Counter

import pytest
from tests.support.batches import Batches
from tests.support.mortal_store import MortalStore, until_dead
from tests.support.runs import TENANT

from teamrun.batches.entries import FINAL
from teamrun.batches.resources import Batch
from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import Claim, End, calls_of
from teamrun.storage.memory import MemoryStore

ITEMS = 7


async def recovered(batches: Batches, batch: Batch) -> Batch:
    """Go on in a new process until the batch has ended."""
    for _ in range(20):
        await batches.after_a_lease()
        await batches.driver(batch).step()
        await batches.driver(batch).attend()
        await batches.work()
        found = await batches.service.get(TENANT, batch.id)
        if found.status in FINAL:
            return found
    raise AssertionError("the batch does not end")


async def check_exactly_once(batches: Batches, batch: Batch, store: MemoryStore) -> None:
    """Each item has one run and one result; a call is repeated at most by the crash."""
    results = await batches.results(batch)
    assert [result["index"] for result in results] == list(range(ITEMS))
    runs = Counter[str](key.split("/")[4] for key in await store.list("t/") if "/runs/" in key)
    assert set(runs) == {result["run_id"] for result in results}
    for run_id in runs:
        entries = await batches.cluster.log(RunRef(TENANT, run_id)).read()
        assert [entry.n for entry in entries if isinstance(entry.body, End)] == [len(entries) - 1]
        assert sum(len(calls_of(entry.body)) for entry in entries) == 1
        assert sum(isinstance(entry.body, Claim) for entry in entries) <= 2
    assert await store.list("batches/") == []
    assert [key for key in await store.list("t/") if "/done/" in key] == []


async def accepted(store: MemoryStore) -> tuple[Batches, Batch]:
    batches = Batches(store=store)
    return batches, await batches.submit(["go"] * ITEMS, max_concurrency=3)


async def writes_of_a_batch() -> int:
    inner = MemoryStore()
    first, batch = await accepted(inner)
    store = MortalStore(inner)
    await Batches(of=first, store=store).finish(batch)
    return store.writes


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("is_queue_lost", [False, True], ids=["queue kept", "queue lost"])
async def test_a_process_that_dies_at_any_write(is_after: bool, is_queue_lost: bool) -> None:
    deaths = 0
    for nth in range(1, await writes_of_a_batch() + 1):
        inner = MemoryStore()
        first, batch = await accepted(inner)
        store = MortalStore(inner, dies_at=nth, is_after=is_after)
        process = Batches(of=first, store=store)
        deaths += await until_dead(store, process.finish(batch))
        if is_queue_lost:
            first.cluster.queue.waiting.clear()

        healthy = Batches(of=first)
        ended = await recovered(healthy, batch)

        assert (ended.status, ended.counts.completed) == ("completed", ITEMS), nth
        await check_exactly_once(healthy, batch, inner)
    assert deaths > 20


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
async def test_a_cancel_is_completed_though_the_process_dies_at_any_write(is_after: bool) -> None:
    nth, died = 0, True
    while died:
        nth += 1
        inner = MemoryStore()
        first, batch = await accepted(inner)
        await first.driver(batch).step()
        await first.work(1)
        await first.service.cancel(TENANT, batch.id)
        store = MortalStore(inner, dies_at=nth, is_after=is_after)
        process = Batches(of=first, store=store)
        died = await until_dead(store, process.finish(batch))

        ended = await recovered(Batches(of=first), batch)

        assert (ended.status, ended.counts.completed, ended.counts.cancelled) == (
            "cancelled",
            1,
            ITEMS - 1,
        )
    assert nth > 5


async def test_two_feeders_at_once_do_no_harm() -> None:
    inner = MemoryStore()
    first, batch = await accepted(inner)
    second = Batches(of=first)

    for _ in range(20):
        await asyncio.gather(*(each.driver(batch).step() for each in (first, second)))
        await first.work()

    assert (await first.service.get(TENANT, batch.id)).status == "completed"
    assert len(first.cluster.queue.sent) == ITEMS
    await check_exactly_once(first, batch, inner)


async def test_an_acceptance_that_dies_at_any_write_leaves_no_batch_or_a_whole_one() -> None:
    nth, died = 0, True
    while died:
        nth += 1
        inner = MemoryStore()
        store = MortalStore(inner, dies_at=nth)
        process = Batches(store=store)
        died = await until_dead(store, process.submit(["go"] * ITEMS))
        healthy = Batches(of=process, store=inner)
        batches = (await healthy.service.list(TENANT, limit=10, after=None)).data

        for batch in batches:
            assert (await recovered(healthy, batch)).counts.completed == ITEMS
        assert len(batches) == (0 if died else 1)
    assert nth > 3
