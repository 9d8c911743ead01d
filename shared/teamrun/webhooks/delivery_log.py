"""Deliveries for clients: the list of an endpoint's, and deliveries that are requested again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryNotFound, UnreadableEntry, UsageError
from teamrun.json_types import JsonObject
from teamrun.runs.log.keys import delivery_index, list_place
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.index import Place, index_key, key_after, place_of
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.public import public_due, public_record
from teamrun.webhooks.records import Delivery, Record, read_records
from teamrun.webhooks.resources import Deliveries, DeliveryResource, DeliveryStatus, Redelivered
from teamrun.webhooks.sources import Logged, Source, source_of
from teamrun.webhooks.target import OWN

__all__ = ["DeliveryLog", "event_of"]

_SCANNED = 1_000
"""How many deliveries one request looks at."""
_TOGETHER = 50


class _Found(NamedTuple):
    place: Place
    shown: DeliveryResource


class _Event(NamedTuple):
    logged: Logged
    event: JsonObject


class DeliveryLog:
    """Reads the records of deliveries, and starts further rounds of them."""

    def __init__(self, store: ObjectStore, sources: Mapping[str, Source], clock: Clock) -> None:
        self._store = store
        self._sources = sources
        self._clock = clock

    async def page(
        self,
        tenant: str,
        webhook_id: str,
        *,
        status: DeliveryStatus | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> Deliveries:
        """Deliveries to an endpoint, newest event first.

        Raises:
            UsageError: The cursor is invalid.
            Unavailable: Storage does not respond.
        """
        found: list[_Found] = []
        last: str | None = None
        async for place, shown in self._walk(tenant, webhook_id, after):
            if len(found) == limit:
                cursor = found[-1].place.name
                data = [each.shown for each in found]
                return Deliveries(data=data, next_cursor=cursor, has_more=True)
            last = place.name
            if shown is not None and status in (None, shown.status):
                found.append(_Found(place, shown))
        is_cut = last is not None and await self._has_more(tenant, webhook_id, last)
        return Deliveries(
            data=[each.shown for each in found],
            next_cursor=last if is_cut else None,
            has_more=is_cut,
        )

    async def redeliver(self, ref: RunRef, seq: int, webhook_id: str) -> DeliveryResource:
        """Deliver one event again, whatever became of it.

        Raises:
            DeliveryNotFound: The log has no such event that webhooks can receive.
            UnreadableEntry: The log is unreadable.
            Unavailable: Storage does not respond.
        """
        found = await self._event(ref, seq)
        if found is None or (webhook_id == OWN and found.logged.webhook is None):
            raise _not_found(ref, seq)
        record = await self._record(found.logged.folder, seq, webhook_id)
        await self._begin(Job(ref, found.logged.n), record, at=found.logged.at)
        shown = public_record(record, ref.run_id)
        return shown or public_due(found.event, record, found.logged.at)

    async def redeliver_since(
        self, tenant: str, webhook_id: str, since: datetime, *, every: bool, after: str | None
    ) -> Redelivered:
        """Deliver the events of an endpoint again, newest first; pending ones are tried now.

        Args:
            tenant: The tenant.
            webhook_id: The endpoint.
            since: The earliest time of an event.
            every: Also those that were accepted.
            after: The cursor of the request before.

        Raises:
            UsageError: The cursor is invalid.
            Unavailable: Storage does not respond.
        """
        last, count, oldest = None, 0, list_place(since)
        wanted: list[Place] = []
        async for place, shown in self._walk(tenant, webhook_id, after):
            if place.at > oldest:
                last = None
                break
            last = place.name
            if shown is not None and not place.is_note and (every or shown.status != "delivered"):
                wanted.append(place)
        for start in range(0, len(wanted), _TOGETHER):
            part = wanted[start : start + _TOGETHER]
            began = await asyncio.gather(*(self._began(one, webhook_id) for one in part))
            count += sum(began)
        is_cut = last is not None and await self._has_more(tenant, webhook_id, last)
        return Redelivered(redelivered=count, next_cursor=last if is_cut else None, has_more=is_cut)

    async def _began(self, place: Place, webhook_id: str) -> bool:
        with contextlib.suppress(DeliveryNotFound):  # its log has just been deleted
            await self.redeliver(place.ref, place.seq, webhook_id)
            return True
        return False

    async def _walk(
        self, tenant: str, webhook_id: str, after: str | None
    ) -> AsyncIterator[tuple[Place, DeliveryResource | None]]:
        """Up to `_SCANNED` deliveries, with their records; None where a log was deleted."""
        place, folder = "", delivery_index(tenant, webhook_id)
        if after is not None:
            if Place.parse(tenant, after) is None:
                raise UsageError("The cursor is not one of this list.")
            place = key_after(tenant, webhook_id, after)
        for _ in range(_SCANNED // _TOGETHER):
            keys = await self._store.list(folder, after=place, limit=_TOGETHER)
            places = [one for key in keys if (one := place_of(tenant, key)) is not None]
            shown = await asyncio.gather(*(self._shown(one, webhook_id) for one in places))
            for one, each in zip(places, shown, strict=True):
                yield one, each
            if len(keys) < _TOGETHER:
                return
            place = keys[-1]

    async def _shown(self, place: Place, webhook_id: str) -> DeliveryResource | None:
        if place.is_note:
            return await self._note(place, webhook_id)
        source = source_of(self._sources, place.ref.run_id)
        if source is None:
            return None
        record = await self._record(source.folder(place.ref), place.seq, webhook_id)
        shown = public_record(record, place.ref.run_id)
        if shown is not None:
            return shown
        with contextlib.suppress(UnreadableEntry):  # one damaged log must not hide the others
            if (found := await self._event(place.ref, place.seq)) is not None:
                return public_due(found.event, record, found.logged.at)
        return None

    async def _note(self, place: Place, webhook_id: str) -> DeliveryResource | None:
        key = key_after(place.ref.tenant, webhook_id, place.name)
        [data] = await self._store.get_many([key])
        with contextlib.suppress(ValidationError):  # damaged, or being deleted
            return DeliveryResource.model_validate_json(data or b"")
        return None

    async def _event(self, ref: RunRef, seq: int) -> _Event | None:
        """The event with that number; None if webhooks receive none with it."""
        source = source_of(self._sources, ref.run_id)
        history = None if source is None else await source.history(ref)
        for logged in history or ():
            for event in logged.events:
                if event["seq"] == seq:
                    return _Event(logged, event)
        return None

    async def _has_more(self, tenant: str, webhook_id: str, name: str) -> bool:
        after = key_after(tenant, webhook_id, name)
        return bool(
            await self._store.list(delivery_index(tenant, webhook_id), after=after, limit=1)
        )

    async def _record(self, folder: str, seq: int, webhook_id: str) -> Record:
        wanted = Delivery(folder, seq, webhook_id)
        records = await read_records(self._store, folder, [seq])
        return next((one for one in records if one.delivery == wanted), Record(wanted))

    async def _begin(self, job: Job, record: Record, *, at: datetime) -> None:
        """Start the next round, and put the marker of its job.

        A request that was interrupted in between can be repeated: then there is a round without a
        try, and only the marker is put.
        """
        webhook_id, seq = record.delivery.target, record.delivery.seq
        if webhook_id != OWN:
            await self._store.put_new(index_key(job.ref, webhook_id, at=at, seq=seq), b"")
        if record.settled is not None or record.tries or not record.is_known:
            await record.begin_again(self._store, self._clock.now())
        await self._store.put_new(job.marker(self._clock.now()), b"")


def _not_found(ref: RunRef, seq: int) -> DeliveryNotFound:
    return DeliveryNotFound(
        f"There is no event {ref.run_id}-{seq} that webhooks can receive.", run_id=ref.run_id
    )


def event_of(tenant: str, event_id: str) -> tuple[RunRef, int]:
    """The log and the number of an event.

    Raises:
        DeliveryNotFound: The id is not one of an event.
    """
    log_id, dash, seq = event_id.rpartition("-")
    is_event = dash and log_id and seq.isascii() and seq.isdigit() and len(seq) < 10
    if not is_event or not log_id.replace("_", "").isalnum():
        raise DeliveryNotFound(f"{event_id[:80]!r} is not the id of an event.")
    return RunRef(tenant, log_id), int(seq)
