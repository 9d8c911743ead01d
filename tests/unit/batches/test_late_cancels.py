"""Items whose step was written just before a cancel or a pause."""

import pytest
from tests.support.batches import TENANT, Batches

from teamrun.batches.driver import BatchDriver
from teamrun.batches.progress import Progress
from teamrun.batches.resources import Batch
from teamrun.errors import Unavailable


async def stepped(batches: Batches, patch: pytest.MonkeyPatch) -> Batch:
    """A batch whose driver has written a step, and has created no run of it yet."""
    batch = await batches.submit([f"i{n}" for n in range(5)], max_concurrency=5)

    async def interrupted(self: BatchDriver, progress: Progress) -> None:
        if progress.state.round.fed:
            raise Unavailable("frozen")

    with patch.context() as patched:
        patched.setattr(BatchDriver, "_create", interrupted)
        with pytest.raises(Unavailable):
            await batches.driver(batch).step()
    assert not batches.cluster.queue.waiting
    return batch


async def test_no_item_is_sent_after_a_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches()
    batch = await stepped(batches, monkeypatch)
    await batches.service.cancel(TENANT, batch.id)

    assert not await batches.driver(batch).step()
    assert not batches.cluster.queue.waiting
    assert await batches.driver(batch).step()

    ended = await batches.service.get(TENANT, batch.id)
    assert (ended.status, ended.counts.cancelled) == ("cancelled", 5)


async def test_after_a_pause_they_start_when_the_batch_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches = Batches()
    batch = await stepped(batches, monkeypatch)
    await batches.service.pause(TENANT, batch.id)
    await batches.driver(batch).step()
    await batches.driver(batch).attend()
    assert not batches.cluster.queue.waiting

    await batches.service.resume(TENANT, batch.id)

    assert (await batches.finish(batch)).counts.completed == 5


async def test_a_step_starts_so_many_items_that_a_cancel_is_noticed_soon() -> None:
    batches = Batches()
    batch = await batches.submit([str(n) for n in range(250)], max_concurrency=1_000)
    create, made = BatchDriver._create, list[int]()  # pyright: ignore[reportPrivateUsage]

    class Watched(BatchDriver):
        async def _create(self, progress: Progress) -> None:
            made.append(progress.state.round.fed)
            await create(self, progress)

    driver = batches.driver(batch)
    driver.__class__ = Watched
    await driver.step()

    assert made == [0, 100, 200, 250]
