"""Items whose logs are damaged: they fail, and their batch goes on."""

from datetime import timedelta

import pytest
from tests.support.batches import Batches
from tests.support.runs import TENANT, solo

from teamrun.batches.resources import Batch
from teamrun.core.refs import RunRef
from teamrun.runs.log.keys import entry_key

PERSON = {"type": "user_proxy_agent", "name": "person"}
ASKING = solo() | {"participants": [PERSON, solo()["participants"][0]]}


async def begun(batches: Batches, items: int = 3) -> tuple[Batch, str]:
    """A batch whose items are in flight, and the run of the second one."""
    batch = await batches.submit([{"custom_id": f"i{n}", "input": "go"} for n in range(items)])
    await batches.driver(batch).step()
    page = await batches.service.items(TENANT, batch.id)
    return batch, page.data[1].run_id or ""


async def damage(batches: Batches, run_id: str, n: int = 0) -> str:
    key = entry_key(RunRef(TENANT, run_id), n)
    await batches.store.put(key, b"{")
    return key


async def looked_after(batches: Batches, batch: Batch) -> Batch:
    """Two looks, with more than the patience between them, then everything to its end."""
    for _ in range(3):
        await batches.work()
        await batches.after_a_lease()
        await batches.driver(batch).attend()
    return await batches.finish(batch)


@pytest.mark.parametrize("n", [0, 1])
async def test_an_item_whose_log_is_damaged_has_failed_and_the_others_end(n: int) -> None:
    batches = Batches()
    batch, run_id = await begun(batches)
    if n:
        await batches.cluster.claim_and_die(RunRef(TENANT, run_id))
    await damage(batches, run_id, n)

    ended = await looked_after(batches, batch)

    assert (ended.status, ended.counts.completed, ended.counts.failed) == ("completed", 2, 1)
    [error] = await batches.errors(batch)
    assert (error["custom_id"], error["run_id"]) == ("i1", run_id)
    assert error["error"]["code"] == error["stop_code"] == "unreadable_entry"
    [item] = (await batches.service.items(TENANT, batch.id, status="failed")).data
    assert item.index == 1
    assert [result["index"] for result in await batches.results(batch)] == [0, 1, 2]


async def test_a_batch_with_a_damaged_item_can_be_cancelled() -> None:
    batches = Batches()
    batch, run_id = await begun(batches)
    await damage(batches, run_id)
    batches.cluster.queue.waiting.clear()

    await batches.service.cancel(TENANT, batch.id)
    await batches.driver(batch).step()
    ended = await looked_after(batches, batch)

    assert (ended.status, ended.counts.cancelled, ended.counts.failed) == ("cancelled", 2, 1)


async def test_a_waiting_item_whose_log_is_damaged_fails_when_its_batch_is_cancelled() -> None:
    batches = Batches(team=ASKING)
    batch, run_id = await begun(batches)
    await batches.work()
    await batches.after_a_lease()
    await batches.driver(batch).attend()
    await damage(batches, run_id)
    await batches.cluster.live.drop_view(f"run:{TENANT}.{run_id}")

    await batches.service.cancel(TENANT, batch.id)
    await batches.driver(batch).step()
    ended = await looked_after(batches, batch)

    assert (ended.status, ended.counts.cancelled, ended.counts.failed) == ("cancelled", 2, 1)


async def test_an_item_that_is_restored_in_time_is_executed() -> None:
    batches = Batches()
    batch, run_id = await begun(batches)
    key = entry_key(RunRef(TENANT, run_id), 0)
    before = await batches.store.get(key)
    await damage(batches, run_id)
    await batches.work()
    await batches.after_a_lease()
    await batches.driver(batch).attend()
    await batches.store.put(key, before)

    ended = await looked_after(batches, batch)

    assert (ended.status, ended.counts.completed) == ("completed", 3)


async def test_a_damaged_item_is_retried_as_a_new_run() -> None:
    batches = Batches()
    batch, run_id = await begun(batches)
    await damage(batches, run_id)
    await looked_after(batches, batch)

    await batches.service.retry_failed(TENANT, batch.id)
    ended = await batches.finish(batch)

    assert (ended.counts.completed, ended.counts.failed) == (3, 0)
    assert run_id not in {result["run_id"] for result in await batches.results(batch)}


async def test_another_driver_goes_on_though_the_run_of_an_item_is_damaged() -> None:
    batches = Batches()
    batch, run_id = await begun(batches)
    await damage(batches, run_id)
    other = Batches(of=batches)

    await other.driver(batch).step()
    await other.work()
    batches.cluster.clock.shift += timedelta(hours=1)
    ended = await looked_after(other, batch)

    assert (ended.counts.completed, ended.counts.failed) == (2, 1)
