"""Finds runs that need a worker and have none, and sends them to the queue again.

A message may be lost, a worker killed or Redis flushed. The markers in object storage still list
the open runs. Sending a run too often is harmless, because the log and the leases decide which
worker executes it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from teamrun.core.clock import Clock, SystemClock
from teamrun.core.ids import id_time
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import DeliveryError, StorageError, UnreadableEntry
from teamrun.live.base import Live
from teamrun.runs.engine.resender import LONGEST_REST, Resender
from teamrun.runs.engine.upkeep import Upkeep, Wake, contained
from teamrun.runs.log.announcer import STORE_LEASE, STORE_LEASE_TIME
from teamrun.runs.log.entries import End
from teamrun.runs.log.erasure import Erasure
from teamrun.runs.log.keys import (
    OPEN,
    due_folder,
    due_marker,
    due_time,
    idle_marker,
    open_marker,
    ref_of_marker,
    result_key,
)
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["Reaper"]

logger = logging.getLogger(__name__)


_LOCK = "reaper"


_PAGE = 1_000


_ORPHAN = timedelta(hours=1)
"""The age at which a marker without a log means that the acceptance was interrupted."""


_UPKEEP = timedelta(minutes=5)
"""The interval at which the next page of all runs is checked."""


class Reaper:
    """Sweeps the open markers; only one process of a deployment does so at a time."""

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
        observers: Observers | None = None,
        wake: Wake | None = None,
    ) -> None:
        """Make a reaper.

        Args:
            store: Where the markers are.
            live: The leases, and the lock that lets one reaper sweep at a time.
            dispatcher: The queue.
            owner: The name of this process, which must be unique.
            lease: How long a worker that does not respond keeps its runs.
            interval: The pause between two sweeps.
            clock: The clock; tests pass their own.
            retention: How long runs are kept after their end; None keeps them forever.
            identify: Tells the store from every other one, since one reaper at a time sweeps a
                store. By default all reapers of the live state have the same.
            observers: The observers of this process.
            wake: Gives a run of a thread its turn if that has come; None without threads.
        """
        self._store = store
        self._live = live
        self._dispatcher = dispatcher
        self._owner = owner
        self._lease = lease
        self._observers = observers or Observers(live)
        self._interval = min(interval, lease)
        self._clock = clock or SystemClock()
        self._reader = RunReader(store=store, live=live, clock=self._clock)
        self._resender = Resender(
            reader=self._reader, live=live, dispatcher=dispatcher, lease=lease, clock=self._clock
        )
        self._wake = wake or _leave
        self._upkeep = Upkeep(
            store=store,
            reader=self._reader,
            erasure=Erasure(
                store=store,
                live=live,
                reader=self._reader,
                clock=self._clock,
                pre_erase=self._observers.pre_erase,
            ),
            close=self._void,
            clock=self._clock,
            retention=retention,
            wake=self._wake,
        )
        self._kept_up_at = self._clock.now()
        self._later: dict[str, datetime] = {}
        self._strange: set[str] = set()
        self._identify = identify
        self._store_id: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep until `stop` is set."""
        while not stop.is_set():
            await self.look()
            sleep = asyncio.ensure_future(self._clock.sleep(self._interval.total_seconds()))
            stopped = asyncio.ensure_future(stop.wait())
            await asyncio.wait([sleep, stopped], return_when=asyncio.FIRST_COMPLETED)
            sleep.cancel()
            stopped.cancel()

    async def look(self) -> None:
        """Sweep once, unless another process does; errors are logged."""
        try:
            if await self._live.acquire(await self._name(), self._owner, 3 * self._interval):
                await self.sweep()
                await self._keep_up()
        except (DeliveryError, StorageError) as error:
            logger.warning(
                "A sweep failed", extra={"action": "reaper.sweep_failed", "error": str(error)}
            )

    async def _name(self) -> str:
        """The name of the lock."""
        if self._identify is None:
            return _LOCK
        if self._store_id is None:
            self._store_id = await self._identify()
        if not await self._live.acquire(STORE_LEASE, self._store_id, STORE_LEASE_TIME):
            logger.warning(
                "Another store is used under this namespace: set TEAMRUN_NAMESPACE or "
                "TEAMRUN_STORE_URL right, equally in all processes",
                extra={"action": "reaper.other_store"},
            )
        return f"{_LOCK}:{self._store_id}"

    async def _keep_up(self) -> None:
        now = self._clock.now()
        if now - self._kept_up_at >= _UPKEEP:
            self._kept_up_at = now
            await self.keep_up()

    async def keep_up(self) -> None:
        """Restore lost markers, delete old runs and finish deletions, for one page of all runs.

        Raises:
            StorageError: Storage cannot be read.
        """
        await self._upkeep.sweep()

    async def sweep(self) -> int:
        """Check every open run once; returns the number of runs that were sent.

        Raises:
            DeliveryError: The queue or the live state cannot be reached.
            StorageError: Storage cannot be read.
        """
        now, count = self._clock.now(), 0
        await self._resender.begin(now)
        seen = set[RunRef]()
        after = ""
        while keys := await self._store.list(OPEN, after=after, limit=_PAGE):
            refs = [ref for key in keys if (ref := self._ref_of(key)) is not None]
            seen.update(refs)
            count += await self._send_again(refs)
            after = keys[-1]
            if len(keys) < _PAGE:
                break
        count += await self._sweep_due()
        self._resender.keep(seen)
        return count

    def _ref_of(self, marker: str) -> RunRef | None:
        """The run that a marker names; None, with one warning, if it names none."""
        try:
            return ref_of_marker(marker)
        except ValueError:
            if marker not in self._strange:
                self._strange.add(marker)
                logger.warning(
                    "A marker was skipped because its name is not a valid run reference",
                    extra={"action": "reaper.marker_invalid", "key": marker},
                )
            return None

    async def _void(self, ref: RunRef, marker: str, now: datetime) -> None:
        """Close a log that has no entries, so that its acceptance can no longer complete.

        Deleting only the marker would lose the run if the API process was merely paused and wrote
        entry 0 later.
        """
        if now - id_time(ref.run_id) < _ORPHAN:
            return
        log = RunLog(
            self._store,
            ref,
            writer=self._owner,
            clock=self._clock,
            observers=self._observers.rows,
            pre_commit=self._observers.pre_commit,
        )
        end = End(status="failed", stop_code="void")
        if await log.append(None, end, [], epoch=0) or await _is_void(log):
            await self._store.delete(marker)

    async def _sweep_due(self) -> int:
        """Send runs whose time has come.

        A marker of the current hour stays until the run has ended, because a worker that suspends
        the run may rely on it. A marker of a past hour is deleted once another one replaces it.
        """
        now, count, later = self._clock.now(), 0, dict[str, datetime]()
        for key in await self._due_keys(now):
            if (until := self._later.get(key)) is not None and now < until:
                later[key] = until
                continue
            if (ref := self._ref_of(key)) is None:
                continue
            later[key] = now + LONGEST_REST  # unless the check sets another time
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
            self._resender.set_apart(ref, state, now)
            return 0
        del later[key]
        if state is None:
            await self._void(ref, key, now)
            return 0
        if state.end is not None:
            # A worker that suspended the run may have deleted its open marker. Without it, the
            # derived objects would never be written.
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
        """Check a run whose hour has come or is over; returns 1 if it was sent."""
        if state.is_waiting(now):
            if await self._wake(ref, state):
                return 1
            if is_over:
                await self._store.put_new(idle_marker(ref, now), b"")
            if is_over and (due := state.due_at()) is not None:
                await self._store.put_new(due_marker(ref, due), b"")
            return 0
        await self._store.put_new(open_marker(ref), b"")
        if state.owner is not None or self._resender.rests(ref, now):
            return 0
        await self._resender.send(ref, state, now)
        return 1

    async def _due_keys(self, now: datetime) -> list[str]:
        later = f"{due_time(now)}0"  # sorts after the markers of this millisecond
        keys: list[str] = []
        while page := await self._store.list("due/", after=keys[-1] if keys else "", limit=_PAGE):
            keys += [key for key in page if key < later]
            if len(page) < _PAGE or page[-1] >= later:
                break
        return keys

    async def _send_again(self, refs: list[RunRef]) -> int:
        now, count = self._clock.now(), 0
        for ref, state in await self._resender.unattended(refs, now):
            if isinstance(state, UnreadableEntry):
                self._resender.set_apart(ref, state, now)
                continue
            if state is None:
                with contained(ref):
                    await self._void(ref, open_marker(ref), now)
                continue
            await self._resender.send(ref, state, now)
            count += 1
            logger.info(
                "A run was sent to the queue again",
                extra={"action": "reaper.run_resent", **ref.log_fields()},
            )
        return count


async def _leave(ref: RunRef, state: RunState) -> bool:
    """Without threads, no run waits for its turn."""
    return False


async def _is_void(log: RunLog) -> bool:
    try:
        return await log.state() is None
    except UnreadableEntry:
        return False


def _next_look(state: RunState, now: datetime, lease: timedelta) -> datetime:
    due = state.due_at()
    return now + lease if due is None or due <= now else min(due, now + lease)
