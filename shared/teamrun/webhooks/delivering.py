"""The deliveries of one job: each event to each receiver, once, and what is written about it."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from teamrun.core.clock import Clock
from teamrun.core.exposition import head, sample
from teamrun.core.refs import RunRef
from teamrun.errors import DestinationRefused
from teamrun.json_types import JsonObject
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.hosts import Hosts
from teamrun.webhooks.index import index_key
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.places import Shares
from teamrun.webhooks.records import Delivery, Outcome, Record, Settled, read_records
from teamrun.webhooks.resources import Try
from teamrun.webhooks.schedule import next_try
from teamrun.webhooks.sender import GONE, Sender, Sent
from teamrun.webhooks.sources import Logged
from teamrun.webhooks.target import OWN, Target
from teamrun.webhooks.targets import Targets

__all__ = ["Delivering"]

logger = logging.getLogger(__name__)

_AT_ONCE = 50
"""Requests at the same time. The place at the host comes first, so a slow host blocks no other."""

_PER_TENANT = 40
"""Of these, a tenant has no more, so that one with many slow hosts leaves places for others."""

_CROWDED = timedelta(seconds=5)
"""After this time, a request to a host with too many others is considered again."""


class Delivering:
    """Makes the tries that are due now.

    Args:
        store: Where deliveries are recorded.
        targets: The receivers.
        sender: Makes the requests.
        clock: The clock.
        jitter: Returns a random number from 0 to 1.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        targets: Targets,
        sender: Sender,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._targets = targets
        self._sender = sender
        self._clock = clock
        self._jitter = jitter
        self._hosts = Hosts()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._shares = Shares(_PER_TENANT)
        self._tries: Counter[str] = Counter()

    async def deliver(
        self,
        job: Job,
        found: Logged,
        *,
        latest: datetime,
        is_new: bool,
        listed: frozenset[str] = frozenset(),
    ) -> datetime | None:
        """Make each try that is due; returns when the job is due again, None if it is over.

        A receiver gets the events of the job one after the other, in their order.

        Args:
            job: The job.
            found: The events.
            latest: When the last request may start, as another process may take the job soon.
            is_new: Nothing has been recorded about the job yet.
            listed: The markers that `Listing.add` has put for the job.

        Raises:
            StorageError: Storage does not respond, so some outcome may not be recorded.
        """
        seqs = [event["seq"] for event in found.events]
        stored = [] if is_new else await read_records(self._store, found.folder, seqs)
        # A client may have registered, enabled or changed an endpoint just before another process
        # wrote the entry, or before the client asked for a redelivery.
        after = None if is_new else found.at
        if any(record.is_requested for record in stored):
            after = self._clock.now()
        targets = await self._receivers(job, found, after)
        if _without_target(stored, targets):  # another process may know of a newer endpoint
            targets = await self._receivers(job, found, self._clock.now())
            await self._skip(found, _without_target(stored, targets))
        records = {record.delivery: record for record in stored}
        times = await asyncio.gather(
            *(self._to_target(target, found, records, latest, listed) for target in targets)
        )
        return min((time for time in times if time is not None), default=None)

    def lines(self) -> Iterator[str]:
        """The metrics in the Prometheus text format."""
        name = "teamrun_webhook_tries_total"
        yield from head(name, "counter", "Requests to webhooks: delivered, or the error.")
        for outcome, count in sorted(self._tries.items()):
            yield sample(name, count, {"outcome": outcome})

    async def _receivers(self, job: Job, found: Logged, after: datetime | None) -> list[Target]:
        return await self._targets.of(job.ref.tenant, found.webhook, after=after, as_of=found.as_of)

    async def _to_target(
        self,
        target: Target,
        found: Logged,
        records: dict[Delivery, Record],
        latest: datetime,
        listed: frozenset[str],
    ) -> datetime | None:
        times: list[datetime] = []
        for event in found.events:
            delivery = Delivery(found.folder, event["seq"], target.id)
            record = records.get(delivery) or Record(delivery)
            is_due = record.round > 0 or target.wants(event["type"], found.at, found.as_of)
            if not is_due or record.settled is not None:
                continue
            if target.id != OWN and not record.is_known:
                ref = RunRef(target.tenant, event["id"].rpartition("-")[0])
                key = index_key(ref, target.id, at=found.at, seq=event["seq"])
                if key not in listed:
                    await self._store.put_new(key, b"")
            if target.is_disabled:
                await self._settle(event, record, "skipped")
            elif (at := await self._due_in(event, target, record, latest)) is not None:
                times.append(at)
        return min(times, default=None)

    async def _due_in(
        self, event: JsonObject, target: Target, record: Record, latest: datetime
    ) -> datetime | None:
        """Make a try unless it has to wait; returns when the next one is due."""
        now, host = self._clock.now(), _host(target)
        if record.next_at is not None and now < record.next_at:
            return record.next_at
        paused = self._hosts.paused_until(
            host, now, is_requested=record.is_requested, answered_at=target.answered_at
        )
        if paused is not None:
            return paused
        if self._hosts.is_crowded(host):
            return now + _CROWDED
        async with self._hosts.place(host), self._shares.of(target.tenant), self._places:
            if (now := self._clock.now()) > latest:
                return latest
            sent = await self._sender.send(event, target)
        if sent.is_down:
            self._hosts.failed(host, now, after=sent.after)
        else:
            self._hosts.succeeded(host)
        self._tries[sent.made.error or "delivered"] += 1
        at = await self._record(event, target, record, sent)
        await self._targets.report(
            target, is_accepted=sent.made.error is None, is_gone=sent.made.status == GONE
        )
        return at

    async def _skip(self, found: Logged, records: Sequence[Record]) -> None:
        """Settle the deliveries to endpoints that have been deleted."""
        events = {event["seq"]: event for event in found.events}
        for record in records:
            await self._settle(events[record.delivery.seq], record, "skipped")

    async def _settle(
        self, event: JsonObject, record: Record, outcome: Outcome, last: Try | None = None
    ) -> None:
        settled = Settled(type=event["type"], outcome=outcome, at=self._clock.now(), last=last)
        await record.settle(self._store, settled)

    async def _record(
        self, event: JsonObject, target: Target, record: Record, sent: Sent
    ) -> datetime | None:
        made, now = sent.made, self._clock.now()
        if made.error is None:
            await self._settle(event, record, "delivered", made)
            return None
        tries = len(record.tries) + 1
        at = next_try(tries, now, after=sent.after, jitter=self._jitter)
        if at is not None and not _is_final(made):
            await record.add_try(self._store, made.model_copy(update={"next_at": at}))
            return at
        await self._settle(event, record, "failed", made)
        logger.warning(
            "A webhook delivery was given up",
            extra={
                "action": "webhook.given_up",
                "tenant": target.tenant,
                "webhook_id": target.id,
                "event_id": event["id"],
                "tries": tries,
                "error": made.error,
                "status": made.status,
            },
        )
        return None


def _without_target(records: Sequence[Record], targets: Sequence[Target]) -> list[Record]:
    """The records of deliveries that are not over, and whose receiver is not known."""
    known = {target.id for target in targets}
    return [one for one in records if one.settled is None and one.delivery.target not in known]


def _is_final(made: Try) -> bool:
    """Whether a further try makes no sense: the receiver is gone, or is not allowed."""
    return made.status == GONE or made.error == DestinationRefused.code


def _host(target: Target) -> str:
    return f"{target.tenant} {urlsplit(target.url).netloc.lower()}"
