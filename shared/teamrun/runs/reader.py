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
from teamrun.errors import DeliveryError, RunNotFound
from teamrun.live.base import Live
from teamrun.runs.fold import RunState
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
            Unavailable: Storage does not answer.
        """
        [state] = await self.states([ref])
        if state is None:
            raise RunNotFound(f"There is no run {ref.run_id!r}.", run_id=ref.run_id)
        return state

    async def states(self, refs: Sequence[RunRef]) -> list[RunState | None]:
        """The states of several runs, read together; None where there is no such run."""
        views = await self._views(refs)
        pairs = zip(refs, views, strict=True)
        return list(await asyncio.gather(*(self._current(ref, view) for ref, view in pairs)))

    async def _views(self, refs: Sequence[RunRef]) -> list[RunState | None]:
        try:
            views = await self._live.views([view_key(ref) for ref in refs])
        except DeliveryError:
            return [None] * len(refs)
        states: list[RunState | None] = []
        for view in views:
            try:
                states.append(view and RunState.from_json(view.state))
            except pydantic.ValidationError:  # written by another release
                states.append(None)
        return states

    async def _current(self, ref: RunRef, state: RunState | None) -> RunState | None:
        if state is not None and state.end is not None:
            return state
        log, known = self.log(ref), state.entries if state else 0
        if state is None:
            state = await log.state()
        else:
            while entry := await log.read_next(state.entries):
                state.apply(entry)
        if state is not None and state.entries > known:
            with contextlib.suppress(DeliveryError):
                await self._live.set_view(view_key(ref), view_of(state))
        return state
