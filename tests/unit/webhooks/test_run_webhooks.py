"""The webhook of a run, from its request to the last try."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from pydantic import ValidationError
from tests.support.runs import TENANT, Cluster, ShiftedClock, solo
from tests.support.webhooks import URL, Office, PlannedSender

from teamrun.core.refs import RunRef
from teamrun.errors import DestinationRefused
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import Accepted, Claim, End, LoggedEvent
from teamrun.runs.log.events import end_event
from teamrun.runs.log.webhook import RunWebhook
from teamrun.runs.service.requests import RetryRequest, RunRequest
from teamrun.testing import Fault, FaultStore, MemoryStore
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.sender import Sent
from teamrun.webhooks.sources import logged
from teamrun.webhooks.target import Target

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


async def test_the_end_of_a_run_is_delivered_once_and_leaves_no_marker() -> None:
    office = Office()
    ref = await office.ended()

    assert [event["type"] for event in office.planned.tries] == ["run.completed"]
    assert await office.outcomes(ref) == {"run.completed": "delivered"}
    assert await office.markers() == []
    office.clock.shift += HOUR
    assert await office.sweep() == 0


async def test_events_come_in_their_order_with_the_ids_of_the_log() -> None:
    office = Office()
    ref = await office.ended(events=["run.*"], metadata={"order": "4711"})

    types = [event["type"] for event in office.planned.tries]
    assert types == ["run.queued", "run.started", "run.completed"]
    logged = [
        (f"{ref.run_id}-{seq}", event.type)
        for entry in await office.cluster.entries(ref)
        for seq, event in enumerate(entry.events, entry.seq)
        if event.type in types
    ]
    assert [(event["id"], event["type"]) for event in office.planned.tries] == logged


async def test_runs_without_webhooks_cost_one_request_together() -> None:
    calls: list[int] = []
    for has_webhooks in (False, True):
        store = FaultStore(MemoryStore())
        office = Office(store=store)
        if not has_webhooks:
            office.cluster = Cluster({"a": ["DONE"] * 20}, team=solo(), store=store)
        for _ in range(20):
            ref = await office.cluster.submit()
            await office.cluster.worker().execute(ref)
        await office.drained()
        calls.append(len(store.calls))
        assert office.planned.tries == []
    assert calls[1] == calls[0] + 1  # the list of the tenants that have webhooks


async def test_a_delivery_on_the_first_try_costs_two_puts_and_one_removal() -> None:
    store = FaultStore(MemoryStore())
    office = Office(store=store)
    await office.service.secret(TENANT)  # made at first use
    await office.ended()

    extra = [call for call in store.calls if "hook/" in call.key or "hooks/2" in call.key]
    assert [call.method for call in extra] == ["put_new", "put_new", "delete"]


async def test_a_failed_delivery_is_tried_ten_times_and_then_given_up() -> None:
    office = Office()
    office.planned.decide = lambda _: 500
    ref = await office.ended()
    started = office.clock.now()
    times = [timedelta()]
    while await office.markers():
        office.clock.shift += timedelta(seconds=5)
        if len(office.planned.tries) > 2:
            office.clock.shift += 3 * MINUTE
        before = len(office.planned.tries)
        await office.sweep()
        if len(office.planned.tries) > before:
            times.append(office.clock.now() - started)

    assert len(office.planned.tries) == 10
    assert len({event["id"] for event in office.planned.tries}) == 1
    assert await office.outcomes(ref) == {"run.completed": "failed"}
    pauses = [later - earlier for earlier, later in pairwise(times)]
    wanted = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    for pause, seconds in zip(pauses, wanted, strict=True):
        assert seconds <= pause.total_seconds() <= 1.1 * seconds + 2 * 185


async def test_a_receiver_that_was_down_for_a_day_gets_every_event() -> None:
    office = Office()
    office.planned.decide = lambda _: "connection_failed"
    refs = [await office.ended() for _ in range(20)]
    await office.pass_time(24 * HOUR, step=20 * MINUTE)
    assert office.planned.delivered == []

    office.planned.decide = lambda _: 204
    await office.pass_time(24 * HOUR, step=HOUR)
    ids = {event["id"] for event in office.planned.tries}
    assert sorted(office.planned.delivered) == sorted(ids)
    assert len(ids) == len(refs)
    assert await office.markers() == []


async def test_a_pause_that_the_receiver_asks_for_is_kept() -> None:
    office = Office()
    office.planned.decide = lambda _: 429
    office.planned.after = timedelta(minutes=4)
    ref = await office.ended()

    office.planned.decide = lambda _: 204
    office.clock.shift += 3 * MINUTE
    await office.sweep()
    assert await office.outcomes(ref) == {"run.completed": "pending"}
    office.clock.shift += 2 * MINUTE
    await office.sweep()
    assert await office.outcomes(ref) == {"run.completed": "delivered"}


async def test_a_receiver_that_answers_gone_is_not_asked_again() -> None:
    office = Office()
    office.planned.decide = lambda _: 410
    ref = await office.ended()

    assert await office.outcomes(ref) == {"run.completed": "failed"}
    assert await office.markers() == []


async def test_a_host_that_fails_is_left_alone_and_then_asked_once() -> None:
    office = Office()
    office.planned.decide = lambda _: "timeout"
    for _ in range(8):
        await office.ended()
    assert len(office.planned.tries) == 5

    office.clock.shift += timedelta(seconds=31)
    await office.sweep()
    assert len(office.planned.tries) == 6


async def test_a_redelivery_asks_a_host_that_is_left_alone_and_its_success_ends_the_pause() -> None:
    office = Office()
    office.planned.decide = lambda _: "timeout"
    refs = [await office.ended() for _ in range(6)]
    office.planned.decide = lambda _: 204
    [asked] = (await office.service.deliveries_of_run(TENANT, refs[0].run_id)).data
    await office.service.redeliver_to_run(TENANT, refs[0].run_id, asked.event_id)
    office.clock.shift += SECOND
    await office.sweep()
    assert office.planned.delivered == [asked.event_id]

    await office.ended()  # its first try is not held back
    assert len(office.planned.delivered) == 2


async def test_many_redeliveries_ask_a_host_that_is_down_once() -> None:
    office = Office()
    office.planned.decide = lambda _: "timeout"
    refs = [await office.ended() for _ in range(5)]
    for ref in refs:
        [delivery] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
        await office.service.redeliver_to_run(TENANT, ref.run_id, delivery.event_id)
    office.planned.tries.clear()
    office.clock.shift += SECOND
    await office.sweep()
    assert len(office.planned.tries) == 1


class SlowSender(PlannedSender):
    """Some receivers answer only when the test says so."""

    def __init__(self, clock: ShiftedClock) -> None:
        super().__init__(clock)
        self.answers, self.quick = asyncio.Event(), asyncio.Event()
        self.forty = asyncio.Event()
        self.most = self.under_way = 0

    async def send(self, event: JsonObject, target: Target) -> Sent:
        if "slow" in target.url:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            if self.under_way == 40:
                self.forty.set()
            await self.answers.wait()
            self.under_way -= 1
        else:
            self.quick.set()
        return await super().send(event, target)


@pytest.mark.parametrize("runs", [60, 400])
async def test_a_slow_receiver_delays_no_other(runs: int) -> None:
    clock = ShiftedClock()
    sender = SlowSender(clock)
    office = Office(sender=sender, clock=clock)
    for _ in range(runs):
        await office.submit(url="https://slow.example/hook", events=["run.queued"])
    await asyncio.sleep(0)

    await office.submit(url="https://quick.example/hook", events=["run.queued"])
    async with asyncio.timeout(20):
        await sender.quick.wait()

    assert sender.most == 10
    sender.answers.set()
    await office.drained()
    for _ in range(3):  # those that were too many come later
        clock.shift += timedelta(minutes=2)
        await office.sweep()
    assert len(sender.delivered) == runs + 1


async def test_many_slow_receivers_of_one_tenant_delay_no_other_tenant() -> None:
    clock = ShiftedClock()
    sender = SlowSender(clock)
    office = Office(sender=sender, clock=clock)
    for host in range(60):
        await office.submit(url=f"https://slow{host}.example/hook", events=["run.queued"])
    await sender.forty.wait()
    ref = RunRef("other", "run_1")
    webhook = RunWebhook(url="https://quick.example/hook", events=["run.queued"])
    history = await office.parts.sources["run_"].history(await office.submit())
    assert office.parts.delivery is not None
    assert history is not None
    found = history[0]

    deliver = office.parts.delivery.delivering.deliver
    quick, soon = found._replace(webhook=webhook), clock.now() + MINUTE
    async with asyncio.timeout(20):
        assert await deliver(Job(ref, 0), quick, latest=soon, is_new=True) is None
    assert sender.most == 40
    sender.answers.set()
    await office.drained()
    assert len(sender.delivered) == 61


async def test_an_erased_run_ends_its_deliveries() -> None:
    office = Office()
    office.planned.decide = lambda _: 500
    ref = await office.ended()
    await office.cluster.service.delete(TENANT, ref.run_id)
    office.clock.shift += MINUTE
    await office.sweep()

    assert len(office.planned.tries) == 1
    assert await office.markers() == []


async def test_a_fork_does_not_send_the_events_of_its_parent_again() -> None:
    office = Office(["1", "DONE", "DONE"])
    ref = await office.ended(events=["run.*"])
    office.planned.tries.clear()
    child = await office.cluster.service.retry(
        TENANT, ref.run_id, RetryRequest.model_validate({"from": "start"})
    )
    await office.drained()

    assert [event["type"] for event in office.planned.tries] == ["run.queued"]
    assert office.planned.tries[0]["run_id"] == child.run.id


async def test_the_events_that_a_fork_shares_with_its_parent_are_not_due() -> None:
    office = Office()
    ref = await office.submit(events=["run.*"])
    [first] = await office.cluster.entries(ref)
    shared = [LoggedEvent("run.input_required"), LoggedEvent("run.queued")]
    assert isinstance(first.body, Accepted)
    found = logged(ref, replace(first, events=shared), first.body.spec)

    assert [(event["type"], event["seq"]) for event in found.events] == [("run.queued", 2)]


async def test_a_marker_of_an_entry_that_is_not_there_yet_waits_for_it() -> None:
    office = Office()
    ref = await office.submit()
    log = office.cluster.log(ref)
    state = await log.state()
    assert state is not None
    await log.append(state, Claim(owner="w1"), [], epoch=1)
    # What is left of a process that was frozen between the marker and the entry.
    end = End(status="failed", stop_code="x")
    marker = Job(ref, 2).marker(office.clock.now())
    await office.store.put_new(marker, b"")
    await office.sweep()
    assert (office.planned.tries, await office.markers()) == ([], [marker])

    await log.append(state, end, [end_event(end)], epoch=1)
    office.clock.shift += 11 * MINUTE
    await office.sweep()
    assert await office.outcomes(ref) == {"run.failed": "delivered"}
    assert await office.markers() == []


async def test_a_marker_of_an_entry_that_never_came_is_removed_after_a_day() -> None:
    office = Office()
    job = f"{RunRef(TENANT, 'run_absent')}-3"
    await office.store.put_new(f"hooks/2026010100/0000000/a/{job}", b"")
    await office.sweep()

    assert await office.markers() == []


async def test_an_invalid_marker_is_skipped_and_stops_no_delivery() -> None:
    office = Office()
    odd = ["hooks/2026010100/0000000/a/nothing", "hooks/x/y/z/default.run_1-1"]
    for key in odd:
        await office.store.put_new(key, b"")
    office.planned.decide = lambda _: 500
    ref = await office.ended()
    office.planned.decide = lambda _: 204
    office.clock.shift += 10 * SECOND
    await office.sweep()

    assert await office.outcomes(ref) == {"run.completed": "delivered"}


async def test_two_processes_that_sweep_at_once_deliver_once() -> None:
    office = Office()
    office.planned.decide = lambda _: 500
    await office.ended()
    office.planned.decide = lambda _: 204
    office.clock.shift += 10 * SECOND
    others = [office.process() for _ in range(4)]
    for parts in others:
        assert parts.delivery is not None
        await parts.delivery.deliverer.sweep()  # starts its jobs
    for parts in others:
        await office.sweep(parts)

    assert len(office.planned.tries) == 2


async def test_storage_that_does_not_respond_delays_a_delivery_and_loses_none() -> None:
    store = FaultStore(MemoryStore())
    office = Office(store=store)
    store.plan(Fault(outcome="unavailable", method="put_new", key="*.settled"))
    ref = await office.ended()
    assert len(office.planned.delivered) == 1
    assert len(await office.markers()) == 1

    office.clock.shift += 2 * MINUTE
    await office.sweep()
    assert len(office.planned.delivered) == 2  # at least once, with the same id
    assert len(set(office.planned.delivered)) == 1
    assert await office.outcomes(ref) == {"run.completed": "delivered"}


async def test_a_marker_that_cannot_be_put_delays_the_entry() -> None:
    store = FaultStore(MemoryStore())
    office = Office(store=store)
    ref = await office.submit()
    store.plan(Fault(outcome="unavailable", method="put_new", key="hooks/*", times=2))
    await office.cluster.worker().execute(ref)
    await office.drained()

    assert await office.outcomes(ref) == {"run.completed": "delivered"}


@pytest.mark.parametrize(
    "url",
    ["http://receiver.example/", "https://127.0.0.1/", "https://receiver.example:8443/", "ftp://x"],
)
async def test_a_url_that_is_not_allowed_is_refused_at_submit(url: str) -> None:
    office = Office()
    with pytest.raises(DestinationRefused) as refused:
        await office.submit(url=url)
    assert refused.value.pointer == "/webhook/url"
    assert await office.store.list("open/") == []


@pytest.mark.parametrize(
    "events",
    [
        [],
        ["run.complete"],
        ["turn.*"],
        ["run*"],
        ["*", 1],
        ["batch.completed"],
        ["run.*", "batch.*"],
        ["webhook.disabled"],
    ],
)
def test_an_unknown_event_type_is_refused(events: list[object]) -> None:
    with pytest.raises(ValidationError):
        RunRequest.model_validate(
            {"team": "t", "input": "x", "webhook": {"url": URL, "events": events}}
        )
