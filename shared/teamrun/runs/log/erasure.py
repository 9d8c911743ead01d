"""Deletes runs that have ended; an interruption at any moment leaves nothing half done.

A single write deletes the run for all readers: its entry 0 is replaced by a tombstone, an `end`
with the code `deleted`. Readers see the whole run before it and no run after it. The rest is
clean-up. A plan is written first, so that any process can finish it. Tombstones keep the numbers of
the log taken until a worker that was frozen before the end can no longer write. The Idempotency-Key
stays until its lifetime is over.
"""

import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ValidationError

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError, NotFound, RunInBatch, RunNotFinished, UnreadableEntry
from teamrun.live.base import Live
from teamrun.runs.log.announcer import view_key
from teamrun.runs.log.entries import DELETED, End, Entry
from teamrun.runs.log.keys import (
    GONE,
    batch_marker,
    due_marker,
    entry_key,
    entry_number,
    gone_folder,
    gone_marker,
    list_marker,
    open_marker,
    ref_of_marker,
    run_folder,
)
from teamrun.runs.log.log import PreErase
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["Erasure"]

_KEY_LIFE = timedelta(hours=24)
"""How long an Idempotency-Key outlives the run that it was used for."""

_FENCE = timedelta(hours=1)
"""How long the numbers of a deleted log stay taken by tombstones."""

_PAGE = 1_000


class _Plan(BaseModel):
    markers: list[str]
    idempotency: str | None
    until: datetime
    """When the last traces are removed."""


class Erasure:
    """Deletes runs, and finishes deletions that were interrupted.

    Args:
        store: The store.
        live: Has the views of runs.
        reader: Reads runs.
        clock: The clock.
        pre_erase: Called before a run disappears, at least once each.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: Live,
        reader: RunReader,
        clock: Clock,
        pre_erase: Sequence[PreErase] = (),
    ) -> None:
        self._pre_erase = pre_erase
        self._store = store
        self._live = live
        self._reader = reader
        self._clock = clock

    async def delete(self, ref: RunRef) -> None:
        """Delete a run that has ended.

        Raises:
            RunNotFound: The run does not exist.
            RunNotFinished: The run has not ended.
            RunInBatch: It belongs to a batch that has not ended.
            UnreadableEntry: The log of the run is unreadable.
            Unavailable: Storage does not respond; the deletion may be finished later.
        """
        state = await self._reader.state(ref)
        if state.end is None:
            raise RunNotFinished(
                f"Run {ref.run_id!r} is {state.status}; cancel it or wait for its end, then "
                "delete it.",
                run_id=ref.run_id,
            )
        await self._check_batch(ref, state)
        marker = gone_marker(ref)
        await self._store.put_new(marker, self._plan(ref, state).model_dump_json().encode())
        await self._resume(marker, ref)

    async def _check_batch(self, ref: RunRef, state: RunState) -> None:
        """Refuse a run whose batch has not ended: the batch would create it again."""
        item = state.spec.batch
        if item is None:
            return
        if await self._store.get_many([batch_marker(ref.tenant, item.batch_id)]) != [None]:
            raise RunInBatch(
                f"Run {ref.run_id!r} belongs to batch {item.batch_id!r}, which has not ended; "
                "cancel the batch, or wait for its end, then delete the run.",
                run_id=ref.run_id,
            )

    async def sweep(self) -> None:
        """Finish interrupted deletions, and remove the last traces that are due.

        Raises:
            StorageError: Storage cannot be read.
        """
        now = gone_folder(self._clock.now())
        after = ""
        while keys := await self._store.list(GONE, after=after, limit=_PAGE):
            for key in keys:
                if key >= now:
                    return
                with contextlib.suppress(ValueError):
                    await self._resume(key, ref_of_marker(key))
            after = keys[-1]

    def _plan(self, ref: RunRef, state: RunState) -> _Plan:
        spec = state.spec
        times = [at for at in (spec.run_at, spec.expires_at, spec.deadline) if at is not None]
        return _Plan(
            markers=[
                list_marker(ref, spec.created_at),
                open_marker(ref),
                *(due_marker(ref, at) for at in times),
            ],
            idempotency=spec.idempotency,
            until=max(spec.created_at + _KEY_LIFE, self._clock.now() + _FENCE),
        )

    async def _resume(self, marker: str, ref: RunRef) -> None:
        try:
            data = await self._store.get(marker)
            plan = _Plan.model_validate_json(data)
        except NotFound:
            return
        except ValidationError:  # damaged: make it again, if the run still exists
            plan = await self._remade_plan(ref)
        if marker != gone_marker(ref):
            await self._remove_traces(ref, plan)
        else:
            for prepare in self._pre_erase:
                await prepare(ref)
            await self._store.put(entry_key(ref, 0), _tombstone(0, self._clock.now()))
            await self._clean(ref, plan)
            last = gone_marker(ref, plan.until)
            await self._store.put_new(last, plan.model_dump_json().encode())
        await self._store.delete(marker)

    async def _remade_plan(self, ref: RunRef) -> _Plan:
        with contextlib.suppress(UnreadableEntry):
            [state] = await self._reader.states([ref])
            if isinstance(state, RunState):
                return self._plan(ref, state)
        until = self._clock.now() + _KEY_LIFE
        return _Plan(markers=[open_marker(ref)], idempotency=None, until=until)

    async def _clean(self, ref: RunRef, plan: _Plan) -> None:
        """Remove the content of the run; of its log only the numbers remain, as tombstones."""
        await self._hide(ref, plan)
        keys = await self._keys_of(ref)
        entries = {key: n for key in keys if (n := entry_number(ref, key)) is not None}
        await self._store.delete_many([key for key in keys if key not in entries])
        for key, n in entries.items():
            if n:  # entry 0 is the tombstone of the run
                await self._store.put(key, _tombstone(n, self._clock.now()))

    async def _hide(self, ref: RunRef, plan: _Plan) -> None:
        await self._store.delete_many(plan.markers)
        with contextlib.suppress(DeliveryError):
            await self._live.drop_view(view_key(ref))

    async def _remove_traces(self, ref: RunRef, plan: _Plan) -> None:
        await self._hide(ref, plan)
        place = ""
        for part in (plan.idempotency or "").split("."):  # each record leads to the next one
            place = f"{place}.{part}" if place else part
            if place:
                await self._store.delete(place)
        first = entry_key(ref, 0)
        await self._store.delete_many([key for key in await self._keys_of(ref) if key != first])
        await self._store.delete(first)

    async def _keys_of(self, ref: RunRef) -> list[str]:
        folder, keys = run_folder(ref), list[str]()
        while page := await self._store.list(folder, after=keys[-1] if keys else "", limit=_PAGE):
            keys += page
        return keys


def _tombstone(n: int, at: datetime) -> bytes:
    body = End(status="cancelled", stop_code=DELETED)
    return Entry(n=n, epoch=0, writer=DELETED, nonce="", at=at, seq=1, body=body).to_json()
