"""A page of the deliveries of one log, in the order of its events.

What has begun is in the records beside the log. What has not follows from the log: its own webhook
is sent each event of the types that it subscribes to, and registered endpoints have a marker in
their lists.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.runs.log.webhook import matches
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.endpoints import Endpoints
from teamrun.webhooks.index import index_key
from teamrun.webhooks.public import public_due, public_record
from teamrun.webhooks.records import (
    Delivery,
    Record,
    delivery_of,
    keys_of_records,
    read_keys,
)
from teamrun.webhooks.resources import Deliveries, DeliveryResource
from teamrun.webhooks.sources import Logged
from teamrun.webhooks.target import OWN

__all__ = ["LogPage"]

_CURSOR = re.compile(r"(?P<seq>\d{1,9})\.(?P<target>[A-Za-z0-9_]{1,64})")


class _Due(NamedTuple):
    event: JsonObject
    logged: Logged


class LogPage:
    """Reads the deliveries of one log.

    Args:
        store: The store.
        endpoints: The registered webhooks.
        clock: The clock.
        ref: The log.
        folder: Where its deliveries are recorded; ends in `/`.
        history: Its entries with events that webhooks can subscribe to.
    """

    def __init__(
        self,
        store: ObjectStore,
        endpoints: Endpoints,
        clock: Clock,
        *,
        ref: RunRef,
        folder: str,
        history: Sequence[Logged],
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._clock = clock
        self._ref = ref
        self._folder = folder
        self._events = {
            event["seq"]: _Due(event, logged) for logged in history for event in logged.events
        }

    async def read(self, *, limit: int, after: str | None = None) -> Deliveries:
        """The deliveries after a cursor.

        Raises:
            UsageError: The cursor is invalid.
            Unavailable: Storage does not respond.
        """
        start = None if after is None else self._cursor(after)
        keys: dict[Delivery, list[str]] = {}
        for key in await keys_of_records(self._store, self._folder):
            keys.setdefault(delivery_of(self._folder, key), []).append(key)
        listed = await self._listed(keys)
        known = sorted({*keys, *listed}, key=_place)
        rest = [each for each in known if start is None or _place(each) > start]
        page, found = rest[:limit], await self._records(rest[:limit], keys)
        has_more = len(rest) > limit
        return Deliveries(
            data=[shown for each in page if (shown := self._shown(found[each])) is not None],
            next_cursor=f"{page[-1].seq}.{page[-1].target}" if has_more else None,
            has_more=has_more,
        )

    def _cursor(self, text: str) -> tuple[int, str]:
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise UsageError("The cursor is not one of this list.")
        return int(found["seq"]), found["target"]

    async def _listed(self, begun: Mapping[Delivery, object]) -> list[Delivery]:
        """The deliveries that are due and have no record yet."""
        own = [each for each in self._own() if each not in begun]
        wanted = {
            marker: delivery
            for marker, delivery in await self._registered()
            if delivery not in begun
        }
        stored = await self._store.get_many(list(wanted)) if wanted else []
        there = zip(wanted.values(), stored, strict=True)
        return own + [delivery for delivery, data in there if data is not None]

    def _own(self) -> Iterator[Delivery]:
        for seq, (event, logged) in self._events.items():
            if logged.webhook is not None and matches(logged.webhook.events, event["type"]):
                yield Delivery(self._folder, seq, OWN)

    async def _registered(self) -> list[tuple[str, Delivery]]:
        """The deliveries to registered webhooks that may be due, by their markers in the lists."""
        known, now = await self._endpoints.read(self._ref.tenant), self._clock.now()
        targets = [one.target(self._ref.tenant, now) for one in known.endpoints]
        return [
            (
                index_key(self._ref, target.id, at=logged.at, seq=seq),
                Delivery(self._folder, seq, target.id),
            )
            for target in targets
            for seq, (event, logged) in self._events.items()
            if target.wants(event["type"], logged.at, logged.as_of)
        ]

    async def _records(
        self, page: Sequence[Delivery], keys: Mapping[Delivery, list[str]]
    ) -> dict[Delivery, Record]:
        wanted = [key for each in page for key in keys.get(each, [])]
        found = {each.delivery: each for each in await read_keys(self._store, self._folder, wanted)}
        return {each: found.get(each) or Record(each) for each in page}

    def _shown(self, record: Record) -> DeliveryResource | None:
        shown = public_record(record, self._ref.run_id)
        due = self._events.get(record.delivery.seq)
        if shown is None and due is not None:
            return public_due(due.event, record, due.logged.at)
        return shown


def _place(delivery: Delivery) -> tuple[int, str]:
    return delivery.seq, delivery.target
