"""Gives up the deliveries of a log that is about to be deleted, with a record that outlives it."""

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import UnreadableEntry
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.endpoints import Endpoints
from teamrun.webhooks.index import given_up_key, index_key
from teamrun.webhooks.sources import Logged, Source, source_of
from teamrun.webhooks.target import OWN

if TYPE_CHECKING:
    from teamrun.webhooks.resources import DeliveryResource, GivenUpBecause

__all__ = ["Closing"]

logger = logging.getLogger(__name__)

_PAGE = 1_000

_BECAUSE: "Mapping[str, GivenUpBecause]" = {
    "run_": "run_deleted",
    "bat_": "batch_deleted",
    "whe_": "webhook_deleted",
}
"""What has happened, by the prefix of the log's id."""


class Closing:
    """Records what a deletion ends.

    The records of deliveries are beside their log and are deleted with it. Those that were pending
    would disappear without a trace, so each registered webhook keeps a note in its list.
    """

    def __init__(
        self, store: ObjectStore, sources: Mapping[str, Source], endpoints: Endpoints, clock: Clock
    ) -> None:
        self._store = store
        self._sources = sources
        self._endpoints = endpoints
        self._clock = clock

    async def pre_erase(self, ref: RunRef) -> None:
        """Give up the pending deliveries of a log to registered webhooks. Can be repeated.

        Raises:
            StorageError: Storage does not respond.
        """
        source = source_of(self._sources, ref.run_id)
        if source is None or not (await self._endpoints.read(ref.tenant)).endpoints:
            return
        with contextlib.suppress(UnreadableEntry):  # it must be possible to delete it, too
            history = await source.history(ref) or ()
            times = {event["seq"]: each.at for each in history for event in each.events}
            async for pending in self._pending(ref, source, history):
                seq = int(pending.event_id.rpartition("-")[2])
                await self._give_up(ref, pending, seq=seq, at=times[seq])

    async def _pending(
        self, ref: RunRef, source: Source, history: Sequence[Logged]
    ) -> "AsyncIterator[DeliveryResource]":
        from teamrun.webhooks.log_page import LogPage  # few processes delete a log

        after, page = (
            None,
            LogPage(
                self._store,
                self._endpoints,
                self._clock,
                ref=ref,
                folder=source.folder(ref),
                history=history,
            ),
        )
        while True:
            found = await page.read(limit=_PAGE, after=after)
            for each in found.data:
                if each.status == "pending" and each.webhook_id != OWN:
                    yield each
            if (after := found.next_cursor) is None:
                return

    async def _give_up(
        self, ref: RunRef, pending: "DeliveryResource", *, seq: int, at: datetime
    ) -> None:
        because = next(each for prefix, each in _BECAUSE.items() if ref.run_id.startswith(prefix))
        note = pending.model_copy(
            update={"status": "failed", "next_try_at": None, "given_up_because": because}
        )
        key = given_up_key(ref, pending.webhook_id, at=at, seq=seq)
        await self._store.put_new(key, note.model_dump_json().encode())
        # The records beside the log may outlive it by an hour; the delivery is listed once.
        await self._store.delete(index_key(ref, pending.webhook_id, at=at, seq=seq))
        logger.info(
            "A webhook delivery was given up because its log is being deleted",
            extra={
                "action": "webhook.log_deleted",
                "tenant": ref.tenant,
                "webhook_id": pending.webhook_id,
                "event_id": pending.event_id,
            },
        )
