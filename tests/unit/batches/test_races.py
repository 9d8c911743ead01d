"""Processes that are overtaken by others between two requests to the store."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.support.batches import Batches
from tests.support.runs import TENANT

from teamrun.batches.keys import BatchRef, live_marker
from teamrun.batches.log import BatchLog
from teamrun.batches.progress import read_progress
from teamrun.storage.memory import MemoryStore

Meanwhile = Callable[[], Awaitable[object]]


class Overtaken(MemoryStore):
    """A store during whose first call of one kind another process does something."""

    def __init__(self, inner: MemoryStore, method: str, part: str, *, after: bool = False) -> None:
        super().__init__()
        self.__dict__.update(inner.__dict__)
        self._watched = (method, part, after)
        self.meanwhile: Meanwhile | None = None

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        await self._passing("list", prefix, after=False)
        found = await super().list(prefix, after=after, limit=limit)
        await self._passing("list", prefix, after=True)
        return found

    async def get_many(self, keys: "list[str]") -> "list[bytes | None]":
        await self._passing("get_many", keys[0] if keys else "", after=False)
        return await super().get_many(keys)

    async def delete(self, key: str) -> None:
        await self._passing("delete", key, after=False)
        await super().delete(key)

    async def _passing(self, method: str, key: str, *, after: bool) -> None:
        wanted, part, is_after = self._watched
        if self.meanwhile is not None and method == wanted and part in key and after == is_after:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()


async def worked(items: int, **request: Any) -> tuple[MemoryStore, Batches, Any]:
    """A batch whose items have ended, and that nobody has looked at since."""
    store = MemoryStore()
    batches = Batches(store=store)
    batch = await batches.submit(["go"] * items, **request)
    await batches.driver(batch).step()
    await batches.work()
    return store, batches, batch


@pytest.mark.parametrize("after", [False, True])
async def test_counts_are_whole_though_blocks_are_settled_meanwhile(after: bool) -> None:
    inner, batches, batch = await worked(250, max_concurrency=250)
    ref = BatchRef(TENANT, batch.id)
    store = Overtaken(inner, "list", "/done/", after=after)
    store.meanwhile = batches.driver(batch).step
    log = BatchLog(store, ref, writer="reader", clock=batches.cluster.clock)

    progress = await read_progress(store, log, None)

    assert store.meanwhile is None
    assert progress.counts.completed == 250


async def test_results_are_whole_though_another_process_has_removed_their_parts() -> None:
    inner, batches, batch = await worked(100, max_concurrency=100)
    store = Overtaken(inner, "get_many", "/done/")
    store.meanwhile = batches.driver(batch).step

    await Batches(of=batches, store=store).driver(batch).step()

    assert store.meanwhile is None
    assert [r["index"] for r in await batches.results(batch)] == list(range(100))


async def test_results_are_read_though_blocks_are_settled_meanwhile() -> None:
    inner, batches, batch = await worked(100, max_concurrency=100)
    store = Overtaken(inner, "get_many", "/done/")
    store.meanwhile = batches.driver(batch).step
    reader = Batches(of=batches, store=store)

    results = await reader.results(batch)

    assert store.meanwhile is None
    assert [result["index"] for result in results] == list(range(100))


async def test_a_retry_that_begins_while_the_marker_is_deleted_goes_on() -> None:
    inner = MemoryStore()
    batches = Batches({"a": [{"error": {"message": "bad"}}]}, store=inner)
    batch = await batches.submit(["go"])
    ref = BatchRef(TENANT, batch.id)
    store = Overtaken(inner, "delete", live_marker(ref))
    store.meanwhile = lambda: batches.service.retry_failed(TENANT, batch.id)
    feeder = Batches(of=batches, store=store)
    while store.meanwhile is not None:
        await feeder.driver(batch).step()
        await batches.work()

    assert await inner.list("batches/") == [live_marker(ref)]
    assert (await batches.service.get(TENANT, batch.id)).round == 2


async def test_items_that_another_process_announced_are_created_at_once() -> None:
    inner = MemoryStore()
    batches = Batches(store=inner)
    batch = await batches.submit(["go"] * 3)
    await batches.driver(batch).step()
    await inner.delete_many([key for key in await inner.list("t/") if "/runs/" in key])
    batches.cluster.queue.waiting.clear()

    await Batches(of=batches).driver(batch).step()

    assert len(batches.cluster.queue.waiting) == 3


async def test_a_marker_that_a_crash_has_lost_is_put_again_by_a_resume() -> None:
    store = MemoryStore()
    batches = Batches(store=store)
    batch = await batches.submit(["go"])
    await store.delete(live_marker(BatchRef(TENANT, batch.id)))

    await batches.service.resume(TENANT, batch.id)

    assert await store.list("batches/") == [live_marker(BatchRef(TENANT, batch.id))]
