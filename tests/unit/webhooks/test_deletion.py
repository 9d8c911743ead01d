"""What a deleted run, batch or webhook leaves of its deliveries: a note of those that waited."""

from datetime import timedelta

import pytest
from tests.support.runs import TENANT
from tests.support.webhooks import URL, Office, batches_of

from teamrun.batches.erasure import BatchErasure
from teamrun.batches.keys import BatchRef, item_run_id
from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryNotFound, PreconditionFailed, Unavailable
from teamrun.runs.log.keys import delivery_index, entry_key
from teamrun.testing import Fault, FaultStore, MemoryStore
from teamrun.webhooks.listing import Listing
from teamrun.webhooks.requests import RedeliverRequest, WebhookPatch, WebhookRequest
from teamrun.webhooks.resources import DeliveryResource

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


async def registered(office: Office, *events: str) -> str:
    request = WebhookRequest.model_validate({"url": URL, "events": list(events)})
    return (await office.service.create(TENANT, request)).id


async def listed(office: Office, hook: str) -> list[DeliveryResource]:
    return (await office.service.deliveries(TENANT, hook)).data


async def test_a_deleted_run_leaves_a_note_of_what_waited_and_nothing_of_what_was_delivered() -> (
    None
):
    office = Office()
    hook = await registered(office, "run.*")
    office.planned.decide = lambda event: 500 if event["type"] == "run.completed" else 204
    ref = await office.ended()
    assert [each.status for each in await listed(office, hook)] == [
        "pending",
        "delivered",
        "delivered",
    ]
    await office.cluster.service.delete(TENANT, ref.run_id)

    [note] = await listed(office, hook)
    assert (note.event_type, note.status) == ("run.completed", "failed")
    assert (note.given_up_because, note.next_try_at) == ("run_deleted", None)
    assert [made.status for made in note.tries] == [500]
    office.planned.tries.clear()
    office.clock.shift += MINUTE
    await office.sweep()
    assert (office.planned.tries, await office.markers()) == ([], [])
    assert await listed(office, hook) == [note]


async def test_a_note_is_not_delivered_again() -> None:
    office = Office()
    hook = await registered(office, "run.completed")
    office.planned.decide = lambda _: 500
    ref = await office.ended()
    await office.cluster.service.delete(TENANT, ref.run_id)
    other = await office.ended()

    since = RedeliverRequest(since=office.clock.now() - HOUR)
    assert (await office.service.redeliver_since(TENANT, hook, since)).redelivered == 1
    [fresh, note] = await listed(office, hook)
    assert fresh.event_id.startswith(other.run_id)
    with pytest.raises(DeliveryNotFound):
        await office.service.redeliver(TENANT, hook, note.event_id)


async def test_notes_are_found_by_their_status_and_by_pages() -> None:
    office = Office()
    hook = await registered(office, "run.completed")
    office.planned.decide = lambda _: 500
    for _ in range(3):
        ref = await office.ended()
        await office.cluster.service.delete(TENANT, ref.run_id)
        office.clock.shift += SECOND
    found: list[str] = []
    after = None
    while True:
        page = await office.service.deliveries(TENANT, hook, status="failed", limit=1, after=after)
        found += [each.event_id for each in page.data]
        if not page.has_more:
            break
        after = page.next_cursor
    assert len(set(found)) == len(found) == 3


async def test_a_delivery_that_never_began_leaves_a_note_too() -> None:
    office = Office()
    hook = await registered(office, "run.completed")
    office.planned.decide = lambda _: "timeout"
    refs = [await office.ended() for _ in range(6)]
    await office.cluster.service.delete(TENANT, refs[-1].run_id)
    [note, *_] = await listed(office, hook)
    assert (note.tries, note.given_up_because) == ([], "run_deleted")


async def test_a_deletion_that_was_interrupted_leaves_its_notes() -> None:
    store = FaultStore(MemoryStore())
    office = Office(store=store)
    hook = await registered(office, "run.completed")
    office.planned.decide = lambda _: 500
    ref = await office.ended()
    store.plan(Fault(outcome="unavailable", method="put", key=entry_key(ref, 0)))
    with pytest.raises(Unavailable):
        await office.cluster.service.delete(TENANT, ref.run_id)
    await office.cluster.service.delete(TENANT, ref.run_id)
    assert [each.given_up_because for each in await listed(office, hook)] == ["run_deleted"]


async def test_a_run_that_cannot_be_noted_is_not_deleted() -> None:
    store = FaultStore(MemoryStore())
    office = Office(store=store)
    hook = await registered(office, "run.completed")
    office.planned.decide = lambda _: 500
    ref = await office.ended()
    store.plan(Fault(outcome="unavailable", method="put_new", key="*.given_up"))
    with pytest.raises(Unavailable):
        await office.cluster.service.delete(TENANT, ref.run_id)
    assert [each.status for each in await listed(office, hook)] == ["pending"]
    assert (await office.cluster.service.get(TENANT, ref.run_id)).status == "completed"


async def test_a_damaged_note_hides_nothing_else() -> None:
    office = Office()
    hook = await registered(office, "run.completed")
    office.planned.decide = lambda _: 500
    refs = [await office.ended() for _ in range(2)]
    for ref in refs:
        await office.cluster.service.delete(TENANT, ref.run_id)
    keys = await office.store.list(delivery_index(TENANT, hook))
    notes = [key for key in keys if key.endswith(".given_up")]
    await office.store.put(notes[0], b"{")
    assert len(await listed(office, hook)) == 1


async def test_runs_of_tenants_without_registered_webhooks_are_deleted_as_before() -> None:
    store = FaultStore(MemoryStore())
    office = Office(store=store)
    office.planned.decide = lambda _: 500
    ref = await office.ended()
    store.calls.clear()
    await office.cluster.service.delete(TENANT, ref.run_id)
    assert not [call for call in store.calls if "/deliveries/" in call.key]
    assert not [call for call in store.calls if call.key.endswith("/hook/")]


async def list_items(office: Office, batch_id: str) -> None:
    """List the events of a batch's two runs as a process does that delivers them."""
    listing = Listing(office.store, office.parts.endpoints, office.clock)
    for index in range(2):
        ref = RunRef(TENANT, item_run_id(BatchRef(TENANT, batch_id), 1, index))
        for found in await office.parts.sources["run_"].history(ref) or ():
            await listing.add(ref, found)


async def test_a_deleted_batch_leaves_notes_of_its_events_and_of_those_of_its_runs() -> None:
    office = Office()
    ends = await registered(office, "batch.completed")
    items = await registered(office, "run.completed")
    office.planned.decide = lambda _: 500
    batches = batches_of(office)
    batch = await batches.submit(["1", "2"])
    await batches.finish(batch)
    await office.drained()
    await list_items(office, batch.id)
    await batches.service.delete(TENANT, batch.id)
    [note] = await listed(office, ends)
    assert (note.status, note.given_up_because) == ("failed", "batch_deleted")

    office.clock.shift += 2 * HOUR
    erasure = BatchErasure(
        store=office.store, clock=office.clock, pre_erase=office.parts.closing.pre_erase
    )
    await erasure.sweep(None)
    notes = await listed(office, items)
    assert [each.given_up_because for each in notes] == ["run_deleted"] * 2


async def test_redelivery_since_a_time_leaves_out_what_was_deleted() -> None:
    office = Office()
    hook = await registered(office, "batch.completed", "run.completed")
    await office.service.update(TENANT, hook, WebhookPatch(enabled=False))
    batches = batches_of(office)
    batch = await batches.submit(["1"])
    await batches.finish(batch)
    await office.cluster.worker().execute(await office.cluster.submit())
    await office.drained()
    assert {each.status for each in await listed(office, hook)} == {"skipped"}
    await batches.service.delete(TENANT, batch.id)  # its records stay for an hour

    await office.service.enable(TENANT, hook)
    since = RedeliverRequest(since=office.clock.now() - HOUR)
    assert (await office.service.redeliver_since(TENANT, hook, since)).redelivered == 1


async def test_a_deleted_webhook_leaves_a_note_of_its_own_events() -> None:
    office = Office()
    office.planned.decide = lambda event: 410 if event["type"] == "run.completed" else 500
    hook = await registered(office, "run.completed")
    watcher = await registered(office, "webhook.disabled")
    await office.ended()
    office.clock.shift += SECOND
    await office.sweep()
    await office.service.delete(TENANT, hook)

    [note] = await listed(office, watcher)
    assert (note.event_type, note.given_up_because) == ("webhook.disabled", "webhook_deleted")


async def test_a_deletion_that_is_refused_gives_up_nothing() -> None:
    office = Office()
    office.planned.decide = lambda event: 410 if event["type"] == "run.completed" else 500
    hook = await registered(office, "run.completed")
    watcher = await registered(office, "webhook.disabled")
    await office.ended()
    office.clock.shift += SECOND
    await office.sweep()
    with pytest.raises(PreconditionFailed):
        await office.service.delete(TENANT, hook, version=1)
    assert [each.status for each in await listed(office, watcher)] == ["pending"]
