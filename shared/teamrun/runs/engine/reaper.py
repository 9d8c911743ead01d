"""Finds runs that nobody executes though somebody should, and sends them to the queue again.

A message may be lost, a worker killed, Redis emptied: the markers in object storage still say
which runs are open. Sending one run too often is harmless, since the log and the leases decide.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from teamrun.core.clock import Clock, SystemClock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import DeliveryError, StorageError, UnreadableEntry
from teamrun.live.base import Live
from teamrun.runs.engine.upkeep import Upkeep, contained
from teamrun.runs.log.announcer import lease_name
from teamrun.runs.log.entries import End
from teamrun.runs.log.erasure import Erasure
from teamrun.runs.log.keys import (
    SHARDS,
    created_at,
    due_folder,
    due_marker,
    due_time,
    idle_marker,
    open_folder,
    open_marker,
    ref_of_marker,
    result_key,
)
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["Reaper"]

logger = logging.getLogger(__name__)


_LOCK = "reaper"


_PAGE = 1_000


_CLOCKS_DIFFER = timedelta(seconds=1)
"""By how much two measurements of the same time may differ."""


_ORPHAN = timedelta(hours=1)
"""The age of a marker without a log at which its acceptance counts as broken off."""


_UPKEEP = timedelta(minutes=5)
"""How often a page of all runs is looked at."""


_LONGEST_REST = timedelta(minutes=10)
"""How seldom a run is sent again that still waits in a long queue."""


class _Hint(NamedTuple):
    at: datetime
    rest: timedelta
    """How long the next one waits, should nothing come of it."""
    entries: int


class Reaper:
    """Sweeps the open markers; one process of a deployment at a time does it."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: Live,
        dispatcher: Dispatcher,
        owner: str,
        lease: timedelta = timedelta(seconds=60),
        interval: timedelta = timedelta(seconds=5),
        clock: Clock | None = None,
        retention: timedelta | None = None,
        identify: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        """Make a reaper.

        Args:
            store: Where the markers are.
            live: Leases, and the lock by which one reaper at a time sweeps.
            dispatcher: Where runs are sent.
            owner: A name that no other process has.
            lease: How long a silent worker keeps its runs.
            interval: How long a pause between sweeps is.
            clock: The machine's, unless a test has one.
            retention: How long runs are kept after their end; None keeps them.
            identify: Tells the store from every other one, since one reaper at a time sweeps a
                store. By default all reapers of the live state have the same.
        """
        self._store = store
        self._live = live
        self._dispatcher = dispatcher
        self._owner = owner
        self._lease = lease
        self._interval = min(interval, lease)
        self._clock = clock or SystemClock()
        self._reader = RunReader(store=store, live=live, clock=self._clock)
        self._sent: dict[RunRef, _Hint] = {}
        self._swept_at = self._clock.now()
        self._age = timedelta()
        self._upkeep = Upkeep(
            store=store,
            reader=self._reader,
            erasure=Erasure(store=store, live=live, reader=self._reader, clock=self._clock),
            close=self._void,
            clock=self._clock,
            retention=retention,
        )
        self._kept_up_at = self._clock.now()
        self._later: dict[str, datetime] = {}
        self._strange: set[str] = set()
        self._identify = identify
        self._lock = _LOCK if identify is None else None

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep until `stop` is set."""
        while not stop.is_set():
            try:
                if await self._live.acquire(await self._name(), self._owner, 3 * self._interval):
                    await self.sweep()
                    await self._keep_up()
            except (DeliveryError, StorageError) as error:
                logger.warning(
                    "a sweep failed", extra={"action": "sweep_failed", "error": str(error)}
                )
            sleep = asyncio.ensure_future(self._clock.sleep(self._interval.total_seconds()))
            stopped = asyncio.ensure_future(stop.wait())
            await asyncio.wait([sleep, stopped], return_when=asyncio.FIRST_COMPLETED)
            sleep.cancel()
            stopped.cancel()

    async def _name(self) -> str:
        """The name of the lock."""
        if self._lock is None:
            assert self._identify is not None
            self._lock = f"{_LOCK}:{await self._identify()}"
        return self._lock

    async def _keep_up(self) -> None:
        now = self._clock.now()
        if now - self._kept_up_at >= _UPKEEP:
            self._kept_up_at = now
            await self.keep_up()

    async def keep_up(self) -> None:
        """Put lost markers back, delete old runs, finish deletions; a page of all runs per call.

        Raises:
            StorageError: Storage cannot be read.
        """
        await self._upkeep.sweep()

    async def sweep(self) -> int:
        """Look at every open run once; returns how many were sent.

        Raises:
            DeliveryError: The queue or the live state cannot be reached.
            StorageError: Storage cannot be read.
        """
        now, count = self._clock.now(), 0
        # Where this is new (flushed, replaced), the grace of a lease begins; the queue is lost.
        age = await self._live.age()
        if age is None or age < self._age or age + _CLOCKS_DIFFER < now - self._swept_at:
            self._sent.clear()
        self._age, self._swept_at = age or timedelta(), now
        seen = set[RunRef]()
        for shard in SHARDS:
            after = ""
            while keys := await self._store.list(open_folder(shard), after=after, limit=_PAGE):
                refs = [ref for key in keys if (ref := self._ref_of(key)) is not None]
                seen.update(refs)
                count += await self._send_again(refs)
                after = keys[-1]
                if len(keys) < _PAGE:
                    break
        count += await self._sweep_due()
        self._sent = {ref: hint for ref, hint in self._sent.items() if ref in seen}
        return count

    def _ref_of(self, marker: str) -> RunRef | None:
        """The run that a marker names; None, with one warning, if it names none."""
        try:
            return ref_of_marker(marker)
        except ValueError:
            if marker not in self._strange:
                self._strange.add(marker)
                logger.warning(
                    "an object was skipped: its name is no reference to a run",
                    extra={"action": "strange_marker", "key": marker},
                )
            return None

    def _set_apart(self, ref: RunRef, error: UnreadableEntry, now: datetime) -> None:
        """Leave a run alone whose log cannot be read, and read it again after a while."""
        self._sent[ref] = _Hint(now, _LONGEST_REST, -1)
        logger.warning(
            "a run was set apart: its log cannot be read",
            extra={"action": "unreadable", "run": str(ref), "error": error.message},
        )

    async def _void(self, ref: RunRef, marker: str, now: datetime) -> None:
        """Close a log that was never begun, so that its acceptance cannot be finished any more.

        Taking the marker away alone would lose a run whose API was only paused meanwhile.
        """
        if now - created_at(ref.run_id) < _ORPHAN:
            return
        log = RunLog(self._store, ref, writer=self._owner, clock=self._clock)
        end = End(status="failed", stop_code="void")
        if await log.append(None, end, [], epoch=0) or await _is_void(log):
            await self._store.delete(marker)

    async def _sweep_due(self) -> int:
        """Send runs whose time has come.

        A marker of this hour stays until the run has ended, since a worker that puts the run aside
        may rely on it. One of an hour that is over goes when there is another one.
        """
        now, count, later = self._clock.now(), 0, dict[str, datetime]()
        for key in await self._due_keys(now):
            if (until := self._later.get(key)) is not None and now < until:
                later[key] = until
                continue
            if (ref := self._ref_of(key)) is None:
                continue
            later[key] = now + _LONGEST_REST  # unless the look at it comes to something else
            with contained(ref):
                count += await self._look_at_due(ref, key, now, later)
        self._later = later
        return count

    async def _look_at_due(
        self, ref: RunRef, key: str, now: datetime, later: dict[str, datetime]
    ) -> int:
        """Look at the run of a due marker, and note when to look again; 1 if it was sent."""
        [state] = await self._reader.states([ref])
        if isinstance(state, UnreadableEntry):
            self._set_apart(ref, state, now)
            return 0
        del later[key]
        if state is None:
            await self._void(ref, key, now)
            return 0
        if state.end is not None:
            # Its open marker may have been taken away by a worker that had it suspended.
            if await self._store.get_many([result_key(ref)]) == [None]:
                await self._store.put_new(open_marker(ref), b"")
            await self._store.delete(key)
            return 0
        count = await self._look(ref, state, now, is_over=key < due_folder(now))
        if key < due_folder(now):
            await self._store.delete(key)
        else:
            later[key] = _next_look(state, now, self._lease)
        return count

    async def _look(self, ref: RunRef, state: RunState, now: datetime, *, is_over: bool) -> int:
        """See to a run whose hour has come, or is over; 1 where it was sent."""
        if state.is_waiting(now):
            if is_over:
                await self._store.put_new(idle_marker(ref, now), b"")
            if is_over and (due := state.due_at()) is not None:
                await self._store.put_new(due_marker(ref, due), b"")
            return 0
        await self._store.put_new(open_marker(ref), b"")
        if state.owner is not None or self._rests(ref, now):
            return 0
        await self._send(ref, state, now)
        return 1

    async def _due_keys(self, now: datetime) -> list[str]:
        later = f"{due_time(now)}0"  # behind the markers of this millisecond
        keys: list[str] = []
        while page := await self._store.list("due/", after=keys[-1] if keys else "", limit=_PAGE):
            keys += [key for key in page if key < later]
            if len(page) < _PAGE or page[-1] >= later:
                break
        return keys

    async def _send_again(self, refs: list[RunRef]) -> int:
        held = await self._live.held([lease_name(ref) for ref in refs])
        now, count = self._clock.now(), 0
        free = [ref for ref, taken in zip(refs, held, strict=True) if not taken]
        due = [ref for ref in free if not self._rests(ref, now)]
        for ref, state in zip(due, await self._reader.states(due), strict=True):
            # A queued run may wait in a long queue, and a begun one may be taken over only when its
            # log has been silent for a lease; an ended one wants its derived objects.
            if isinstance(state, UnreadableEntry):
                self._set_apart(ref, state, now)
                continue
            if state is None:
                with contained(ref):
                    await self._void(ref, open_marker(ref), now)
                continue
            if state.end is None and now - state.at < self._lease:
                continue
            await self._send(ref, state, now)
            count += 1
            logger.info("a run was sent again", extra={"action": "resent", "run": str(ref)})
        return count

    def _rests(self, ref: RunRef, now: datetime) -> bool:
        hint = self._sent.get(ref)
        return hint is not None and now - hint.at < hint.rest

    async def _send(self, ref: RunRef, state: RunState, now: datetime) -> None:
        """Send a run, ever more seldom while nothing comes of it: a long queue must not grow."""
        last, rest = self._sent.get(ref), self._lease
        if last is not None and last.entries == state.entries:
            rest = max(min(2 * last.rest, _LONGEST_REST), self._lease)
        await self._dispatcher.send(ref)
        self._sent[ref] = _Hint(now, rest, state.entries)


async def _is_void(log: RunLog) -> bool:
    try:
        return await log.state() is None
    except UnreadableEntry:
        return False


def _next_look(state: RunState, now: datetime, lease: timedelta) -> datetime:
    due = state.due_at()
    return now + lease if due is None or due <= now else min(due, now + lease)
