"""Looks after the items of a batch that are in flight.

An item has no open marker, so the driver of its batch does for it what the reaper does for a run:
it sends items again that no worker has. It also finds out which items wait for a person, and which
ones will never end because their log is damaged.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from teamrun.batches.chunks import StoredItems
from teamrun.batches.done import done_key, unreadable_line
from teamrun.batches.keys import BatchRef, done_folder, item_run_id
from teamrun.batches.progress import Progress
from teamrun.batches.spec import Place
from teamrun.core.refs import RunRef
from teamrun.errors import UnreadableEntry
from teamrun.runs.engine.resender import LONGEST_REST, Resender
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.state import RunState
from teamrun.runs.log.usage import Usage
from teamrun.storage.base import ObjectStore

__all__ = ["Attendant"]

logger = logging.getLogger(__name__)

_WAITING_REST = timedelta(minutes=5)
"""How often an item that waits for a person is looked at; usually a notice is quicker."""


class Attendant:
    """Looks after the items of one round of one batch.

    Args:
        store: The store.
        reader: Reads the runs of the items.
        resender: Finds the runs that no worker has.
        ref: The batch.
        patience: How long a log must have been unreadable before its item counts as failed. Until
            then, a worker of a newer release may go on with it.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        reader: RunReader,
        resender: Resender,
        ref: BatchRef,
        patience: timedelta,
    ) -> None:
        self._store = store
        self._reader = reader
        self._resender = resender
        self._batch = ref
        self._patience = patience
        self._waiting = set[int]()
        self._unreadable: dict[int, datetime] = {}

    def begin_round(self) -> None:
        """Forget the items of the round before."""
        self._waiting.clear()
        self._unreadable.clear()

    def waits(self, position: int) -> None:
        """Note that an item waits for a person."""
        self._waiting.add(position)

    def goes_on(self, position: int) -> None:
        """Note that an item waits no longer."""
        self._waiting.discard(position)

    def waiting(self, progress: Progress) -> int:
        """The number of items in flight that wait for a person."""
        return len(self._waiting.intersection(progress.in_flight))

    async def look(self, progress: Progress, items: StoredItems, now: datetime) -> list[int]:
        """Look at the items in flight; returns the positions of those without a run.

        Raises:
            DeliveryError: The queue or the live state cannot be reached.
            StorageError: Storage refuses something, or does not respond.
        """
        await self._resender.begin(now)
        places = await self._places(progress, items)
        known, waiting = set(places), self._waiting
        if progress.state.interrupts:  # they wait no longer
            known -= {ref for ref, place in places.items() if place.position in waiting}
            waiting.clear()
        self._resender.keep(known)
        await self._look_at_waiting(places, now)
        active = [ref for ref, place in places.items() if place.position not in waiting]
        missing: list[int] = []
        for ref, state in await self._resender.unattended(active, now):
            place = places[ref]
            if state is None:
                missing.append(place.position)
            elif isinstance(state, UnreadableEntry):
                await self._look_at_unreadable(ref, place, items, state, now)
            elif _waits(state, now):
                waiting.add(place.position)
                self._resender.rest(ref, now, _WAITING_REST)
            elif state.is_waiting(now):  # a marker wakes it
                self._resender.rest(ref, now, LONGEST_REST)
            else:
                await self._resender.send(ref, state, now)
        return missing

    async def _places(self, progress: Progress, items: StoredItems) -> dict[RunRef, Place]:
        current = progress.state.round
        indices = await items.indices(current)
        return {
            RunRef(
                self._batch.tenant, item_run_id(self._batch, current.number, indices[position])
            ): Place(round=current.number, position=position, index=indices[position])
            for position in progress.in_flight
        }

    async def _look_at_waiting(self, places: Mapping[RunRef, Place], now: datetime) -> None:
        """Find items that wait no longer, in case the notice of it was lost."""
        due = [
            ref
            for ref, place in places.items()
            if place.position in self._waiting and not self._resender.rests(ref, now)
        ]
        for ref, state in zip(due, await self._reader.states(due), strict=True):
            if isinstance(state, RunState) and _waits(state, now):
                self._resender.rest(ref, now, _WAITING_REST)
            else:
                self._waiting.discard(places[ref].position)

    async def _look_at_unreadable(
        self,
        ref: RunRef,
        place: Place,
        items: StoredItems,
        error: UnreadableEntry,
        now: datetime,
    ) -> None:
        """Count an item as failed whose log has been unreadable for too long."""
        since = self._unreadable.setdefault(place.position, now)
        if now - since < self._patience:
            self._resender.set_apart(ref, error, now, rest=self._patience)
            return
        folder = done_folder(self._batch, place.round)
        key = done_key(folder, place.position, "failed", Usage())
        item = await items.get(place.index)
        await self._store.put(key, unreadable_line(item, place, ref, error, now))
        del self._unreadable[place.position]
        logger.warning(
            "An item of a batch failed because the log of its run is unreadable",
            extra={
                "action": "batch.item_unreadable",
                "batch_id": self._batch.batch_id,
                **ref.log_fields(),
                "error": error.message,
            },
        )


def _waits(state: RunState, now: datetime) -> bool:
    """Whether a run does nothing until a person acts; not if its worker died after a question."""
    return state.is_waiting(now) and (bool(state.actions) or state.is_paused)
