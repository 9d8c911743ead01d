"""One tenant with many slow receivers leaves places for the others."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from tests.support.runs import ShiftedClock
from tests.support.webhooks import Office, PlannedSender

from teamrun.json_types import JsonObject
from teamrun.runs.service.requests import RunRequest
from teamrun.webhooks.deliverer import Deliverer
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.places import Places
from teamrun.webhooks.sender import Sent
from teamrun.webhooks.sources import Logged
from teamrun.webhooks.target import Target


class _Sender(PlannedSender):
    """The receivers of the tenant `slow` do not answer before the test says so."""

    def __init__(self, clock: ShiftedClock) -> None:
        super().__init__(clock)
        self.answer = asyncio.Event()
        self.quick = asyncio.Event()
        """Another tenant has received an event."""

    async def send(self, event: JsonObject, target: Target) -> Sent:
        if target.tenant == "slow":
            await self.answer.wait()
        else:
            self.quick.set()
        return await super().send(event, target)


def deliverer_of(office: Office, places: Places) -> Deliverer:
    assert office.parts.delivery is not None
    deliverer = office.parts.delivery.deliverer
    deliverer.__dict__["_places"] = places
    return deliverer


def deliver_nothing(job: Job, found: Logged) -> None:
    """The process that wrote an entry is killed right after it."""


async def submitted(office: Office, tenant: str, number: int) -> None:
    """Submit a run with the event `run.queued`; each has a host of its own."""
    webhook = {"url": f"https://h{number}.example/", "events": ["run.queued"]}
    request = {"team": "team", "input": "go", "webhook": webhook}
    await office.cluster.service.submit(tenant, RunRequest.model_validate(request))


@pytest.mark.parametrize("waiting", (5, 1_000))
async def test_a_new_event_does_not_wait_for_another_tenants_slow_hosts(waiting: int) -> None:
    clock = ShiftedClock()
    sender = _Sender(clock)
    office = Office(clock=clock, sender=sender)
    deliverer = deliverer_of(office, Places(5, waiting=waiting))
    for number in range(20):
        await submitted(office, "slow", number)
    await submitted(office, "quick", 1)
    async with asyncio.timeout(5):
        await sender.quick.wait()
    sender.answer.set()
    await deliverer.drained()
    clock.shift += timedelta(minutes=2)
    for _ in range(20):
        await office.sweep()
    assert len(sender.delivered) == 1 + 20


async def test_a_sweep_passes_over_a_tenant_that_has_all_its_places() -> None:
    clock = ShiftedClock()
    sender = _Sender(clock)
    office = Office(clock=clock, sender=sender)
    deliverer = deliverer_of(office, Places(5, waiting=5))
    office.parts.outbox.__dict__["_start"] = deliver_nothing
    for number in range(20):
        await submitted(office, "slow", number)
    await submitted(office, "quick", 1)
    clock.shift += timedelta(minutes=2)
    async with asyncio.timeout(5):
        assert await deliverer.sweep() == 4 + 1
        await sender.quick.wait()
    sender.answer.set()
    await deliverer.drained()


async def test_a_tenant_has_a_part_of_the_places_and_of_those_that_wait() -> None:
    places = Places(5, waiting=5)
    async with AsyncExitStack() as taken:
        for _ in range(4):
            assert places.has_free("a")
            await taken.enter_async_context(places.place("a"))
        assert (places.has_free("a"), places.has_free("b")) == (False, True)
        waiting = [asyncio.create_task(_hold(places, "a")) for _ in range(4)]
        await asyncio.sleep(0)
        assert (places.may_wait("a"), places.may_wait("b")) == (False, True)
        await _hold(places, "b")
    await asyncio.gather(*waiting)
    assert places.may_wait("a") and places.has_free("a")


async def _hold(places: Places, tenant: str) -> None:
    async with places.place(tenant):
        await asyncio.sleep(0)
