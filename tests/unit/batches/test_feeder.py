"""The feeder of a process: it finds batches, drives them, and leaves them to others."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from tests.support.batches import Batches
from tests.support.runs import TENANT

from teamrun.batches.keys import BatchRef, live_marker
from teamrun.batches.resources import Batch
from teamrun.core.ids import new_id
from teamrun.errors import BatchNotFound
from teamrun.runs.log.entries import Claim, LoggedEvent, Step
from teamrun.runs.log.status import RequiredAction


@asynccontextmanager
async def feeding(batches: Batches, owner: str = "f1") -> AsyncGenerator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(batches.feeder(owner).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)


async def until_ended(batches: Batches, batch: Batch) -> Batch:
    async with asyncio.timeout(20):
        async for now in batches.service.changes(TENANT, batch.id):
            await batches.work()
            batch = now
    return batch


async def test_a_submitted_batch_is_driven_to_its_end() -> None:
    batches = Batches()
    async with feeding(batches):
        batch = await batches.submit(["go"] * 30, max_concurrency=10)
        ended = await until_ended(batches, batch)

    assert (ended.status, ended.counts.completed) == ("completed", 30)


async def test_a_batch_is_driven_by_another_process_when_one_has_stopped() -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 30, max_concurrency=10)
    async with feeding(batches, "f1"):
        async with asyncio.timeout(20):
            async for now in batches.service.changes(TENANT, batch.id):
                if now.counts.running:
                    break
    await batches.after_a_lease()

    async with feeding(Batches(of=batches), "f2"):
        ended = await until_ended(batches, batch)

    assert ended.counts.completed == 30
    assert len(batches.cluster.queue.sent) == 30


async def test_one_of_two_processes_drives() -> None:
    batches = Batches()
    other = Batches(of=batches)
    async with feeding(batches, "f1"), feeding(other, "f2"):
        batch = await batches.submit(["go"] * 30, max_concurrency=10)
        ended = await until_ended(batches, batch)

    assert ended.counts.completed == 30
    assert len(batches.cluster.queue.sent) == 30


async def test_an_acceptance_that_was_interrupted_is_closed_after_an_hour() -> None:
    batches = Batches()
    ref = BatchRef(TENANT, new_id("bat"))
    await batches.store.put_new(live_marker(ref), b"")
    feeder = batches.feeder()

    await feeder.sweep()
    await settled()
    assert await batches.store.list("batches/") == [live_marker(ref)]
    batches.cluster.clock.shift += timedelta(hours=2)
    await feeder.sweep()
    await settled()

    assert await batches.store.list("batches/") == []
    with pytest.raises(BatchNotFound):
        await batches.service.get(TENANT, ref.batch_id)


async def settled() -> None:
    """Let the tasks of the feeder come to their end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    drives = [task for task in others if task.get_name().startswith("batch ")]
    await asyncio.wait(drives, timeout=10)


async def test_markers_of_another_form_are_left_out() -> None:
    batches = Batches()
    await batches.store.put_new("batches/nonsense", b"")

    await batches.feeder().sweep()

    assert await batches.store.list("batches/") == ["batches/nonsense"]


async def test_a_damaged_log_stops_its_batch_and_no_other() -> None:
    batches = Batches()
    damaged = await batches.submit(["go"])
    batch = await batches.submit(["go"] * 3)
    [key] = [key for key in await batches.store.list("t/") if damaged.id in key and "log/" in key]
    await batches.store.put(key, b"{}")

    async with feeding(batches):
        ended = await until_ended(batches, batch)

    assert ended.status == "completed"
    assert await batches.store.list("batches/") == [f"batches/{TENANT}.{damaged.id}"]


async def test_an_item_whose_worker_died_just_after_a_question_is_sent_again() -> None:
    batches = Batches()
    batch = await batches.submit(["go"])
    await batches.driver(batch).step()
    ref = batches.cluster.queue.waiting.popleft()
    log = batches.cluster.log(ref, "dead")
    state = await log.state()
    assert state is not None
    await log.append(state, Claim(owner="dead"), [], epoch=1)
    action = RequiredAction(id="a/input:0", type="input", prompt="?")
    asked = LoggedEvent("run.input_required", "a", action.model_dump())
    await log.append(state, Step(emitted=1), [asked], epoch=1)
    await batches.after_a_lease()

    await batches.driver(batch).attend()

    assert [*batches.cluster.queue.waiting] == [ref]
