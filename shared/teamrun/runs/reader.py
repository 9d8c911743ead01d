"""The state of runs for readers: a shared view where it is current, else the log itself.

A view of n entries is current where there is no entry n. So a read never goes back, and follows
every acknowledged write, whatever the shared state holds.
"""

import asyncio
import contextlib
from collections.abc import Sequence

import pydantic

from teamrun.core.clock import Clock
from teamrun.dispatch.base import RunRef
from teamrun.errors import DeliveryError, RunNotFound, UnreadableEntry
from teamrun.live.base import Live, View
from teamrun.runs.entries import End
from teamrun.runs.fold import RunState
from teamrun.runs.keys import entry_key
from teamrun.runs.log import RunLog
from teamrun.runs.notices import view_key, view_of
from teamrun.storage.base import ObjectStore

__all__ = ["RunReader"]


class RunReader:
    """Reads runs, and leaves views behind for the next reader."""

    def __init__(self, *, store: ObjectStore, live: Live, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._clock = clock

    def log(self, ref: RunRef) -> RunLog:
        """The log, for reading."""
        return RunLog(self._store, ref, writer="reader", clock=self._clock)

    async def state(self, ref: RunRef) -> RunState:
        """The state as the log says now.

        Raises:
            RunNotFound: There is no such run.
            UnreadableEntry: Its log cannot be read.
            Unavailable: Storage does not answer.
        """
        [state] = await self.states([ref])
        if isinstance(state, UnreadableEntry):
            raise state
        if state is None:
            raise RunNotFound(f"There is no run {ref.run_id!r}.", run_id=ref.run_id)
        return state

    async def states(self, refs: Sequence[RunRef]) -> list[RunState | UnreadableEntry | None]:
        """The states of several runs, read together; None if there is no such run.

        An unreadable run gives its error as a value, so that it does not affect the others.
        """
        views = await self._views(refs)
        pairs = zip(refs, views, strict=True)
        return list(await asyncio.gather(*(self._read(ref, view) for ref, view in pairs)))

    async def _views(self, refs: Sequence[RunRef]) -> list[RunState | None]:
        try:
            views = await self._live.views([view_key(ref) for ref in refs])
        except DeliveryError:
            return [None] * len(refs)
        return [_state_in(view, ref) for ref, view in zip(refs, views, strict=True)]

    async def _read(self, ref: RunRef, state: RunState | None) -> RunState | UnreadableEntry | None:
        try:
            return await self._current(ref, state)
        except UnreadableEntry as error:
            return None if await self._is_erased(ref) else error

    async def _current(self, ref: RunRef, state: RunState | None) -> RunState | None:
        log = self.log(ref)
        if state is not None and not await self._covers(ref, state):
            state = None  # the view is of another log than the one that is stored now
            await self.forget(ref)
        known = state.entries if state else 0
        if state is None:
            state = await log.state()
        elif state.end is None:
            while entry := await log.read_next(state.entries):
                log.apply(state, entry)
        if state is not None and state.entries > known:
            with contextlib.suppress(DeliveryError):
                await self._live.set_view(view_key(ref), view_of(state))
        return state

    async def _covers(self, ref: RunRef, state: RunState) -> bool:
        """Whether a view still belongs to the stored log: its first and last entries are there."""
        last = state.entries - 1
        [first, newest] = await self._store.get_many([entry_key(ref, 0), entry_key(ref, last)])
        return first is not None and _IS_RUN in first[:200] and bool(newest and newest[-1:] == b"}")

    async def forget(self, ref: RunRef) -> None:
        """Remove the shared view of a run, so that the next read is from its log."""
        with contextlib.suppress(DeliveryError):
            await self._live.drop_view(view_key(ref))

    async def _is_erased(self, ref: RunRef) -> bool:
        """Whether the log cannot be read because the run is being deleted."""
        with contextlib.suppress(UnreadableEntry):
            first = await self.log(ref).read_next(0)
            return first is not None and isinstance(first.body, End)
        return False


_IS_RUN = b'"kind":"accepted"'
"""What the envelope of every run's first entry contains."""


def _state_in(view: View | None, ref: RunRef) -> RunState | None:
    """The state that a view holds; None if it was damaged, or written by another release."""
    try:
        state = view and RunState.from_json(view.state)
    except pydantic.ValidationError:
        return None
    return state if state and state.spec.run_id == ref.run_id and state.entries > 0 else None
