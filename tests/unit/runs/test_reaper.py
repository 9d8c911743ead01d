import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.live.memory import MemoryLive
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.reaper import Reaper
from teamrun.runs.log.entries import End
from teamrun.runs.log.events import end_event
from teamrun.storage.memory import MemoryStore
from teamrun.storage.proof import store_identity
from teamrun.testing import MemoryQueue

DONE = {"a": ["DONE"]}


async def test_a_fresh_run_is_left_to_its_message() -> None:
    cluster = Cluster(DONE, team=solo())
    await cluster.submit()
    cluster.queue.sent.clear()
    assert await cluster.reaper().sweep() == 0


async def test_a_swallowed_message_is_sent_again_after_a_lease_and_once_per_lease() -> None:
    cluster = Cluster(DONE, team=solo())
    ref = await cluster.submit()
    cluster.queue.sent.clear()
    reaper = cluster.reaper()
    cluster.clock.shift += cluster.lease
    assert await reaper.sweep() == 1
    assert await reaper.sweep() == 0
    cluster.clock.shift += cluster.lease
    assert await reaper.sweep() == 1
    assert cluster.queue.sent == [ref, ref]


async def sends_of_an_hour(cluster: Cluster, reaper: Reaper) -> int:
    count = 0
    for _ in range(60):
        cluster.clock.shift += timedelta(minutes=1)
        count += await reaper.sweep()
    return count


async def test_a_run_that_waits_in_a_long_queue_is_sent_again_more_and_more_seldom() -> None:
    cluster = Cluster(DONE, team=solo())
    await cluster.submit()
    reaper = cluster.reaper()
    # After 1, 2, 4, 8 and 16 minutes, then every ten.
    assert await sends_of_an_hour(cluster, reaper) == 9
    assert await sends_of_an_hour(cluster, reaper) == 6


async def test_a_flush_begins_the_sends_of_a_run_anew() -> None:
    cluster = Cluster(DONE, team=solo())
    await cluster.submit()
    reaper = cluster.reaper()
    await sends_of_an_hour(cluster, reaper)
    assert isinstance(cluster.live, MemoryLive)
    cluster.live.forget()
    cluster.clock.shift += timedelta(seconds=5)
    assert await reaper.sweep() == 1
    cluster.clock.shift += timedelta(minutes=1)
    assert await reaper.sweep() == 1


async def test_a_message_that_never_left_is_sent_by_the_reaper() -> None:
    cluster = Cluster(DONE, team=solo())
    cluster.queue.is_down = True
    ref = await cluster.submit()
    assert cluster.queue.sent == []
    cluster.queue.is_down = False
    cluster.clock.shift += cluster.lease
    await cluster.reaper().sweep()
    assert cluster.queue.sent == [ref]


async def test_a_run_whose_worker_lives_is_left_alone() -> None:
    cluster = Cluster(DONE, team=solo(), lease=timedelta(hours=1))
    ref = await cluster.submit()
    await cluster.claim_and_die(ref)
    cluster.queue.sent.clear()
    cluster.clock.shift += timedelta(minutes=59)
    assert await cluster.reaper().sweep() == 0


async def test_a_killed_workers_run_is_sent_again_and_continues() -> None:
    cluster = Cluster(DONE, team=solo())
    ref = await cluster.submit()
    await cluster.claim_and_die(ref)
    cluster.queue.waiting.clear()
    reaper = cluster.reaper()
    assert await reaper.sweep() == 0
    cluster.clock.shift += cluster.lease + timedelta(seconds=1)
    assert await reaper.sweep() == 1
    worker = cluster.worker("heir")
    assert await cluster.queue.deliver(worker.execute) == 1
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "completed"


async def test_after_a_flush_runs_are_found_by_their_markers() -> None:
    cluster = Cluster(DONE, team=solo())
    ref = await cluster.submit()
    cluster.queue.waiting.clear()
    assert isinstance(cluster.live, MemoryLive)
    cluster.live.forget()
    cluster.clock.shift += cluster.lease
    await cluster.reaper().sweep()
    assert list(cluster.queue.waiting) == [ref]


async def test_the_duties_of_an_ended_run_are_completed_later() -> None:
    cluster = Cluster(DONE, team=solo())
    ref = await cluster.submit()
    log = cluster.log(ref)
    end = End(status="failed", stop_code="poison")
    await log.append(await log.state(), end, [end_event(end)], epoch=0)
    cluster.queue.waiting.clear()
    assert await cluster.reaper().sweep() == 1
    worker = cluster.worker()
    assert await worker.execute(ref) is Finish.ENDED
    assert await cluster.store.list("open/") == []
    assert (await cluster.service.result(TENANT, ref.run_id)).status == "failed"


async def test_an_ended_run_without_a_result_and_without_a_marker_is_found_when_it_is_due() -> None:
    cluster = Cluster(DONE, team=solo())
    ref = await cluster.submit(delay_seconds=1)
    log = cluster.log(ref)
    end = End(status="failed", stop_code="poison")
    await log.append(await log.state(), end, [end_event(end)], epoch=0)
    assert await cluster.store.list("open/") == []
    cluster.clock.shift += timedelta(seconds=2)
    reaper = cluster.reaper()
    await reaper.sweep()
    assert await reaper.sweep() == 1
    assert await cluster.queue.deliver(cluster.worker().execute) == 1
    assert (await cluster.service.result(TENANT, ref.run_id)).status == "failed"
    assert await cluster.store.list("open/") == await cluster.store.list("due/") == []


async def test_one_reaper_at_a_time_sweeps() -> None:
    cluster = Cluster(DONE, team=solo())
    await cluster.submit()
    cluster.queue.sent.clear()
    cluster.clock.shift += cluster.lease
    assert await cluster.live.acquire("reaper", "another", timedelta(hours=1))
    stop = asyncio.Event()
    sweeping = asyncio.ensure_future(cluster.reaper().run(stop))
    for _ in range(20):
        await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(sweeping, 10)
    assert cluster.queue.sent == []


class Asked(MemoryQueue):
    """A queue that signals when a run was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.was_asked = asyncio.Event()

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        await super().send(refs, queue=queue, first=first)
        self.was_asked.set()


async def test_a_reaper_of_another_store_does_not_keep_one_from_its_own() -> None:
    """Two deployments may share a namespace by mistake; each store needs its reaper."""
    live, stop = MemoryLive(), asyncio.Event()
    mine, other = Cluster(DONE, team=solo(), live=live), Cluster(DONE, team=solo(), live=live)
    ref = await mine.submit()
    queue = Asked()
    mine.clock.shift += mine.lease
    reapers = [
        Reaper(
            store=each.store,
            live=live,
            dispatcher=each.queue if each is other else queue,
            owner=owner,
            lease=each.lease,
            clock=each.clock,
            identify=partial(store_identity, each.store),
        )
        for owner, each in (("foreign", other), ("ours", mine))
    ]
    sweeping = [asyncio.create_task(reaper.run(stop)) for reaper in reapers]
    async with asyncio.timeout(10):
        await queue.was_asked.wait()
    stop.set()
    await asyncio.gather(*sweeping)
    assert queue.sent == [ref]


async def test_every_process_gives_a_store_the_same_identity() -> None:
    store = MemoryStore()
    first = await store_identity(store)

    assert await store_identity(store) == first
    assert await store_identity(MemoryStore()) != first


async def test_sweeps_cost_two_lists_each_while_few_runs_are_open_and_none_is_due() -> None:
    class Counting(MemoryStore):
        requests = 0

        async def get_many(self, keys: list[str]) -> list[bytes | None]:
            self.requests += len(keys)
            return await super().get_many(keys)

        async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
            self.requests += 1
            return await super().list(prefix, after=after, limit=limit)

    store = Counting()
    cluster = Cluster({}, team=solo(), store=store)
    refs = [await cluster.submit() for _ in range(40)]
    reaper = cluster.reaper()
    await reaper.sweep()
    store.requests = 0
    for _ in range(5):
        assert await reaper.sweep() == 0
    assert store.requests == 5 * 2
    cluster.clock.shift += cluster.lease
    assert await reaper.sweep() == len(refs)
