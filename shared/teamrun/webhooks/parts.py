"""The parts of webhooks that each process has, composed for `runtime.py`.

What delivers is imported at first use: many a process of a function never has a delivery to make.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from teamrun.core.clock import Clock
from teamrun.dispatch.base import Dispatcher
from teamrun.live.base import Leases
from teamrun.net.destinations import Destinations
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.closing import Closing
from teamrun.webhooks.endpoint_source import EndpointSource
from teamrun.webhooks.endpoints import Endpoints
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.listing import Listing
from teamrun.webhooks.outbox import HOLD, Hints, Outbox
from teamrun.webhooks.run_secrets import Secrets
from teamrun.webhooks.sources import Logged, RunSource, Source
from teamrun.webhooks.targets import Targets

if TYPE_CHECKING:
    from teamrun.webhooks.deliverer import Deliverer
    from teamrun.webhooks.delivering import Delivering
    from teamrun.webhooks.sender import Sender

__all__ = ["Delivery", "WebhookParts", "compose_webhooks"]


class Delivery(NamedTuple):
    """The parts of a process that delivers."""

    deliverer: "Deliverer"
    delivering: "Delivering"


@dataclass(kw_only=True, eq=False, repr=False)
class WebhookParts:
    """The parts of one process."""

    outbox: Outbox
    closing: Closing
    secrets: Secrets
    endpoints: Endpoints
    sources: Mapping[str, Source]
    hints: Hints | None
    """Sends jobs to the processes that deliver; None if this one does."""
    make_sender: "Callable[[], Sender]"
    """Makes what makes requests."""
    make_delivery: "Callable[[Sender], Delivery] | None"
    """None if this process does not deliver."""

    @cached_property
    def sender(self) -> "Sender":
        """Makes the requests."""
        return self.make_sender()

    @cached_property
    def delivery(self) -> Delivery | None:
        """The parts of a process that delivers; None if this one does not."""
        return None if self.make_delivery is None else self.make_delivery(self.sender)

    def begin(self, job: Job, found: Logged) -> None:
        """Start a job whose entry has just become durable."""
        assert self.delivery is not None, "it is called in processes that deliver"
        self.delivery.deliverer.begin(job, found)

    @property
    def _begun(self) -> Delivery | None:
        """The parts that deliver, if they have been used."""
        return self.__dict__.get("delivery")

    def start(self) -> None:
        """Start the background tasks, on the running event loop."""
        if self.delivery is not None:
            self.delivery.deliverer.start()

    def lines(self) -> Iterator[str]:
        """The metrics in the Prometheus text format."""
        if self._begun is not None:
            yield from self._begun.delivering.lines()

    async def settled(self) -> None:
        """Return when every job of this process has been sent, or tried for the first time."""
        if self.hints is not None:
            await self.hints.flushed()
        if self._begun is not None:
            await self._begun.deliverer.drained()

    async def shutdown(self, grace: timedelta) -> None:
        """Stop; requests in progress have the grace time."""
        if self.hints is not None:
            await self.hints.flushed()
        if self._begun is not None:
            await self._begun.deliverer.shutdown(grace)
        if "sender" in self.__dict__:
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
    sender: "Sender | None" = None,
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

    def make_sender() -> "Sender":
        from teamrun.webhooks.sender import GuardedSender

        return sender or GuardedSender(destinations, clock=clock)

    def make_delivery(sender: "Sender") -> Delivery:
        from teamrun.webhooks.deliverer import Deliverer
        from teamrun.webhooks.delivering import Delivering

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
        return Delivery(deliverer, delivering)

    def start(job: Job, found: Logged) -> None:
        (hints.start if hints is not None else parts.begin)(job, found)

    hints: Hints | None = None
    if not delivers:
        assert dispatcher is not None, "a process without a queue delivers itself"
        hints = Hints(dispatcher, listing)
    parts = WebhookParts(
        outbox=Outbox(store, targets, start=start, hold=hold),
        closing=Closing(store, sources, endpoints, clock),
        secrets=secrets,
        endpoints=endpoints,
        sources=sources,
        hints=hints,
        make_sender=make_sender,
        make_delivery=make_delivery if delivers else None,
    )
    return parts
