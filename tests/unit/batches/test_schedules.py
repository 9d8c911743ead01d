"""Random schedules: processes that come, go and overtake each other, lost messages, and clients.

A schedule is reproduced by its seed. What must hold is checked while it runs and at its end.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import pytest
from tests.support.batches import Batches
from tests.support.examples import seeds
from tests.support.runs import TENANT

from teamrun.batches import acceptance
from teamrun.batches.entries import FINAL
from teamrun.batches.keys import BatchRef, item_run_id
from teamrun.batches.resources import Batch
from teamrun.core.refs import RunRef
from teamrun.errors import BatchEnded, BatchNotFinished
from teamrun.runs.log.entries import End, calls_of
from teamrun.storage.memory import MemoryStore

ITEMS = 23
MOST = 6
SCRIPT = {"a": ["DONE"]}
FAILING = {"a": [{"error": {"message": "bad"}}]}


class Shuffled(MemoryStore):
    """A store whose requests take a random number of turns of the event loop."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice

    async def _turns(self) -> None:
        for _ in range(self._dice.choice((0, 0, 1, 3))):
            await asyncio.sleep(0)

    async def put_new(self, key: str, data: bytes) -> bool:
        await self._turns()
        is_new = await super().put_new(key, data)
        await self._turns()
        return is_new

    async def put(self, key: str, data: bytes) -> None:
        await self._turns()
        await super().put(key, data)
        await self._turns()

    async def get(self, key: str) -> bytes:
        await self._turns()
        return await super().get(key)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        await self._turns()
        return await super().get_many(keys)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        await self._turns()
        return await super().list(prefix, after=after, limit=limit)

    async def delete_many(self, keys: Sequence[str]) -> None:
        await self._turns()
        await super().delete_many(keys)


class Schedule:
    """One schedule over a batch."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.first = Batches(SCRIPT, store=Shuffled(self.dice))
        self.processes = [self.process(), self.process()]
        self.revision = 0
        self.is_cancelled = False

    def process(self) -> Batches:
        """A process whose model fails, or does not."""
        return Batches(self.dice.choice((SCRIPT, SCRIPT, FAILING)), of=self.first)

    async def run(self) -> Batch:
        self.batch = await self.first.submit(["go"] * ITEMS, max_concurrency=MOST)
        actions: list[Callable[[], Awaitable[object]]] = [
            *[self.step] * 6,
            *[self.work] * 6,
            *[self.both_step] * 3,
            self.look_while_others_step,
            self.lose_messages,
            self.die,
            self.die_at_some_moment,
            self.lose_leases,
            self.pause,
            self.resume,
            self.retry,
        ]
        for _ in range(80):
            await self.dice.choice(actions)()
            await self.look()
        if self.dice.random() < 0.3:
            await self.cancel()
        return await self.ended()

    @property
    def any(self) -> Batches:
        return self.dice.choice(self.processes)

    async def step(self) -> None:
        await self.any.driver(self.batch).step()

    async def both_step(self) -> None:
        await asyncio.gather(*(each.driver(self.batch).step() for each in self.processes))

    async def look_while_others_step(self) -> None:
        await asyncio.gather(self.both_step(), self.look(), self.look())

    async def work(self) -> None:
        await self.any.work(self.dice.randint(1, 4))

    async def lose_messages(self) -> None:
        self.first.cluster.queue.waiting.clear()

    async def die(self) -> None:
        self.processes[self.dice.randrange(2)] = self.process()

    async def die_at_some_moment(self) -> None:
        place = self.dice.randrange(2)
        step = asyncio.ensure_future(self.processes[place].driver(self.batch).step())
        for _ in range(self.dice.randint(1, 60)):
            await asyncio.sleep(0)
        step.cancel()
        await asyncio.wait([step])
        self.processes[place] = self.process()

    async def lose_leases(self) -> None:
        await self.first.after_a_lease()
        await self.any.driver(self.batch).attend()

    async def pause(self) -> None:
        with suppress(BatchEnded):
            await self.first.service.pause(TENANT, self.batch.id)

    async def resume(self) -> None:
        with suppress(BatchEnded):
            await self.first.service.resume(TENANT, self.batch.id)

    async def cancel(self) -> None:
        with suppress(BatchEnded):
            await self.first.service.cancel(TENANT, self.batch.id)
            self.is_cancelled = True

    async def retry(self) -> None:
        with suppress(BatchNotFinished):
            await self.first.service.retry_failed(TENANT, self.batch.id)

    async def look(self) -> Batch:
        """What clients see: sums that are whole, and a revision that only grows."""
        before = self.revision
        now = await self.first.service.get(TENANT, self.batch.id)
        counts = now.counts.model_dump()
        assert counts.pop("total") == sum(counts.values()) == ITEMS
        assert counts["running"] <= MOST
        assert now.revision >= before
        self.revision = max(self.revision, now.revision)
        return now

    async def ended(self) -> Batch:
        """Let time pass until the batch has ended."""
        for _ in range(40):
            await self.resume()
            await self.step()
            await self.work()
            await self.lose_leases()
            await self.work()
            if (now := await self.look()).status in FINAL:
                return now
        raise AssertionError("the batch does not end")

    async def check(self, ended: Batch) -> None:
        """Each item has one newest result; each run has one end, and at most one call on record."""
        results = await self.first.results(ended)
        indices = [result["index"] for result in results]
        assert indices == sorted(set(indices))
        by_status = Counter[str](result["status"] for result in results)
        assert by_status["completed"] == ended.counts.completed
        assert by_status["failed"] == ended.counts.failed
        if not self.is_cancelled:
            assert (ended.status, indices) == ("completed", list(range(ITEMS)))
        keys = await self.first.store.list("t/", limit=100_000)
        runs = {key.split("/")[4] for key in keys if "/runs/" in key}
        ref = BatchRef(TENANT, ended.id)
        rounds = range(1, ended.round + 1)
        known = {item_run_id(ref, number, index) for number in rounds for index in range(ITEMS)}
        assert {result["run_id"] for result in results} <= runs <= known
        for run_id in runs:
            entries = await self.first.cluster.log(RunRef(TENANT, run_id)).read()
            assert [e.n for e in entries if isinstance(e.body, End)] == [len(entries) - 1]
            assert sum(len(calls_of(entry.body)) for entry in entries) <= 1
        events = (await self.first.service.events(TENANT, ended.id, limit=1_000)).data
        assert [event.seq for event in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize("seed", seeds(40))
async def test_a_random_schedule(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "_BLOCK", 4)  # so that several blocks are settled
    schedule = Schedule(seed)

    await schedule.check(await schedule.run())
