"""Registered webhooks: who is sent what, failures, rotation, redelivery."""

import asyncio
from datetime import datetime, timedelta

import pytest
from tests.support.runs import TENANT
from tests.support.webhooks import URL, Office

from teamrun.core.refs import RunRef
from teamrun.errors import (
    DeliveryNotFound,
    DestinationRefused,
    EndpointNotFound,
    IdempotencyConflict,
    PreconditionFailed,
    TooManyEndpoints,
    Unavailable,
    UsageError,
)
from teamrun.runs.log.keys import HOOKS, answered_folder, webhook_folder
from teamrun.testing import Fault, FaultStore, MemoryStore
from teamrun.webhooks.endpoints import MOST_ENDPOINTS
from teamrun.webhooks.jobs import Job, job_of_marker
from teamrun.webhooks.requests import RedeliverRequest, WebhookPatch, WebhookRequest
from teamrun.webhooks.resources import NewWebhook
from teamrun.webhooks.sources import Logged

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY = 24 * HOUR


async def registered(office: Office, *events: str, **fields: object) -> NewWebhook:
    request = {"url": URL, "events": list(events or ["run.completed"]), **fields}
    return await office.service.create(TENANT, WebhookRequest.model_validate(request))


async def run_ended(office: Office) -> str:
    """A run without a webhook of its own, after its end and all first tries; its id."""
    ref = await office.cluster.submit()
    await office.cluster.worker().execute(ref)
    await office.drained()
    return ref.run_id


async def statuses(office: Office, webhook_id: str) -> list[str]:
    page = await office.service.deliveries(TENANT, webhook_id)
    return [each.status for each in page.data]


def since(at: datetime, which: str = "undelivered", after: str | None = None) -> RedeliverRequest:
    return RedeliverRequest.model_validate({"since": at, "which": which, "after": after})


async def test_each_webhook_is_sent_what_it_subscribes_to() -> None:
    office = Office()
    ends = await registered(office, "run.completed")
    everything = await registered(office, "*")
    await registered(office, "run.failed")
    await run_ended(office)

    page = await office.service.deliveries(TENANT, ends.id)
    assert [each.event_type for each in page.data] == ["run.completed"]
    page = await office.service.deliveries(TENANT, everything.id)
    assert [each.event_type for each in page.data] == [
        "run.completed",
        "run.started",
        "run.queued",
    ]
    assert await office.markers() == []


async def test_a_new_webhook_is_known_to_workers_at_the_next_run() -> None:
    office = Office()
    await run_ended(office)  # the worker knows now that there is none
    api = office.process()
    office.cluster.service = office.other_service(api)
    service = office.service_over(api)
    request = WebhookRequest.model_validate({"url": URL, "events": ["run.completed"]})
    await service.create(TENANT, request)
    run_id = await run_ended(office)

    assert [event["run_id"] for event in office.planned.tries] == [run_id]


async def test_a_further_webhook_is_known_to_workers_at_the_next_run() -> None:
    office = Office()
    first = await registered(office)
    await run_ended(office)  # the worker knows the first one now
    office.clock.shift += SECOND
    api = office.process()
    office.cluster.service = office.other_service(api)
    request = WebhookRequest.model_validate({"url": URL, "events": ["run.failed", "run.started"]})
    second = await office.service_over(api).create(TENANT, request)
    await run_ended(office)

    assert await statuses(office, first.id) == ["delivered"] * 2
    page = await office.service.deliveries(TENANT, second.id)
    assert [each.event_type for each in page.data] == ["run.started"]


async def test_a_further_webhook_is_known_to_workers_if_the_run_has_its_own() -> None:
    office = Office()
    await registered(office)
    await run_ended(office)  # the worker knows the first one now
    office.clock.shift += SECOND
    api = office.process()
    office.cluster.service = office.other_service(api)
    request = WebhookRequest.model_validate({"url": URL, "events": ["run.started"]})
    second = await office.service_over(api).create(TENANT, request)
    await office.ended(events=["run.*"])

    page = await office.service.deliveries(TENANT, second.id)
    assert [each.event_type for each in page.data] == ["run.started"]


async def test_a_webhook_is_sent_no_event_from_before_it_was_registered() -> None:
    office = Office()
    office.planned.decide = lambda _: 500
    await office.ended()  # its own webhook fails, so its entry is looked at again
    office.clock.shift += SECOND
    late = await registered(office)
    office.clock.shift += 10 * SECOND
    await office.sweep()

    assert await statuses(office, late.id) == []


async def test_a_disabled_webhook_skips_events_which_can_be_delivered_later() -> None:
    office = Office()
    hook = await registered(office)
    start = office.clock.now()
    off = await office.service.update(TENANT, hook.id, WebhookPatch(enabled=False))
    assert (off.enabled, off.disabled_because) == (False, "client")
    ids = [await run_ended(office) for _ in range(3)]
    assert office.planned.tries == []
    assert await statuses(office, hook.id) == ["skipped"] * 3

    assert (await office.service.enable(TENANT, hook.id)).enabled
    answer = await office.service.redeliver_since(TENANT, hook.id, since(start))
    assert answer.redelivered == 3
    office.clock.shift += SECOND
    await office.sweep()
    assert sorted(event["run_id"] for event in office.planned.tries) == sorted(ids)
    assert await statuses(office, hook.id) == ["delivered"] * 3
    again = await office.service.redeliver_since(TENANT, hook.id, since(start))
    assert again.redelivered == 0
    every = await office.service.redeliver_since(TENANT, hook.id, since(start, "all"))
    assert every.redelivered == 3


async def test_a_redelivery_knows_that_the_webhook_was_enabled_by_another_process() -> None:
    office = Office()
    hook = await registered(office)
    await office.service.update(TENANT, hook.id, WebhookPatch(enabled=False))
    await run_ended(office)  # the worker knows now that it is disabled
    [delivery] = (await office.service.deliveries(TENANT, hook.id)).data
    api = office.service_over(office.process())
    await api.enable(TENANT, hook.id)
    await api.redeliver(TENANT, hook.id, delivery.event_id)
    office.clock.shift += SECOND
    await office.sweep()

    assert office.planned.delivered == [delivery.event_id]
    assert await statuses(office, hook.id) == ["delivered"]


async def test_a_redelivery_since_a_time_includes_what_waits_for_its_next_try() -> None:
    office = Office()
    hook = await registered(office)
    start = office.clock.now()
    office.planned.decide = lambda _: "connection_failed"
    ids = [await run_ended(office) for _ in range(6)]  # the last one waits for its first try
    page = await office.service.deliveries(TENANT, hook.id)
    assert [each.status for each in page.data] == ["pending"] * 6
    assert [len(each.tries) for each in page.data] == [0, 1, 1, 1, 1, 1]

    office.planned.decide = lambda _: 204
    answer = await office.service.redeliver_since(TENANT, hook.id, since(start))
    assert answer.redelivered == 6
    for _ in range(3):  # one request shows that the host works again; then the others follow
        office.clock.shift += 20 * SECOND
        await office.sweep()
    assert await statuses(office, hook.id) == ["delivered"] * 6
    assert len(office.planned.delivered) == len(ids)
    await office.pass_time(HOUR, step=MINUTE)  # the tries that were planned before are not made
    assert len(office.planned.delivered) == len(ids)
    assert await office.markers() == []


async def test_a_receiver_that_answers_gone_is_disabled_and_others_are_told() -> None:
    office = Office()
    office.planned.decide = lambda event: 410 if event["type"] == "run.completed" else 204
    hook = await registered(office)
    watcher = await registered(office, "webhook.disabled")
    await run_ended(office)
    office.clock.shift += 2 * SECOND
    await office.sweep()

    shown = await office.service.get(TENANT, hook.id)
    assert (shown.enabled, shown.disabled_because) == (False, "gone")
    [event] = [each for each in office.planned.tries if each["type"] == "webhook.disabled"]
    assert event["data"] == {"webhook_id": hook.id, "url": URL, "because": "gone"}
    assert event["id"] == f"{hook.id}-{shown.version}"
    assert await statuses(office, watcher.id) == ["delivered"]
    assert await office.markers() == []


async def test_a_webhook_that_fails_for_five_days_is_disabled() -> None:
    office = Office()
    office.planned.decide = lambda _: 500
    hook = await registered(office)
    for _ in range(6):
        await run_ended(office)
        shown = await office.service.get(TENANT, hook.id)
        assert shown.enabled
        assert shown.failing_since is not None
        office.clock.shift += DAY - MINUTE
    office.clock.shift += 10 * MINUTE
    await run_ended(office)

    assert (await office.service.get(TENANT, hook.id)).disabled_because == "failing"


async def test_one_success_ends_the_count_of_days() -> None:
    office = Office()
    office.planned.decide = lambda _: 500
    hook = await registered(office)
    await run_ended(office)
    office.clock.shift += 4 * DAY
    office.planned.decide = lambda _: 204
    await run_ended(office)
    assert (await office.service.get(TENANT, hook.id)).failing_since is None

    office.planned.decide = lambda _: 500
    office.clock.shift += 4 * DAY
    await run_ended(office)
    assert (await office.service.get(TENANT, hook.id)).enabled


async def test_a_change_needs_the_version_that_it_is_based_on() -> None:
    office = Office()
    hook = await registered(office)
    patch = WebhookPatch(description="new")
    changed = await office.service.update(TENANT, hook.id, patch, version=1)
    assert (changed.version, changed.description) == (2, "new")
    with pytest.raises(PreconditionFailed):
        await office.service.update(TENANT, hook.id, patch, version=1)
    with pytest.raises(DestinationRefused) as refused:
        await office.service.update(TENANT, hook.id, WebhookPatch(url="http://x/"))
    assert refused.value.pointer == "/url"


async def test_a_deleted_webhook_is_gone_with_its_secrets() -> None:
    office = Office()
    hook = await registered(office)
    await office.service.rotate_secret(TENANT, hook.id)
    await run_ended(office)
    await office.service.delete(TENANT, hook.id)

    with pytest.raises(EndpointNotFound):
        await office.service.get(TENANT, hook.id)
    with pytest.raises(EndpointNotFound):
        await office.service.delete(TENANT, hook.id)
    assert (await office.service.list(TENANT)).data == []
    keys = await office.store.list(webhook_folder(TENANT, hook.id))
    stored = [await office.store.get(key) for key in keys]
    assert not any(b"whsec_" in data for data in stored)
    office.planned.tries.clear()
    await run_ended(office)
    assert office.planned.tries == []


async def test_a_webhook_that_is_deleted_while_it_is_read_is_not_found() -> None:
    store = FaultStore(MemoryStore())
    office = Office(store=store)
    hook = await registered(office)
    read = store.plan(Fault(outcome="held", method="get", key="*/webhooks/*"))
    reading = asyncio.create_task(office.service.get(TENANT, hook.id))
    await read.reached.wait()
    await office.service.delete(TENANT, hook.id)
    read.release.set()

    with pytest.raises(EndpointNotFound):
        await reading


async def test_the_pending_deliveries_of_a_deleted_webhook_end() -> None:
    office = Office()
    office.planned.decide = lambda _: 500
    hook = await registered(office)
    await run_ended(office)
    await office.service.delete(TENANT, hook.id)
    office.clock.shift += 11 * SECOND
    await office.sweep()

    assert len(office.planned.tries) == 1
    assert await office.markers() == []


async def test_a_repeated_request_with_a_key_is_the_same_webhook() -> None:
    office = Office()
    request = WebhookRequest.model_validate({"url": URL, "events": ["*"]})
    first = await office.service.create(TENANT, request, idempotency_key="k")
    second = await office.service.create(TENANT, request, idempotency_key="k")
    assert (second.id, second.secret) == (first.id, first.secret)
    assert len((await office.service.list(TENANT)).data) == 1
    other = WebhookRequest.model_validate({"url": URL, "events": ["run.*"]})
    with pytest.raises(IdempotencyConflict):
        await office.service.create(TENANT, other, idempotency_key="k")


async def test_the_number_of_webhooks_is_limited() -> None:
    office = Office()
    for _ in range(MOST_ENDPOINTS):
        await registered(office)
    with pytest.raises(TooManyEndpoints):
        await registered(office)


async def test_a_rotated_secret_overlaps() -> None:
    office = Office()
    hook = await registered(office)
    rotated = await office.service.rotate_secret(TENANT, hook.id)
    assert rotated.secret != hook.secret
    [target] = await office.targets()
    assert target.secrets == [rotated.secret, hook.secret]
    office.clock.shift += 25 * HOUR
    [target] = await office.targets()
    assert target.secrets == [rotated.secret]


async def test_a_test_sends_one_event_and_reports_its_outcome() -> None:
    office = Office()
    hook = await registered(office)
    tested = await office.service.test(TENANT, hook.id, "run.failed")
    assert (tested.is_accepted, tested.request.status) == (True, 204)
    office.planned.decide = lambda _: 500
    tested = await office.service.test(TENANT, hook.id, "webhook.tested")
    assert (tested.is_accepted, tested.request.error) == (False, "http_status")
    assert [event["type"] for event in office.planned.tries] == ["run.failed", "webhook.tested"]
    assert await office.markers() == []


async def test_an_accepted_test_ends_the_pause_of_a_host_in_every_process() -> None:
    office = Office()
    hook = await registered(office, "run.completed")
    office.planned.decide = lambda _: "timeout"
    for _ in range(6):
        await run_ended(office)
    assert len(office.planned.tries) == 5  # then the host is left alone
    other = office.service_over(office.process())
    assert not (await other.test(TENANT, hook.id, "webhook.tested")).is_accepted
    await run_ended(office)
    assert len(office.planned.tries) == 6  # the test; a failed one changes nothing

    office.planned.decide = lambda _: 204
    office.clock.shift += 11 * SECOND  # what a process has read is fresh for 10 s
    assert (await other.test(TENANT, hook.id, "webhook.tested")).is_accepted
    assert (await other.get(TENANT, hook.id)).failing_since is None
    run_id = await run_ended(office)
    assert office.planned.delivered[-1].startswith(run_id)

    office.planned.decide = lambda _: "timeout"
    for _ in range(7):
        await run_ended(office)
    assert len(office.planned.tries) == 6 + 2 + 5  # an old test ends no later pause


async def test_the_times_of_accepted_tests_do_not_pile_up() -> None:
    office = Office()
    hook = await registered(office)
    for _ in range(3):
        await office.service.test(TENANT, hook.id, "webhook.tested")
        await office.service.test(TENANT, hook.id, "webhook.tested")
        office.clock.shift += SECOND
    assert len(await office.store.list(answered_folder(TENANT, hook.id))) == 1
    assert (await office.service.get(TENANT, hook.id)).version == 1
    await office.service.delete(TENANT, hook.id)
    assert await office.store.list(answered_folder(TENANT, hook.id)) == []


async def test_deliveries_are_listed_page_by_page_newest_first() -> None:
    office = Office()
    hook = await registered(office)
    ids: list[str] = []
    for _ in range(5):
        office.clock.shift += SECOND
        ids.append(await run_ended(office))
    found: list[str] = []
    after = None
    while True:
        page = await office.service.deliveries(TENANT, hook.id, limit=2, after=after)
        found += [each.event_id.rpartition("-")[0] for each in page.data]
        if not page.has_more:
            break
        after = page.next_cursor
    assert found == ids[::-1]
    failed = await office.service.deliveries(TENANT, hook.id, status="failed")
    assert (failed.data, failed.has_more) == ([], False)
    with pytest.raises(UsageError):
        await office.service.deliveries(TENANT, hook.id, after="nothing")


async def test_a_deleted_run_leaves_the_list() -> None:
    office = Office()
    hook = await registered(office)
    run_id = await run_ended(office)
    await office.cluster.service.delete(TENANT, run_id)
    assert await statuses(office, hook.id) == []


async def test_one_event_is_delivered_again_with_a_new_series_of_tries() -> None:
    office = Office()
    hook = await registered(office)
    run_id = await run_ended(office)
    [delivery] = (await office.service.deliveries(TENANT, hook.id)).data
    office.planned.decide = lambda _: 500
    pending = await office.service.redeliver(TENANT, hook.id, delivery.event_id)
    assert (pending.status, pending.tries) == ("pending", delivery.tries)
    office.clock.shift += SECOND
    await office.sweep()
    office.planned.decide = lambda _: 204
    office.clock.shift += 10 * SECOND
    await office.sweep()

    assert {event["id"] for event in office.planned.tries} == {delivery.event_id}
    assert len(office.planned.tries) == 3
    assert await statuses(office, hook.id) == ["delivered"]
    # An event of a type that it does not subscribe to, on request.
    await office.service.redeliver(TENANT, hook.id, f"{run_id}-1")
    office.clock.shift += SECOND
    await office.sweep()
    assert office.planned.tries[-1]["type"] == "run.queued"


@pytest.mark.parametrize(
    "event_id", ["x", "run_1-1", "run_1-", "-1", "a/b-1", "run_1-1.5", "../x-1"]
)
async def test_an_event_that_does_not_exist_cannot_be_delivered(event_id: str) -> None:
    office = Office()
    hook = await registered(office)
    with pytest.raises(DeliveryNotFound):
        await office.service.redeliver(TENANT, hook.id, event_id)


async def test_an_event_that_webhooks_do_not_receive_cannot_be_delivered() -> None:
    office = Office()
    hook = await registered(office)
    ref = await office.ended()
    types = await office.cluster.event_types(ref)
    seq = types.index("message.created") + 1
    with pytest.raises(DeliveryNotFound):
        await office.service.redeliver(TENANT, hook.id, f"{ref.run_id}-{seq}")


async def test_the_webhook_of_a_run_is_sent_an_event_again() -> None:
    office = Office()
    ref = await office.ended()
    [delivery] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    await office.service.redeliver_to_run(TENANT, ref.run_id, delivery.event_id)
    office.clock.shift += SECOND
    await office.sweep()
    assert office.planned.delivered == [delivery.event_id] * 2
    other = await office.cluster.submit()
    with pytest.raises(DeliveryNotFound):
        await office.service.redeliver_to_run(TENANT, other.run_id, delivery.event_id)
    with pytest.raises(DeliveryNotFound):
        await office.service.redeliver_to_run(TENANT, other.run_id, f"{other.run_id}-1")


async def test_a_redelivery_that_was_interrupted_can_be_requested_again() -> None:
    store = FaultStore(MemoryStore())
    office = Office(store=store)
    hook = await registered(office)
    await run_ended(office)
    [delivery] = (await office.service.deliveries(TENANT, hook.id)).data
    store.plan(Fault(outcome="unavailable", method="put_new", key="hooks/*"))
    with pytest.raises(Unavailable):
        await office.service.redeliver(TENANT, hook.id, delivery.event_id)
    await office.service.redeliver(TENANT, hook.id, delivery.event_id)
    office.clock.shift += SECOND
    await office.sweep()

    assert office.planned.delivered == [delivery.event_id] * 2


async def test_a_damaged_webhook_is_skipped_and_the_others_are_served() -> None:
    office = Office()
    broken, whole = await registered(office), await registered(office)
    await office.store.put(f"{webhook_folder(TENANT, broken.id)}000001.json", b"{")
    office.clock.shift += 11 * SECOND
    await run_ended(office)
    assert await statuses(office, whole.id) == ["delivered"]


async def test_tenants_do_not_see_each_others_webhooks() -> None:
    office = Office()
    hook = await registered(office)
    for tenant in ("other", "default2"):
        assert (await office.service.list(tenant)).data == []
        with pytest.raises(EndpointNotFound):
            await office.service.get(tenant, hook.id)
    with pytest.raises(EndpointNotFound):
        await office.service.get(TENANT, "own")


def deliver_nothing(job: Job, found: Logged) -> None:
    """Leave it to another process."""


async def test_a_worker_that_read_the_webhooks_just_before_delivers_to_a_new_one() -> None:
    office = Office()
    office.parts.outbox.__dict__["_start"] = deliver_nothing  # as an API with workers
    worker = office.process()
    await worker.endpoints.read(TENANT)
    await registered(office, "run.*")
    ref = await office.cluster.submit()
    await office.cluster.service.cancel(TENANT, ref.run_id)
    assert worker.delivery is not None

    for key in await office.store.list(HOOKS):
        await worker.delivery.deliverer.handle(job_of_marker(key).as_ref())
    await worker.delivery.deliverer.drained()

    assert [each["type"] for each in office.planned.tries] == ["run.queued", "run.cancelled"]
    assert await office.store.list(HOOKS) == []


class PausingStore(MemoryStore):
    """A store whose first list of a tenant's webhooks, once it is told so, waits or fails."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.released = asyncio.Event(), asyncio.Event()
        self.then: Exception | None = None
        self.waits = False

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        if self.waits and prefix == f"t/{TENANT}/webhooks/":
            self.waits = False
            self.reached.set()
            await self.released.wait()
            if self.then is not None:
                raise self.then
        return await super().list(prefix, after=after, limit=limit)


@pytest.mark.parametrize("then", [None, Unavailable("once")], ids=["slow", "failing"])
async def test_no_event_is_lost_while_the_webhooks_are_read(then: Exception | None) -> None:
    store = PausingStore()
    office = Office(store=store)
    await registered(office, "run.*")
    store.waits, store.then = True, then

    first = asyncio.create_task(office.cluster.submit())
    await store.reached.wait()
    second = asyncio.create_task(office.cluster.submit())
    await asyncio.sleep(0)
    store.released.set()
    done = await asyncio.gather(first, second, return_exceptions=True)
    refs = [ref for ref in done if isinstance(ref, RunRef)]
    await office.drained()

    assert len(refs) == (2 if then is None else 1)
    queued = [each["run_id"] for each in office.planned.tries if each["type"] == "run.queued"]
    assert set(queued) >= {ref.run_id for ref in refs}


async def test_a_retry_that_succeeds_in_another_process_ends_the_time_of_failures() -> None:
    office = Office()
    webhook = await registered(office, "run.completed")
    other = office.process()
    await other.endpoints.read(TENANT)
    office.planned.decide = lambda _: 500
    await run_ended(office)
    office.clock.shift += 6 * SECOND
    office.planned.decide = lambda _: 204
    await office.sweep(other)
    assert (await office.service.get(TENANT, webhook.id)).failing_since is None

    office.clock.shift += 6 * DAY
    office.planned.decide = lambda _: 500
    await run_ended(office)

    assert (await office.service.get(TENANT, webhook.id)).enabled


async def test_the_key_of_a_deleted_webhook_is_refused() -> None:
    office = Office()
    request = WebhookRequest.model_validate({"url": URL, "events": ["run.completed"]})
    webhook = await office.service.create(TENANT, request, idempotency_key="k")
    await office.service.rotate_secret(TENANT, webhook.id)
    await office.service.delete(TENANT, webhook.id)

    with pytest.raises(IdempotencyConflict):
        await office.service.create(TENANT, request, idempotency_key="k")
