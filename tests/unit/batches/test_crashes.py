"""A process dies at each of its writes, and another goes on: nothing is lost, nothing is twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest
from tests.support.batches import Batches
from tests.support.runs import TENANT

from teamrun.batches.entries import FINAL
from teamrun.batches.resources import Batch
from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import Claim, End, calls_of
from teamrun.storage.base import ObjectStat
from teamrun.storage.memory import MemoryStore

T = TypeVar("T")

ITEMS = 7


class Died(BaseException):
    """The process is gone."""


class MortalStore:
    """The store as one process has it, which stops for ever before or after one of its writes."""

    def __init__(self, inner: MemoryStore, *, dies_at: int = -1, is_after: bool = False) -> None:
        self.inner = inner
        self.writes = 0
        self.dead = asyncio.Event()
        self.is_left = False
        self._dies_at = dies_at
        self._is_after = is_after

    async def _write(self, write: Callable[[], Coroutine[Any, Any, T]]) -> T:
        await self._alive()
        self.writes += 1
        is_last = self.writes == self._dies_at
        if is_last and not self._is_after:
            self.dead.set()
        await self._alive()
        result = await write()
        if is_last:
            self.dead.set()
        await self._alive()
        return result

    async def _alive(self) -> None:
        if self.is_left:
            raise Died
        if self.dead.is_set():
            await asyncio.Event().wait()

    async def put_new(self, key: str, data: bytes) -> bool:
        return await self._write(lambda: self.inner.put_new(key, data))

    async def put(self, key: str, data: bytes) -> None:
        await self._write(lambda: self.inner.put(key, data))

    async def delete(self, key: str) -> None:
        await self._write(lambda: self.inner.delete(key))

    async def delete_many(self, keys: Sequence[str]) -> None:
        if keys:
            await self._write(lambda: self.inner.delete_many(keys))

    async def get(self, key: str) -> bytes:
        await self._alive()
        return await self.inner.get(key)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        await self._alive()
        return await self.inner.get_many(keys)

    def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        return self.inner.stream(key, start=start, end=end)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        await self._alive()
        return await self.inner.list(prefix, after=after, limit=limit)

    async def stats(self, prefix: str, *, after: str = "", limit: int = 1000) -> "list[ObjectStat]":
        return await self.inner.stats(prefix, after=after, limit=limit)

    async def check(self) -> None:
        await self._alive()

    async def close(self) -> None:
        pass


async def until_dead(store: MortalStore, work: Coroutine[Any, Any, object]) -> bool:
    """Run `work` to its end or to the death of its process; whether the process died."""
    working = asyncio.ensure_future(work)
    dying = asyncio.ensure_future(store.dead.wait())
    await asyncio.wait([working, dying], return_when=asyncio.FIRST_COMPLETED, timeout=30)
    dying.cancel()
    if working.done():
        working.result()
        return False
    store.is_left = True
    working.cancel()
    await asyncio.wait([working], timeout=5)
    return True


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
