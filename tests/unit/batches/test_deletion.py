"""Batches that are deleted, by a client or by their age."""

from datetime import timedelta

import pytest
from tests.support.batches import Batches
from tests.support.runs import TENANT

from teamrun.batches.erasure import BatchErasure
from teamrun.batches.keys import BatchRef
from teamrun.batches.log import BatchLog
from teamrun.errors import BatchNotFinished, BatchNotFound, RunNotFound


def erasure_of(batches: Batches) -> BatchErasure:
    return BatchErasure(store=batches.store, clock=batches.cluster.clock)


async def test_a_deleted_batch_is_gone_and_its_runs_follow() -> None:
    batches = Batches()
    batch = await batches.finish(await batches.submit(["go"] * 3))
    run_id = (await batches.service.items(TENANT, batch.id)).data[0].run_id or ""

    await batches.service.delete(TENANT, batch.id)
    with pytest.raises(BatchNotFound):
        await batches.service.get(TENANT, batch.id)
    with pytest.raises(BatchNotFound):
        await batches.service.delete(TENANT, batch.id)
    assert (await batches.service.list(TENANT, limit=5, after=None)).data == []
    await erasure_of(batches).sweep(None)
    assert (await batches.cluster.service.get(TENANT, run_id)).status == "completed"

    batches.cluster.clock.shift += timedelta(hours=2)
    await erasure_of(batches).sweep(None)

    with pytest.raises(RunNotFound):
        await batches.cluster.service.get(TENANT, run_id)
    assert await batches.store.list("") == []


async def test_the_runs_of_all_rounds_are_removed() -> None:
    batches = Batches({"a": [{"error": {"message": "bad"}}]})
    batch = await batches.finish(await batches.submit(["go"] * 3))
    await batches.service.retry_failed(TENANT, batch.id)
    await batches.finish(batch)

    await batches.service.delete(TENANT, batch.id)
    batches.cluster.clock.shift += timedelta(hours=2)
    await erasure_of(batches).sweep(None)

    assert await batches.store.list("") == []


async def test_a_batch_that_has_not_ended_is_not_deleted() -> None:
    batches = Batches()
    batch = await batches.submit(["go"])

    with pytest.raises(BatchNotFinished):
        await batches.service.delete(TENANT, batch.id)

    assert (await batches.finish(batch)).status == "completed"


async def test_old_batches_are_deleted_and_new_and_open_ones_are_kept() -> None:
    batches = Batches()
    old = await batches.finish(await batches.submit(["go"]))
    still_open = await batches.submit(["go"])
    batches.cluster.clock.shift += timedelta(days=8)
    new = await batches.finish(await batches.submit(["go"]))

    await erasure_of(batches).sweep(timedelta(days=7))

    with pytest.raises(BatchNotFound):
        await batches.service.get(TENANT, old.id)
    left = (await batches.service.list(TENANT, limit=5, after=None)).data
    assert {batch.id for batch in left} == {still_open.id, new.id}


@pytest.mark.parametrize("done", range(5))
async def test_an_interrupted_removal_is_finished(done: int) -> None:
    batches = Batches()
    batch = await batches.finish(await batches.submit(["go"] * 3))
    await batches.service.delete(TENANT, batch.id)
    batches.cluster.clock.shift += timedelta(hours=2)
    keys = [key for key in await batches.store.list("t/") if "/todo" not in key]
    await batches.store.delete_many(keys[: len(keys) * done // 4])

    await erasure_of(batches).sweep(None)

    assert await batches.store.list("") == []


@pytest.mark.parametrize("is_purged", [False, True])
async def test_a_driver_that_was_suspended_does_not_bring_a_deleted_batch_back(
    is_purged: bool,
) -> None:
    batches = Batches()
    batch = await batches.finish(await batches.submit(["go"]))
    ref = BatchRef(TENANT, batch.id)
    log = BatchLog(batches.store, ref, writer="suspended", clock=batches.cluster.clock)
    state = await log.existing()
    await batches.service.delete(TENANT, batch.id)
    if is_purged:
        batches.cluster.clock.shift += timedelta(hours=2)
        await erasure_of(batches).sweep(None)

    await log.put_snapshot(state, always=True)

    with pytest.raises(BatchNotFound):
        await batches.service.get(TENANT, batch.id)
    assert [key for key in await batches.store.list("t/") if "state.json" in key] == []
