"""Counts, the list of items, results and errors agree at every moment.

A schedule is a random sequence of what clients and workers do, reproduced by its seed.
"""

import random
from collections import Counter
from contextlib import suppress

import pytest
from tests.support.batches import Batches
from tests.support.examples import seeds
from tests.support.runs import TENANT

from teamrun.batches import acceptance
from teamrun.batches.resources import Batch, BatchItemView
from teamrun.errors import BatchEnded, BatchNotFinished
from teamrun.json_types import JsonObject

ITEMS = 17
GOOD = {"a": ["DONE"]}
BAD = {"a": [{"error": {"message": "bad"}}]}


async def every_item(batches: Batches, batch: Batch) -> list[BatchItemView]:
    page = await batches.service.items(TENANT, batch.id, limit=100)
    assert not page.has_more
    return page.data


async def agree(batches: Batches, batch: Batch) -> list[JsonObject]:
    """Compare all that a client can read; returns the results."""
    counts = (await batches.service.get(TENANT, batch.id)).counts.model_dump()
    items = await every_item(batches, batch)
    results, errors = await batches.results(batch), await batches.errors(batch)
    assert counts.pop("total") == len(items) == ITEMS
    assert Counter(item.status for item in items) == +Counter(counts)

    ended = {each.index: each.result for each in items if each.result is not None}
    assert [each["index"] for each in results] == sorted(ended)
    for each in (*results, *errors):
        index: int = each["index"]
        item = items[index]
        assert (each["status"], each["run_id"]) == (item.status, item.run_id)
    never = {each.index for each in items if each.status == "cancelled" and each.run_id is None}
    failed = {each["index"] for each in results if each["status"] != "completed"}
    assert [each["index"] for each in errors] == sorted(failed | never)
    return results


class Schedule:
    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.first = Batches(GOOD)
        self.processes = [self.first, Batches(BAD, of=self.first)]

    async def run(self) -> None:
        self.batch = await self.first.submit(
            ["go"] * ITEMS, max_concurrency=self.dice.choice((1, 3, 6))
        )
        acts = [self.step, self.step, self.work, self.work, self.look_after]
        acts += [self.pause, self.resume, self.cancel, self.retry, self.retry]
        for _ in range(40):
            await self.dice.choice(acts)()
            await agree(self.first, self.batch)

    async def step(self) -> None:
        await self.dice.choice(self.processes).driver(self.batch).step()

    async def work(self) -> None:
        await self.dice.choice(self.processes).work(self.dice.randint(1, 5))

    async def look_after(self) -> None:
        await self.first.after_a_lease()
        await self.dice.choice(self.processes).driver(self.batch).attend()

    async def pause(self) -> None:
        with suppress(BatchEnded):
            await self.first.service.pause(TENANT, self.batch.id)

    async def resume(self) -> None:
        with suppress(BatchEnded):
            await self.first.service.resume(TENANT, self.batch.id)

    async def cancel(self) -> None:
        with suppress(BatchEnded):
            await self.first.service.cancel(TENANT, self.batch.id)

    async def retry(self) -> None:
        with suppress(BatchNotFinished):
            await self.first.service.retry_failed(TENANT, self.batch.id)


@pytest.mark.parametrize("seed", seeds(40))
async def test_what_clients_read_agrees_after_each_step(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "_BLOCK", 4)  # so that several blocks are settled

    await Schedule(seed).run()


async def test_a_retry_that_is_cancelled_leaves_earlier_results_in_place() -> None:
    bad = Batches(BAD)
    batch = await bad.submit(["go"] * ITEMS, max_concurrency=4)
    await bad.driver(batch).step()
    await bad.work()
    await bad.service.cancel(TENANT, batch.id)
    first = (await bad.finish(batch)).counts
    before = await agree(bad, batch)

    await bad.service.retry_failed(TENANT, batch.id)
    queued = await agree(bad, batch)
    await bad.service.cancel(TENANT, batch.id)
    cancelling = (await bad.service.get(TENANT, batch.id)).counts
    ended = (await bad.finish(batch)).counts

    assert (first.failed, first.cancelled, len(before)) == (4, 13, 4)
    assert queued == []
    assert cancelling == ended == first
    assert await agree(bad, batch) == before


async def test_a_later_retry_keeps_what_earlier_ones_left() -> None:
    bad = Batches(BAD)
    batch = await bad.finish(await bad.submit(["go"] * ITEMS, max_concurrency=5))
    good = Batches(GOOD, of=bad)
    for _ in range(2):
        await good.service.retry_failed(TENANT, batch.id)
        await good.driver(batch).step()
        await good.work()
        await good.service.cancel(TENANT, batch.id)
        await good.finish(batch)
        await agree(good, batch)

    counts = (await good.service.get(TENANT, batch.id)).counts

    assert (counts.completed, counts.failed, counts.cancelled) == (10, 7, 0)
