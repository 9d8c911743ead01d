"""How many items are in flight: places that are free, and items that wait for a person."""

import asyncio
from datetime import timedelta

import pytest
from tests.support.batches import Batches
from tests.support.runs import TENANT, solo

from teamrun.batches.decisions import TOP_UP, decide
from teamrun.batches.ends import answer_notice, batch_topic
from teamrun.batches.entries import Step
from teamrun.batches.keys import BatchRef
from teamrun.batches.log import BatchLog
from teamrun.batches.progress import Progress, read_progress
from teamrun.batches.resources import Batch
from teamrun.runs.service.requests import Answer

PERSON = {"type": "user_proxy_agent", "name": "person"}
ASKING = solo() | {"participants": [PERSON, solo()["participants"][0]]}


async def progress_of(batches: Batches, batch: Batch) -> Progress:
    log = BatchLog(
        batches.store, BatchRef(TENANT, batch.id), writer="test", clock=batches.cluster.clock
    )
    return await read_progress(batches.store, log, None)


@pytest.mark.parametrize(
    ("most", "ended", "age", "started"),
    [
        (40, 9, timedelta(), 0),
        (40, 10, timedelta(), 10),
        (40, 1, TOP_UP, 1),
        (40, 0, TOP_UP, 0),
        (4, 1, timedelta(), 1),
        (7, 1, timedelta(), 1),
        (1, 1, timedelta(), 1),
    ],
)
async def test_items_start_when_a_quarter_of_the_places_is_free_or_after_a_second(
    most: int, ended: int, age: timedelta, started: int
) -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 100, max_concurrency=most)
    await batches.driver(batch).step()
    await batches.work(ended)
    progress = await progress_of(batches, batch)

    due = decide(progress, settled=[], waiting=0, now=progress.state.at + age)

    fed = due.body.fed if due is not None and isinstance(due.body, Step) else most
    assert fed - most == started


async def test_a_driver_knows_that_it_has_room() -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 100, max_concurrency=40)
    driver = batches.driver(batch)
    await driver.step()
    full = driver.has_room
    await batches.work(1)
    batches.cluster.clock.shift -= timedelta(hours=1)  # less than a second has passed
    await driver.step()

    assert (full, driver.has_room) == (False, True)


async def waiting_items(batches: Batches) -> Batch:
    """A batch of five items, two at once; two wait for a person, and the next two have started."""
    batch = await batches.submit(["go"] * 5, max_concurrency=2)
    await batches.driver(batch).step()
    await batches.work()
    await batches.after_a_lease()
    await batches.driver(batch).attend()
    await batches.driver(batch).step()
    return batch


async def answer(batches: Batches, batch: Batch, index: int) -> None:
    item = (await batches.service.items(TENANT, batch.id)).data[index]
    run = await batches.cluster.service.get(TENANT, item.run_id or "")
    [action] = run.required_actions
    await batches.cluster.service.answer(
        TENANT, run.id, Answer(action_id=action.id, decision="answer", content="yes")
    )


@pytest.mark.parametrize("is_noticed", [True, False])
async def test_an_item_that_is_answered_takes_a_place_again(is_noticed: bool) -> None:
    batches = Batches(team=ASKING)
    batch = await waiting_items(batches)
    driver = batches.driver(batch)
    await batches.work()
    await batches.after_a_lease()
    await driver.attend()
    for index in (0, 1):
        await answer(batches, batch, index)
        if is_noticed:
            driver.goes_on(1, index)
    if not is_noticed:
        batches.cluster.clock.shift += timedelta(minutes=5)
        await driver.attend()

    await driver.step()

    assert (await batches.service.get(TENANT, batch.id)).counts.running == 4


async def test_without_answers_the_places_are_free() -> None:
    batches = Batches(team=ASKING)
    batch = await waiting_items(batches)
    driver = batches.driver(batch)
    await batches.work()
    await batches.after_a_lease()
    await driver.attend()

    await driver.step()

    assert (await batches.service.get(TENANT, batch.id)).counts.running == 5


async def test_the_feeder_is_notified_of_an_answer() -> None:
    batches = Batches(team=ASKING)
    batch = await waiting_items(batches)
    item = (await batches.service.items(TENANT, batch.id)).data[1]
    run = await batches.cluster.service.get(TENANT, item.run_id or "")
    given = Answer(action_id=run.required_actions[0].id, decision="answer", content="yes")

    async with batches.cluster.live.subscribe(batch_topic(BatchRef(TENANT, batch.id))) as messages:
        await batches.signals.answer(TENANT, run.id, given)
        async with asyncio.timeout(10):
            found = await anext(aiter(messages))

    assert found == answer_notice(1, 1)
