"""The state of runs for readers: a shared view if it is current, otherwise the log itself.

A view of n entries is current if the store has its first and its last entry, and no entry n. Reads
are therefore monotonic and include every acknowledged write, whatever the shared state contains.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from enum import Enum, auto

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import (
    DamagedBlob,
    DeliveryError,
    NotFound,
    RunNotFound,
    StorageError,
    Unavailable,
    UnreadableEntry,
)
from teamrun.json_types import JsonObject
from teamrun.live.base import View, Views
from teamrun.runs.log.announcer import view_key, view_of
from teamrun.runs.log.entries import End
from teamrun.runs.log.keys import entry_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.snapshot import recent
from teamrun.runs.log.state import INDEXED, RunState
from teamrun.storage.base import ObjectStore

__all__ = ["RunReader", "not_found", "run_ref"]


class RunReader:
    """Reads runs, and shares views for the next reader."""

    def __init__(self, *, store: ObjectStore, live: Views, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._clock = clock

    def log(self, ref: RunRef) -> RunLog:
        """The log of a run, for reading."""
        return RunLog(self._store, ref, writer="reader", clock=self._clock)

    async def state(self, ref: RunRef) -> RunState:
        """The current state of a run.

        Raises:
            RunNotFound: The run does not exist.
            UnreadableEntry: The log of the run is unreadable.
            Unavailable: Storage does not respond.
        """
        [state] = await self.states([ref])
        if isinstance(state, UnreadableEntry):
            raise state
        if state is None:
            raise not_found(ref)
        return state

    async def states(self, refs: Sequence[RunRef]) -> list[RunState | UnreadableEntry | None]:
        """The states of several runs, read together; None for a run that does not exist.

        For an unreadable run, the error is returned in place of the state, so that the others are
        not affected.
        """
        views = await self.views(refs)
        pairs = zip(refs, views, strict=True)
        return list(await asyncio.gather(*(self._read(ref, view) for ref, view in pairs)))

    async def views(self, refs: Sequence[RunRef]) -> list[RunState | None]:
        """The shared views of runs, which may be out of date; None for a run without one."""
        try:
            views = await self._live.views([view_key(ref) for ref in refs])
        except DeliveryError:
            return [None] * len(refs)
        return [_state_in(view, ref) for ref, view in zip(refs, views, strict=True)]

    async def pages(
        self, ref: RunRef, begin: int, stop: int
    ) -> AsyncGenerator[list[JsonObject], None]:
        """The entries from `begin` up to `stop`, some at a time, as JSON data; they exist.

        Raises:
            RunNotFound: The run is being deleted.
            UnreadableEntry: The log of the run is unreadable.
        """
        log = self.log(ref)
        for start in range(begin, stop, INDEXED):
            async with self.unless_erased(ref):
                documents = await log.documents(start, min(start + INDEXED, stop))
            if documents[0]["kind"] == "end" and not start:  # deleted in the meantime
                raise not_found(ref)
            yield documents

    @contextlib.asynccontextmanager
    async def unless_erased(self, ref: RunRef) -> AsyncGenerator[None, None]:
        """Read what lies beside a view: a fault in a run that is being deleted is none.

        Raises:
            RunNotFound: Something could not be read because the run is being deleted.
        """
        try:
            yield
        except (UnreadableEntry, DamagedBlob, NotFound):
            await self.forget(ref)  # so that the run, too, is read from its log next
            if await self._is_erased(ref):
                raise not_found(ref) from None
            raise

    async def _read(self, ref: RunRef, state: RunState | None) -> RunState | UnreadableEntry | None:
        try:
            return await self._current(ref, state)
        except UnreadableEntry as error:
            return None if await self._is_erased(ref) else error

    async def _current(self, ref: RunRef, state: RunState | None) -> RunState | None:
        log = self.log(ref)
        found = _Found.OTHER if state is None else await self._compare(ref, state)
        if found is _Found.SAME:
            return state
        if state is not None and found is _Found.OTHER:
            await self.forget(ref)
            state = None
        known = state.entries if state else 0
        if state is None:
            entries, snapshot = await recent(log)
            state = snapshot.state if snapshot else log.folded(entries)
            rest = entries if snapshot else []
        else:
            rest = await log.read_on(state.entries)
        for entry in rest:
            assert state is not None, "entries follow a state"
            log.apply(state, entry)
        if state is not None and state.entries > known:
            with contextlib.suppress(DeliveryError):
                await self._live.set_view(view_key(ref), view_of(state))
        return state

    async def _compare(self, ref: RunRef, state: RunState) -> "_Found":
        """Compare a view with the stored log: its first, last and next entries, read together."""
        numbers = [0, state.entries - 1]
        if state.end is None:
            numbers.append(state.entries)
        try:
            first, newest, *following = await self._store.get_many(
                [entry_key(ref, n) for n in numbers]
            )
        except Unavailable:
            raise
        except StorageError:  # reading the log finds out which entry it is
            return _Found.OTHER
        if first is None or _IS_RUN not in first[:200] or newest is None or newest[-1:] != b"}":
            return _Found.OTHER
        return _Found.LONGER if any(each is not None for each in following) else _Found.SAME

    async def forget(self, ref: RunRef) -> None:
        """Remove the shared view of a run, so that the next read uses its log."""
        with contextlib.suppress(DeliveryError):
            await self._live.drop_view(view_key(ref))

    async def _is_erased(self, ref: RunRef) -> bool:
        """Whether the log is unreadable because the run is being deleted."""
        with contextlib.suppress(UnreadableEntry):
            first = await self.log(ref).read_next(0)
            return first is not None and isinstance(first.body, End)
        return False


def run_ref(tenant: str, run_id: str) -> RunRef:
    """The reference of a run that a client names.

    Raises:
        RunNotFound: No run can have this id.
    """
    ref = RunRef(tenant, run_id)
    if "." in run_id or "/" in run_id or not run_id:
        raise not_found(ref)
    return ref


def not_found(ref: RunRef) -> RunNotFound:
    """The error if there is no such run."""
    return RunNotFound(f"Run {ref.run_id!r} does not exist.", run_id=ref.run_id)


class _Found(Enum):
    SAME = auto()
    LONGER = auto()
    OTHER = auto()
    """The run was deleted, its folder was removed, or its newest entry is damaged."""


_IS_RUN = b'"kind":"accepted"'
"""Part of the envelope of every run's first entry."""


def _state_in(view: View | None, ref: RunRef) -> RunState | None:
    """The state in a view; None if it is damaged or was written by another release."""
    try:
        state = view and RunState.from_json(view.state)
    except ValueError:
        return None
    return state if state and state.spec.run_id == ref.run_id and state.entries > 0 else None
