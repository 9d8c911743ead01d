"""The deliveries of a run and of a batch: what is due, what has begun, and starting it again."""

from datetime import timedelta

import pytest
from tests.support.runs import TENANT
from tests.support.webhooks import URL, Office, batches_of

from teamrun.errors import BatchNotFound, DeliveryNotFound, RunNotFound, UsageError
from teamrun.json_types import JsonObject
from teamrun.runs.log.keys import hook_folder
from teamrun.testing import FaultStore, MemoryStore
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.records import Delivery, read_records
from teamrun.webhooks.requests import WebhookPatch, WebhookRequest
from teamrun.webhooks.resources import MOST_TRIES
from teamrun.webhooks.sources import Logged

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

ENDS = {"url": URL, "events": ["batch.started", "batch.completed"]}


def deliver_nothing(job: Job, found: Logged) -> None:
    """The process that wrote an entry is killed right after it."""


def dead_office() -> Office:
    """An office that delivers nothing by itself."""
    office = Office()
    office.parts.outbox.__dict__["_start"] = deliver_nothing
    return office


async def registered(office: Office, *events: str) -> str:
    request = WebhookRequest.model_validate({"url": URL, "events": list(events)})
    return (await office.service.create(TENANT, request)).id


async def test_an_event_that_is_due_is_listed_before_its_first_request() -> None:
    office = dead_office()
    ref = await office.submit(events=["run.queued", "run.completed"])
    [delivery] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    [accepted] = await office.cluster.entries(ref)

    assert (delivery.webhook_id, delivery.event_type) == ("own", "run.queued")
    assert (delivery.status, delivery.tries) == ("pending", [])
    assert delivery.next_try_at == accepted.at


async def test_a_delivery_that_waits_for_its_host_is_listed_with_a_time() -> None:
    office = Office()
    hook = await registered(office, "run.completed")
    office.planned.decide = lambda _: "timeout"
    refs = [await office.ended() for _ in range(6)]
    ref = refs[-1]
    for page in (
        await office.service.deliveries_of_run(TENANT, ref.run_id),
        await office.service.deliveries(TENANT, hook, limit=1),
    ):
        for delivery in page.data:
            assert (delivery.status, delivery.tries) == ("pending", [])
            assert delivery.next_try_at is not None
    page = await office.service.deliveries_of_run(TENANT, ref.run_id)
    assert {each.webhook_id for each in page.data} == {"own", hook}


async def test_a_registered_webhook_lists_a_delivery_before_the_request_is_over() -> None:
    office = Office()
    hook = await registered(office, "run.queued")
    seen: list[int] = []

    async def look() -> None:
        seen.append(len((await office.service.deliveries(TENANT, hook)).data))

    office.planned.before = look
    await office.cluster.submit()
    await office.drained()
    assert seen == [1]


async def test_listing_a_delivery_early_costs_no_further_write() -> None:
    store = FaultStore(MemoryStore())
    office = Office(store=store)
    await registered(office, "run.completed")
    store.calls.clear()
    ref = await office.cluster.submit()
    await office.cluster.worker().execute(ref)
    await office.drained()
    written = [
        call.method
        for call in store.calls
        if "/deliveries/" in call.key or "hook/" in call.key or call.key.startswith("hooks/2")
    ]
    assert sorted(written) == ["delete", "put_new", "put_new", "put_new"]


async def test_a_type_that_was_added_later_is_not_listed_as_due() -> None:
    office = Office()
    hook = await registered(office, "run.completed")
    ref = await office.cluster.submit()
    await office.cluster.worker().execute(ref)
    await office.drained()
    await office.service.update(TENANT, hook, WebhookPatch(events=["run.*"]))
    page = await office.service.deliveries_of_run(TENANT, ref.run_id)
    assert [(each.event_type, each.status) for each in page.data] == [
        ("run.completed", "delivered")
    ]


async def test_a_redelivery_shows_when_it_was_asked_for() -> None:
    office = Office()
    ref = await office.ended()
    [first] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    office.clock.shift += 5 * MINUTE
    before = office.clock.now()
    again = await office.service.redeliver_to_run(TENANT, ref.run_id, first.event_id)
    [shown] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    assert shown == again
    assert (shown.status, shown.tries) == ("pending", first.tries)
    assert shown.next_try_at is not None
    assert shown.next_try_at >= before


@pytest.mark.parametrize("target", ("own", "registered"))
async def test_the_requests_before_a_redelivery_stay_in_the_list(target: str) -> None:
    office = Office()
    hook = await registered(office, "run.completed")
    statuses = iter((500, 500, 204, 204, 500, 500))
    office.planned.decide = lambda _: next(statuses)
    ref = await office.ended()
    office.clock.shift += 10 * SECOND
    await office.sweep()
    event = office.planned.delivered[0]
    if target == "own":
        await office.service.redeliver_to_run(TENANT, ref.run_id, event)
    else:
        await office.service.redeliver(TENANT, hook, event)
    office.clock.shift += SECOND
    await office.sweep()
    page = await office.service.deliveries_of_run(TENANT, ref.run_id)
    wanted = "own" if target == "own" else hook
    [shown] = [each for each in page.data if each.webhook_id == wanted]
    assert [made.status for made in shown.tries] == [500, 204, 500]
    assert (shown.status, shown.next_try_at) == ("pending", shown.tries[-1].next_at)
    if target == "registered":
        assert (await office.service.deliveries(TENANT, hook)).data == [shown]


async def test_after_many_redeliveries_the_newest_requests_are_listed() -> None:
    office = Office()
    ref = await office.ended()
    [first] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    delivery = Delivery(hook_folder(ref), int(first.event_id.rpartition("-")[2]), "own")
    [record] = await read_records(office.store, delivery.folder, [delivery.seq])
    settled = record.settled
    assert settled is not None and settled.last is not None
    for number in range(1, 1_010):
        made = settled.last.model_copy(update={"duration_ms": number})
        again = settled.model_copy(update={"last": made})
        await record.begin_again(office.store, settled.at)
        await record.settle(office.store, again)
    [shown] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    assert [made.duration_ms for made in shown.tries] == [*range(1_010 - MOST_TRIES, 1_010)]
    # The next round is the newest one, though its number has four digits.
    await office.service.redeliver_to_run(TENANT, ref.run_id, first.event_id)
    office.clock.shift += SECOND
    await office.sweep()
    assert office.planned.delivered == [first.event_id] * 2


async def test_a_redelivery_of_an_earlier_release_has_no_time_of_its_own() -> None:
    office = Office()
    ref = await office.ended()
    [first] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    seq = int(first.event_id.rpartition("-")[2])
    begun = f"{Delivery(hook_folder(ref), seq, 'own').place}001.begun"
    await office.store.put_new(begun, b"")
    [shown] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    entries = await office.cluster.entries(ref)
    assert (shown.status, shown.next_try_at) == ("pending", entries[-1].at)


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_the_deliveries_of_a_run_come_page_by_page_in_the_order_of_events(
    limit: int,
) -> None:
    office = Office()
    hook = await registered(office, "*")
    ref = await office.ended(events=["*"])
    found: list[tuple[str, str]] = []
    after = None
    while True:
        page = await office.service.deliveries_of_run(TENANT, ref.run_id, limit=limit, after=after)
        assert len(page.data) <= limit
        found += [(each.event_type, each.webhook_id) for each in page.data]
        if not page.has_more:
            break
        after = page.next_cursor
    types = ["run.queued", "run.started", "run.completed"]
    assert found == [(name, target) for name in types for target in ("own", hook)]


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", "-1.own", "1.a/b"])
async def test_an_invalid_cursor_is_refused(cursor: str) -> None:
    office = Office()
    ref = await office.ended()
    with pytest.raises(UsageError):
        await office.service.deliveries_of_run(TENANT, ref.run_id, after=cursor)


async def test_the_deliveries_of_a_batch_are_listed_and_one_is_sent_again() -> None:
    office = Office()
    hook = await registered(office, "batch.completed")
    batches = batches_of(office)
    batch = await batches.submit(["1"], webhook=ENDS)
    await batches.finish(batch)
    await office.drained()

    page = await office.service.deliveries_of_batch(TENANT, batch.id)
    assert [(each.event_type, each.webhook_id, each.status) for each in page.data] == [
        ("batch.started", "own", "delivered"),
        ("batch.completed", "own", "delivered"),
        ("batch.completed", hook, "delivered"),
    ]
    first = await office.service.deliveries_of_batch(TENANT, batch.id, limit=2)
    rest = await office.service.deliveries_of_batch(TENANT, batch.id, after=first.next_cursor)
    assert first.data + rest.data == page.data

    last = page.data[1].event_id
    assert (await office.service.redeliver_to_batch(TENANT, batch.id, last)).status == "pending"
    office.clock.shift += SECOND
    await office.sweep()
    assert office.planned.delivered.count(last) == 3
    again = await office.service.deliveries_of_batch(TENANT, batch.id)
    assert [each.status for each in again.data] == ["delivered"] * 3


async def test_an_event_of_a_batch_is_listed_before_its_first_request() -> None:
    office = dead_office()
    batches = batches_of(office)
    batch = await batches.submit(["1"], webhook=ENDS)
    await batches.finish(batch)
    page = await office.service.deliveries_of_batch(TENANT, batch.id)
    assert [(each.event_type, each.status) for each in page.data] == [
        ("batch.started", "pending"),
        ("batch.completed", "pending"),
    ]
    assert all(each.next_try_at is not None for each in page.data)


async def test_logs_that_do_not_exist_have_an_error_of_their_kind() -> None:
    office = Office()
    batches = batches_of(office)
    batch = await batches.submit(["1"])
    await batches.finish(batch)
    await office.cluster.submit()
    for run_id in ("run_none", batch.id, "a/b", "", "x" * 99):
        with pytest.raises(RunNotFound):
            await office.service.deliveries_of_run(TENANT, run_id)
        with pytest.raises(RunNotFound):
            await office.service.redeliver_to_run(TENANT, run_id, f"{run_id}-1")
    for batch_id in ("bat_none", "run_1", "a.b"):
        with pytest.raises(BatchNotFound):
            await office.service.deliveries_of_batch(TENANT, batch_id)
        with pytest.raises(BatchNotFound):
            await office.service.redeliver_to_batch(TENANT, batch_id, f"{batch_id}-1")
    with pytest.raises(DeliveryNotFound):  # it named no webhook
        await office.service.redeliver_to_batch(TENANT, batch.id, f"{batch.id}-1")
    with pytest.raises(BatchNotFound):
        await office.service.deliveries_of_batch("other", batch.id)


async def test_a_delivery_that_waits_is_skipped_when_its_webhook_is_deleted() -> None:
    office = Office()
    office.planned.decide = lambda _: 500
    hook = await registered(office, "run.completed")
    ref = await office.ended()
    await office.service.delete(TENANT, hook)
    office.clock.shift += MINUTE
    await office.sweep()
    page = await office.service.deliveries_of_run(TENANT, ref.run_id)
    assert {each.webhook_id: each.status for each in page.data} == {
        "own": "pending",
        hook: "skipped",
    }


async def test_a_retry_in_a_process_that_does_not_know_the_webhook_yet_is_made() -> None:
    office = Office()
    ref = await office.cluster.submit()
    await office.cluster.worker().execute(ref)
    office.clock.shift += MINUTE
    other = office.process()
    await other.endpoints.read(TENANT)
    hook = await registered(office, "run.completed")
    [event] = [
        f"{ref.run_id}-{seq}"
        for entry in await office.cluster.entries(ref)
        for seq, each in enumerate(entry.events, entry.seq)
        if each.type == "run.completed"
    ]
    office.planned.decide = lambda _: 500
    await office.service.redeliver(TENANT, hook, event)
    office.clock.shift += SECOND
    await office.sweep()
    office.planned.decide = lambda _: 204
    office.clock.shift += 6 * SECOND
    await office.sweep(other)
    assert office.planned.delivered == [event]


async def test_the_deliveries_of_a_deleted_batch_are_gone() -> None:
    office = Office()
    batches = batches_of(office)
    batch = await batches.submit(["1"], webhook={"url": URL})
    await batches.finish(batch)
    await office.drained()
    await batches.service.delete(TENANT, batch.id)
    with pytest.raises(BatchNotFound):
        await office.service.deliveries_of_batch(TENANT, batch.id)


async def test_the_events_of_webhooks_themselves_are_sent_again() -> None:
    office = Office()
    office.planned.decide = lambda event: 204 if event["type"] == "webhook.disabled" else 410
    hook = await registered(office, "run.completed")
    watcher = await registered(office, "webhook.disabled")
    await office.ended()
    office.clock.shift += SECOND
    await office.sweep()
    [delivery] = (await office.service.deliveries(TENANT, watcher)).data
    await office.service.redeliver(TENANT, watcher, delivery.event_id)
    office.clock.shift += SECOND
    await office.sweep()
    assert [event["data"]["webhook_id"] for event in _disabled(office)] == [hook, hook]


def _disabled(office: Office) -> list[JsonObject]:
    return [each for each in office.planned.tries if each["type"] == "webhook.disabled"]
