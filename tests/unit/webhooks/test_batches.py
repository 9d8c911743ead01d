"""The webhooks of batches: named in the request, and registered."""

import contextlib
from datetime import timedelta

import pytest
from tests.support.runs import TENANT
from tests.support.webhooks import URL, Office, batches_of

from teamrun.batches.keys import BatchRef, batch_folder
from teamrun.core.refs import RunRef
from teamrun.errors import DestinationRefused, Unavailable
from teamrun.testing import Fault, FaultStore, MemoryStore
from teamrun.webhooks.records import read_all_records
from teamrun.webhooks.requests import WebhookRequest

HOOK = {"url": URL, "events": ["batch.*"], "metadata": {"order": "4711"}}


async def test_the_events_of_a_batch_are_sent_to_the_webhook_that_it_names() -> None:
    office = Office()
    batches = batches_of(office)
    batch = await batches.submit(["1", "2", "3"], webhook=HOOK)
    await batches.finish(batch)
    await office.drained()

    sent = office.planned.tries
    assert (sent[0]["type"], sent[-1]["type"]) == ("batch.started", "batch.completed")
    page = await batches.service.events(TENANT, batch.id)
    assert [event["id"] for event in sent] == [event.id for event in page.data]
    assert {event["batch_id"] for event in sent} == {batch.id}
    assert batch.webhook is not None and batch.webhook.model_dump(include=set(HOOK)) == HOOK
    assert await office.markers() == []


async def test_the_acceptance_of_an_item_is_sent_to_a_registered_webhook() -> None:
    office = Office()
    batches = batches_of(office)
    batches.run_pre_commit = (office.parts.outbox.pre_commit,)
    request = WebhookRequest.model_validate({"url": URL, "events": ["run.queued"]})
    await office.service.create(TENANT, request)
    batch = await batches.submit(["1", "2"])
    await batches.finish(batch)
    await office.drained()

    sent = {event["run_id"] for event in office.planned.tries}
    assert sent == {item.run_id for item in (await batches.service.items(TENANT, batch.id)).data}
    assert await office.markers() == []


async def test_by_default_only_the_end_of_a_batch_is_sent() -> None:
    office = Office()
    batches = batches_of(office)
    batch = await batches.submit(["1"], webhook={"url": URL})
    await batches.finish(batch)
    await office.drained()
    assert [event["type"] for event in office.planned.tries] == ["batch.completed"]


async def test_a_registered_webhook_is_sent_the_events_of_batches() -> None:
    office = Office()
    request = WebhookRequest.model_validate({"url": URL, "events": ["batch.completed"]})
    hook = await office.service.create(TENANT, request)
    batches = batches_of(office)
    batch = await batches.submit(["1"])
    await batches.finish(batch)
    await office.drained()
    [delivery] = (await office.service.deliveries(TENANT, hook.id)).data
    assert (delivery.event_type, delivery.status) == ("batch.completed", "delivered")

    again = await office.service.redeliver(TENANT, hook.id, delivery.event_id)
    assert again.status == "pending"
    office.clock.shift += timedelta(seconds=1)
    await office.sweep()
    assert [event["id"] for event in office.planned.tries] == [delivery.event_id] * 2


async def test_a_failed_delivery_of_a_batch_is_tried_again() -> None:
    office = Office()
    office.planned.decide = lambda _: 500
    batches = batches_of(office)
    batch = await batches.submit(["1"], webhook={"url": URL})
    await batches.finish(batch)
    await office.drained()
    office.planned.decide = lambda _: 204
    office.clock.shift += timedelta(seconds=10)
    await office.sweep()

    folder = f"{batch_folder(BatchRef(TENANT, batch.id))}hook/"
    [record] = await read_all_records(office.store, folder)
    assert record.settled is not None and record.settled.outcome == "delivered"
    assert len(office.planned.tries) == 2


async def test_an_event_of_a_batch_survives_the_process_that_wrote_it() -> None:
    memory = MemoryStore()
    store = FaultStore(memory)
    office = Office(store=store)
    batches = batches_of(office)
    batch = await batches.submit(["1"], webhook={"url": URL})
    # The response to the write of the end is lost, so nothing follows it in this process.
    store.plan(Fault(outcome="reply_lost", method="put_new", key=f"*{batch.id}/log/*", after=1))
    with contextlib.suppress(Unavailable):
        await batches.finish(batch)
    assert office.planned.tries == []

    other = Office(store=memory, clock=office.clock)
    for _ in range(3):
        other.clock.shift += timedelta(minutes=1, seconds=1)
        await other.sweep()
        with contextlib.suppress(Unavailable):
            await batches.finish(batch)
            await office.drained()
    sent = [*office.planned.tries, *other.planned.tries]
    assert {event["type"] for event in sent} == {"batch.completed"}
    assert len({event["id"] for event in sent}) == 1


async def test_a_url_that_is_not_allowed_is_refused_and_nothing_is_accepted() -> None:
    office = Office()
    batches = batches_of(office)
    with pytest.raises(DestinationRefused) as refused:
        await batches.submit(["1"], webhook={"url": "http://receiver.example/"})
    assert refused.value.pointer == "/webhook/url"
    assert await office.store.list("batches/") == []


async def test_a_batch_that_is_not_there_has_no_events() -> None:
    office = Office()
    source = office.parts.sources["bat_"]
    assert await source.history(RunRef(TENANT, "bat_none")) is None
