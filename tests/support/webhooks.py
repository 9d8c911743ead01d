"""Runs with webhooks in process: a cluster, the parts that deliver, and receivers of the test."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

from tests.support.batches import Batches
from tests.support.runs import TENANT, Cluster, ShiftedClock, solo

from teamrun.batches.hooks import BatchSource, pre_commit
from teamrun.batches.webhooks import BatchWebhooks
from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.json_types import JsonObject
from teamrun.live.memory import MemoryLive
from teamrun.net.destinations import Destinations
from teamrun.runs.log.keys import HOOKS
from teamrun.runs.log.observers import Observers
from teamrun.runs.service.service import RunService
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore
from teamrun.webhooks.parts import WebhookParts, compose_webhooks
from teamrun.webhooks.resources import Try
from teamrun.webhooks.sender import Sender, Sent
from teamrun.webhooks.service import WebhookService
from teamrun.webhooks.target import Target
from teamrun.webhooks.targets import Targets

__all__ = ["URL", "Office", "PlannedSender", "batches_of", "service_of", "webhook_service"]

URL = "https://receiver.example/hook"


def webhook_service(store: ObjectStore, destinations: Destinations | None = None) -> WebhookService:
    """The service of an API process."""
    parts = compose_webhooks(
        store=store,
        live=MemoryLive(),
        dispatcher=None,
        delivers=True,
        destinations=destinations or Destinations(),
        owner="api",
        interval=timedelta(seconds=5),
        clock=SystemClock(),
        further={"bat_": BatchSource(store, SystemClock())},
    )
    return service_of(parts, store, SystemClock())


def service_of(
    parts: WebhookParts,
    store: ObjectStore,
    clock: SystemClock,
    destinations: Destinations | None = None,
) -> WebhookService:
    """The service over the parts of a process."""
    return WebhookService(
        store=store,
        secrets=parts.secrets,
        endpoints=parts.endpoints,
        sources=parts.sources,
        sender=parts.sender,
        destinations=destinations or Destinations(),
        clock=clock,
    )


class PlannedSender:
    """Implements `Sender` without a network: the test decides each outcome.

    Args:
        clock: The clock.
        decide: Returns the status for a try, or the code of an error; 204 by default.
    """

    def __init__(
        self, clock: ShiftedClock, decide: Callable[[JsonObject], int | str] | None = None
    ) -> None:
        self._clock = clock
        self.decide: Callable[[JsonObject], int | str] = decide or (lambda _: 204)
        self.after: timedelta | None = None
        """The pause that the receiver asks for when it refuses."""
        self.before: Callable[[], Awaitable[None]] | None = None
        """Called before each try."""
        self.tries: list[JsonObject] = []
        """The event of each try."""
        self.delivered: list[str] = []
        """The ids of the events that were accepted."""

    async def send(self, event: JsonObject, target: Target) -> Sent:
        if self.before is not None:
            await self.before()
        self.tries.append(event)
        await asyncio.sleep(0)
        outcome = self.decide(event)
        made = Try(type=event["type"], at=self._clock.now(), duration_ms=1)
        if isinstance(outcome, str):
            return Sent(made.model_copy(update={"error": outcome}), None, is_down=True)
        if 200 <= outcome < 300:
            self.delivered.append(event["id"])
            return Sent(made.model_copy(update={"status": outcome}))
        failed = made.model_copy(update={"status": outcome, "error": "http_status"})
        return Sent(failed, self.after, is_down=outcome == 429)

    async def close(self) -> None:
        """There is nothing to release."""


class Office:
    """Runs of one team, whose events are delivered by one process.

    Args:
        script: Of the agent `a`; it ends with DONE.
        sender: Makes the requests; by default a `PlannedSender`.
        store: The store.
        team: The team.
        destinations: Where requests may go.
    """

    def __init__(
        self,
        script: list[Any] | None = None,
        *,
        sender: Sender | None = None,
        store: ObjectStore | None = None,
        team: dict[str, Any] | None = None,
        destinations: Destinations | None = None,
        clock: ShiftedClock | None = None,
    ) -> None:
        self.store = store or MemoryStore()
        self.clock = clock or ShiftedClock()
        self.destinations = destinations or Destinations()
        self.planned = PlannedSender(self.clock)
        self._sender = sender or self.planned
        self.parts = self.process()
        self.cluster = Cluster(
            {"a": script or ["DONE"] * 20},
            team=team or solo(),
            store=self.store,
            clock=self.clock,
            pre_commit=(self.parts.outbox.pre_commit,),
            pre_erase=(self.parts.closing.pre_erase,),
            destinations=self.destinations,
            webhooks_at=self.parts.endpoints.changed_at,
        )
        self.service = service_of(self.parts, self.store, self.clock, self.destinations)

    def process(self, *, store: ObjectStore | None = None) -> WebhookParts:
        """The parts of one more process that delivers."""
        return compose_webhooks(
            store=store or self.store,
            live=MemoryLive(),
            dispatcher=None,
            delivers=True,
            destinations=self.destinations,
            owner="w1",
            interval=timedelta(seconds=5),
            clock=self.clock,
            sender=self._sender,
            further={"bat_": BatchSource(store or self.store, self.clock)},
        )

    def service_over(self, parts: WebhookParts) -> WebhookService:
        """The service of another process."""
        return service_of(parts, self.store, self.clock)

    def other_service(self, parts: WebhookParts) -> RunService:
        """The service of runs of another process."""
        return RunService(
            store=self.store,
            live=self.cluster.live,
            dispatcher=self.cluster.queue,
            registry=self.cluster.registry,
            clock=self.clock,
            observers=Observers(self.cluster.live, pre_commit=(parts.outbox.pre_commit,)),
            webhooks_at=parts.endpoints.changed_at,
        )

    async def targets(self) -> list[Target]:
        """The registered receivers."""
        return await Targets(self.parts.secrets, self.parts.endpoints, self.clock).of(TENANT, None)

    async def submit(self, **webhook: Any) -> RunRef:
        """Submit a run with a webhook."""
        return await self.cluster.submit(webhook={"url": URL, **webhook})

    async def ended(self, **webhook: Any) -> RunRef:
        """A run with a webhook, after its end and all first tries."""
        ref = await self.submit(**webhook)
        await self.cluster.worker().execute(ref)
        await self.drained()
        return ref

    async def drained(self) -> None:
        """Return when the process has no job."""
        assert self.parts.delivery is not None
        await self.parts.delivery.deliverer.drained()

    async def sweep(self, parts: WebhookParts | None = None) -> int:
        """One sweep, and the end of its jobs."""
        delivery = (parts or self.parts).delivery
        assert delivery is not None
        count = await delivery.deliverer.sweep()
        await delivery.deliverer.drained()
        return count

    async def markers(self) -> list[str]:
        """All markers of deliveries."""
        return await self.store.list(HOOKS)

    async def outcomes(self, ref: RunRef) -> dict[str, str]:
        """The status of each delivery of a run, by the type of the event."""
        listed = await self.service.deliveries_of_run(TENANT, ref.run_id)
        return {each.event_type: each.status for each in listed.data}

    async def pass_time(self, total: timedelta, *, step: timedelta) -> None:
        """Put the clock forward in steps, and sweep after each."""
        end = self.clock.now() + total
        while self.clock.now() < end:
            self.clock.shift += step
            await self.sweep()


def batches_of(office: Office) -> Batches:
    """Batches whose events that process delivers."""
    return Batches(
        {"a": ["DONE"] * 50},
        store=office.store,
        clock=office.clock,
        webhooks=BatchWebhooks(
            changed_at=office.parts.endpoints.changed_at,
            pre_commit=partial(pre_commit, office.parts.outbox),
            pre_erase=office.parts.closing.pre_erase,
        ),
    )
