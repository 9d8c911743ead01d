"""Delivers what is due: the jobs of this process, messages of the queue, and what sweeps find.

It has its own places, so a slow receiver delays no run. Truth is in storage alone: markers name the
jobs, and the record beside a log says which deliveries are over. Any number of processes may sweep;
the marker of a hold, which only one of them can create, gives a job to one of them.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Backlog, Dispatcher
from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError, TeamrunError
from teamrun.live.base import Leases
from teamrun.runs.log.keys import HOOKS, due_time
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.delivering import Delivering
from teamrun.webhooks.jobs import Hold, Job, job_of_marker, next_hold, time_of_marker
from teamrun.webhooks.listing import Listing
from teamrun.webhooks.outbox import HOLD
from teamrun.webhooks.places import Places
from teamrun.webhooks.sender import TIMEOUT
from teamrun.webhooks.sources import Gone, Logged, Source, source_of

__all__ = ["Deliverer"]

logger = logging.getLogger(__name__)

_LOCK = "deliverer"
_MARGIN = TIMEOUT + timedelta(seconds=5)
"""No request starts so shortly before another process may take the job."""
_PLACES = 1_000
"""Jobs at the same time; most of them wait for their receivers, which `Hosts` limits."""
_MOST_WAITING = 1_000
"""Jobs that wait for a place; further ones are left to a sweep."""
_PAGE = 1_000
_PULL = timedelta(milliseconds=250)
"""The interval at which the queue is asked for jobs of processes that deliver nothing."""
_MOST_TAKEN = 25
_ABSENT = timedelta(hours=24)
"""After this time a marker whose entry was never written is removed."""
_SHORT_REST, _LONG_REST = timedelta(minutes=1), timedelta(minutes=10)


class Deliverer:
    """Executes jobs.

    Args:
        store: Where the markers are.
        leases: Let one process sweep at a time, if it is reachable; this only saves requests.
        delivering: Makes the deliveries of a job.
        listing: Lists the deliveries of an entry that this process has written.
        sources: The logs that events come from, by the prefixes of their ids.
        clock: The clock.
        owner: The name of this process.
        dispatcher: The queue, if jobs of other processes come from it.
        hold: See `outbox.HOLD`.
        interval: The pause between two sweeps.
        places: Maximum number of jobs at the same time.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        leases: Leases,
        delivering: Delivering,
        listing: Listing,
        sources: Mapping[str, Source],
        clock: Clock,
        owner: str,
        dispatcher: Dispatcher | None = None,
        hold: timedelta = HOLD,
        interval: timedelta = timedelta(seconds=5),
        places: int = _PLACES,
    ) -> None:
        self._store = store
        self._leases = leases
        self._delivering = delivering
        self._listing = listing
        self._sources = sources
        self._clock = clock
        self._owner = owner
        self._dispatcher = dispatcher
        self._hold = hold
        self._interval = interval
        self._places = Places(places, waiting=_MOST_WAITING)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._newest: dict[RunRef, asyncio.Task[None]] = {}
        self._working: set[Job] = set()
        self._later: dict[str, datetime] = {}
        self._is_stopping = False

    def start(self) -> None:
        """Start to sweep, and to take jobs from the queue, on the running event loop."""
        self._loops.append(asyncio.create_task(self._sweep_repeatedly()))
        if isinstance(self._dispatcher, Backlog):
            self._loops.append(asyncio.create_task(self._pull(self._dispatcher)))

    def begin(self, job: Job, found: Logged) -> None:
        """Start a job whose entry this process has just written.

        It waits for the first tries of the entries before it in the same log. If too many wait for
        a place, of all tenants or of its own, it is left to a sweep.
        """
        if self._is_stopping or not self._places.may_wait(job.ref.tenant):
            return
        before = self._newest.get(job.ref)
        task = self._newest[job.ref] = self._spawn(job, self._first(job, found, before))
        task.add_done_callback(partial(self._forget, job.ref))

    async def handle(self, ref: RunRef) -> None:
        """Execute the job that a message of the queue `hooks` names."""
        try:
            job = Job.of_ref(ref)
        except ValueError:
            logger.warning(
                "A message of the queue names no delivery",
                extra={"action": "webhook.message_invalid", **ref.log_fields()},
            )
            return
        async with self._contained(job, None), self._placed(job):
            found = await self._read(job)
            if isinstance(found, Logged):
                await self._execute(job, found, is_new=False)

    async def look(self) -> None:
        """Sweep once, unless another process does; errors are logged."""
        try:
            if await self._is_our_turn():
                await self.sweep()
        except TeamrunError as error:
            logger.warning(
                "A sweep for deliveries failed",
                extra={"action": "webhook.sweep_failed", "error": error.message},
            )
        except Exception:
            logger.exception(
                "A sweep for deliveries failed", extra={"action": "webhook.sweep_faulty"}
            )

    async def sweep(self) -> int:
        """Start every job that is due, as places become free; returns their number.

        The jobs of a tenant that has all the places it may have are left to a later sweep.

        Raises:
            StorageError: Storage cannot be read.
        """
        now, started = self._clock.now(), set[Job]()
        keys = await self._due_keys(now)
        self._later = {key: at for key, at in self._later.items() if key in keys}
        for key in keys:
            if (later := self._later.get(key)) is not None and now < later:
                continue
            try:
                job, due = job_of_marker(key), time_of_marker(key)
            except ValueError:
                self._later[key] = now + _LONG_REST
                logger.warning(
                    "A marker was skipped because its name is invalid",
                    extra={"action": "webhook.marker_invalid", "key": key},
                )
                continue
            # A second marker of a job waits until the first is done: it may leave nothing to do.
            is_taken = job in self._working or job in started
            if not is_taken and self._places.has_free(job.ref.tenant):
                started.add(job)
                await self._places.free()
                self._spawn(job, self._take(job, key, due))
                await asyncio.sleep(0)  # the task takes the place
        return len(started)

    async def drained(self) -> None:
        """Return when no job is being executed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def shutdown(self, grace: timedelta) -> None:
        """Stop; requests in progress have the grace time. What is left is found by a sweep."""
        self._is_stopping = True
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                await self.drained()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # One job

    def _forget(self, ref: RunRef, task: asyncio.Task[None]) -> None:
        if self._newest.get(ref) is task:
            del self._newest[ref]

    def _spawn(self, job: Job, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=f"deliver {job.as_ref()}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _first(self, job: Job, found: Logged, before: asyncio.Task[None] | None) -> None:
        async with self._contained(job, None):
            listed = await self._listing.add(job.ref, found)
            if before is not None:
                await asyncio.wait([before])
            async with self._placed(job):
                await self._execute(job, found, is_new=True, listed=listed)

    async def _execute(
        self, job: Job, found: Logged, *, is_new: bool, listed: frozenset[str] = frozenset()
    ) -> None:
        """Execute a job from before its first hold, unless that is nearly over."""
        until = found.at + self._hold
        if self._clock.now() < until - self._hold / 2:
            markers = [job.marker(until)]
            await self._finish(job, found, markers, until, is_new=is_new, listed=listed)

    async def _take(self, job: Job, key: str, due: datetime) -> None:
        """Execute a job that a sweep has found."""
        async with self._contained(job, key), self._placed(job):
            now, found = self._clock.now(), await self._read(job)
            if isinstance(found, Gone) or (found is None and now - due > _ABSENT):
                await self._store.delete(key)
            elif found is None:  # its writer may be about to write it
                self._later[key] = now + max(self._hold, min(now - due, _LONG_REST))
            else:
                await self._hold_and_finish(job, key, found, next_hold(due, now, self._hold))

    async def _hold_and_finish(self, job: Job, key: str, found: Logged, hold: Hold) -> None:
        """Execute a job unless another process has it."""
        if hold.other is not None and await self._exists(job.marker(hold.other)):
            self._later[key] = hold.other
            return
        held = job.marker(hold.until)
        if await self._store.put_new(held, b""):
            await self._finish(job, found, [key, held], hold.until, is_new=False)
        else:
            self._later[key] = hold.until

    async def _exists(self, key: str) -> bool:
        return await self._store.get_many([key]) != [None]

    async def _read(self, job: Job) -> Logged | Gone | None:
        source = source_of(self._sources, job.ref.run_id)
        return None if source is None else await source.read(job)

    async def _finish(
        self,
        job: Job,
        found: Logged,
        markers: list[str],
        until: datetime,
        *,
        is_new: bool,
        listed: frozenset[str] = frozenset(),
    ) -> None:
        """Deliver, and replace the markers by that of the next try, if there is one."""
        latest = until - min(_MARGIN, self._hold / 2)
        at = await self._delivering.deliver(job, found, latest=latest, is_new=is_new, listed=listed)
        if at is not None:
            next_marker = job.marker(at)
            await self._store.put_new(next_marker, b"")
            markers = [marker for marker in markers if marker != next_marker]
        await self._store.delete_many(markers)

    @asynccontextmanager
    async def _placed(self, job: Job) -> AsyncGenerator[None]:
        """A place to work in."""
        async with self._places.place(job.ref.tenant):
            self._working.add(job)
            try:
                yield
            finally:
                self._working.discard(job)

    @asynccontextmanager
    async def _contained(self, job: Job, key: str | None) -> AsyncGenerator[None]:
        """Log what prevents a job, and leave it to a later sweep."""
        try:
            yield
        except TeamrunError as error:
            logger.warning(
                "Deliveries are late because of an error; they will be tried again",
                extra={"action": "webhook.job_failed", **job.log_fields(), "error": error.message},
            )
        except Exception:
            logger.exception(
                "Deliveries failed because of a defect; they will be tried again",
                extra={"action": "webhook.job_faulty", **job.log_fields()},
            )
        else:
            return
        if key is not None:
            self._later[key] = self._clock.now() + _SHORT_REST

    # What is due

    async def _due_keys(self, now: datetime) -> dict[str, None]:
        later = f"{HOOKS}{due_time(now).removeprefix('due/')}0"  # after those of this millisecond
        keys: list[str] = []
        while page := await self._store.list(HOOKS, after=keys[-1] if keys else "", limit=_PAGE):
            keys += [key for key in page if key < later]
            if len(page) < _PAGE or page[-1] >= later:
                break
        return dict.fromkeys(keys)

    async def _sweep_repeatedly(self) -> None:
        while True:
            await self.look()
            await self._clock.sleep(self._interval.total_seconds())

    async def _is_our_turn(self) -> bool:
        try:
            return await self._leases.acquire(_LOCK, self._owner, 3 * self._interval)
        except DeliveryError:
            return True

    async def _pull(self, backlog: Backlog) -> None:
        while True:
            messages = []
            with contextlib.suppress(DeliveryError):
                messages = await backlog.take(_MOST_TAKEN, queues=[Queue.HOOKS])
            for ref in (ref for message in messages for ref in message.refs):
                await self._places.free()
                if not self._places.may_wait(ref.tenant):
                    continue  # a sweep finds it
                task = asyncio.create_task(self.handle(ref))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if len(messages) < _MOST_TAKEN:
                await self._clock.sleep(_PULL.total_seconds())
