"""The parts of webhooks that each process has, composed for `runtime.py`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from teamrun.core.clock import Clock
from teamrun.dispatch.base import Dispatcher
from teamrun.live.base import Leases
from teamrun.net.destinations import Destinations
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.closing import Closing
from teamrun.webhooks.deliverer import Deliverer
from teamrun.webhooks.delivering import Delivering
from teamrun.webhooks.endpoint_source import EndpointSource
from teamrun.webhooks.endpoints import Endpoints
from teamrun.webhooks.listing import Listing
from teamrun.webhooks.outbox import HOLD, Hints, Outbox
from teamrun.webhooks.run_secrets import Secrets
from teamrun.webhooks.sender import GuardedSender, Sender
from teamrun.webhooks.sources import RunSource, Source
from teamrun.webhooks.targets import Targets

__all__ = ["Delivery", "WebhookParts", "compose_webhooks"]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The parts of a process that delivers."""

    deliverer: Deliverer
    delivering: Delivering


@dataclass(frozen=True, kw_only=True)
class WebhookParts:
    """The parts of one process."""

    outbox: Outbox
    closing: Closing
    secrets: Secrets
    endpoints: Endpoints
    sources: Mapping[str, Source]
    sender: Sender
    hints: Hints | None
    """Sends jobs to the processes that deliver; None if this one does."""
    delivery: Delivery | None

    def start(self) -> None:
        """Start the background tasks, on the running event loop."""
        if self.delivery is not None:
            self.delivery.deliverer.start()

    def lines(self) -> Iterator[str]:
        """The metrics in the Prometheus text format."""
        if self.delivery is not None:
            yield from self.delivery.delivering.lines()

    async def settled(self) -> None:
        """Return when every job of this process has been sent, or tried for the first time."""
        if self.hints is not None:
            await self.hints.flushed()
        if self.delivery is not None:
            await self.delivery.deliverer.drained()

    async def shutdown(self, grace: timedelta) -> None:
        """Stop; requests in progress have the grace time."""
        if self.hints is not None:
            await self.hints.flushed()
        if self.delivery is not None:
            await self.delivery.deliverer.shutdown(grace)
        await self.sender.close()


def compose_webhooks(
    *,
    store: ObjectStore,
    live: Leases,
    dispatcher: Dispatcher | None,
    delivers: bool,
    destinations: Destinations,
    owner: str,
    interval: timedelta,
    clock: Clock,
    hold: timedelta = HOLD,
    sender: Sender | None = None,
    further: Mapping[str, Source] | None = None,
) -> WebhookParts:
    """Create the parts of a process.

    Args:
        store: Where logs, markers and records are.
        live: The leases, by which one process at a time sweeps.
        dispatcher: The queue; None if this is the only process.
        delivers: Whether this process delivers; otherwise it sends jobs to those that do.
        destinations: Where requests may go.
        owner: The name of this process.
        interval: The pause between two sweeps.
        clock: The clock.
        hold: See `outbox.HOLD`.
        sender: Makes the requests, if not over HTTP.
        further: Logs of other features, by the prefixes of their ids.
    """
    secrets, endpoints = Secrets(store, clock), Endpoints(store, clock)
    targets, listing = Targets(secrets, endpoints, clock), Listing(store, endpoints, clock)
    sources: dict[str, Source] = {
        "run_": RunSource(store, clock),
        "whe_": EndpointSource(store),
        **(further or {}),
    }
    sender = sender or GuardedSender(destinations, clock=clock)
    if not delivers:
        assert dispatcher is not None, "a process without a queue delivers itself"
        hints, delivery = Hints(dispatcher, listing), None
        start = hints.start
    else:
        delivering = Delivering(store=store, targets=targets, sender=sender, clock=clock)
        deliverer = Deliverer(
            store=store,
            leases=live,
            delivering=delivering,
            listing=listing,
            sources=sources,
            clock=clock,
            owner=owner,
            dispatcher=dispatcher,
            hold=hold,
            interval=interval,
        )
        hints, delivery = None, Delivery(deliverer=deliverer, delivering=delivering)
        start = deliverer.begin
    return WebhookParts(
        outbox=Outbox(store, targets, start=start, hold=hold),
        closing=Closing(store, sources, endpoints, clock),
        secrets=secrets,
        endpoints=endpoints,
        sources=sources,
        sender=sender,
        hints=hints,
        delivery=delivery,
    )
