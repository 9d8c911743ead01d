"""Executes runs: many at once, on one event loop.

Every queue message leads to `execute(ref)`, whether it came from Celery, Lambda or the same
process. Leases only avoid duplicate work; correctness does not depend on them.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Self
from weakref import WeakValueDictionary

from teamrun.core.clock import Clock, SystemClock
from teamrun.core.exposition import head, sample
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError, EngineFault, StorageError, UnreadableEntry
from teamrun.json_types import JsonObject
from teamrun.live.base import Live
from teamrun.messages.recordable import exception_text
from teamrun.runs.engine.deadline import Deadline
from teamrun.runs.engine.decision import failure
from teamrun.runs.engine.execution import Execution, Program
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.frozen import thawed
from teamrun.runs.engine.ownership import Ownership
from teamrun.runs.engine.warm import WarmRun, WarmRuns
from teamrun.runs.log.announcer import Notices, owner_topic
from teamrun.runs.log.archive import DUTIES, Duty, conclude
from teamrun.runs.log.entries import Entry, Signal
from teamrun.runs.log.events import ending, ending_of_cancel
from teamrun.runs.log.keys import due_marker, idle_marker, open_marker
from teamrun.runs.log.log import LogObserver, RunLog
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.prefix import read_prefix
from teamrun.runs.log.snapshot import recent
from teamrun.runs.log.spec import BEHAVIOUR, RunSpec
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["Engine"]

logger = logging.getLogger(__name__)


_SUSPECT_CLAIMS = 2
"""Consecutive claims without progress after which a run starts apart from other such runs."""


_RECONNECT = 5.0
"""The longest pause, in seconds, before subscribing again to a live channel that was lost."""


IsTurn = Callable[[RunRef, RunState], Awaitable[bool]]
"""Whether all runs of a thread that come before this one have ended."""


class Engine:
    """Executes runs as one owner.

    Args:
        store: The object store with the logs.
        live: Leases and notices.
        dispatcher: The queue that this engine returns runs to.
        program: Makes the code of a run from its specification.
        owner: The name of this process, which must be unique.
        lease: How long a run belongs to an owner that does not respond.
        clock: The clock; tests pass their own.
        duties: The steps to perform after the end of a run.
        observers: The observers of this process.
        warm: Keeps runs that wait for a person in memory.
        handover: How long before the deadline of an execution calls stop starting; see `Deadline`.
        is_turn: Whether a run of a thread may begin.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: Live,
        dispatcher: Dispatcher,
        program: Callable[[RunSpec], Program],
        owner: str,
        lease: timedelta = timedelta(seconds=60),
        clock: Clock | None = None,
        duties: Sequence[Duty] = DUTIES,
        observers: Observers | None = None,
        warm: WarmRuns | None = None,
        handover: timedelta = timedelta(seconds=30),
        is_turn: IsTurn | None = None,
    ) -> None:
        self._store = store
        self._live = live
        self._dispatcher = dispatcher
        self._program = program
        self.owner = owner
        self._lease = lease
        self._handover = handover
        self._is_turn = is_turn
        self._clock = clock or SystemClock()
        self._ownership = Ownership(live=live, owner=owner, lease=lease, clock=self._clock)
        self._duties = duties
        self._observers = observers or Observers(live)
        self._notices = self._observers.notices
        self._warm = WarmRuns(clock=self._clock) if warm is None else warm
        self._specs = WeakValueDictionary[str, RunSpec]()
        """Of each team, by its digest, the one that was read last."""
        self._executions: dict[RunRef, Execution] = {}
        self._starting: set[RunRef] = set()
        self._missed: set[RunRef] = set()
        """Runs in `_starting` that another message has named since."""
        self._suspects = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()
        self._attendants: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def in_flight(self) -> int:
        """The number of runs that this engine is executing."""
        return len(self._starting)

    def metric_lines(self) -> Iterator[str]:
        """The metrics of this engine, in the Prometheus text format."""
        yield from head("teamrun_runs_in_flight", "gauge", "Runs that are being executed.")
        yield sample("teamrun_runs_in_flight", self.in_flight)
        yield from head("teamrun_runs_warm", "gauge", "Waiting runs that are kept in memory.")
        yield sample("teamrun_runs_warm", len(self._warm))
        yield from self._observers.metrics.lines()

    async def execute(
        self, ref: RunRef, *, deadline: datetime | None = None, handover: timedelta | None = None
    ) -> Finish:
        """Execute a run as far as this process can.

        Args:
            ref: The run.
            deadline: When the platform ends this process. The run is handed over before; see
                `Deadline`.
            handover: How long before; at most, and by default, that of this engine.

        Raises:
            StorageError: The log cannot be read; the reaper will send the run again.
        """
        if deadline is None:
            return await self._execute_here(ref, None)
        limit = Deadline(deadline, min(handover or self._handover, self._handover))
        leaving, real = asyncio.timeout(None), asyncio.get_running_loop()

        def leave() -> None:
            # A process that was frozen beyond its end still reads in the log who owns the run.
            late = self._clock.now() >= limit.at
            leaving.reschedule(real.time() + late * limit.handover.total_seconds())

        timer = real.call_later(limit.leaves_in(self._clock.now()), leave)
        try:
            async with leaving:
                return await self._execute_here(ref, limit)
        except TimeoutError:
            if not leaving.expired():
                raise
            logger.warning(
                "A run could not be handed over before the platform ends this process; another one "
                "continues it",
                extra={"action": "engine.run_left", **ref.log_fields()},
            )
            return Finish.REFUSED
        finally:
            timer.cancel()

    async def _execute_here(self, ref: RunRef, limit: Deadline | None) -> Finish:
        if self._stopping:
            return Finish.REFUSED
        if ref in self._starting:
            self._missed.add(ref)
            return Finish.HELD
        self._starting.add(ref)
        self._idle.clear()
        self._attend()
        try:
            return await self._execute_on(ref, limit)
        except UnreadableEntry as error:
            logger.warning(
                "A run was skipped because its log is unreadable",
                extra={
                    "action": "engine.run_unreadable",
                    **ref.log_fields(),
                    "error": error.message,
                },
            )
            return Finish.UNREADABLE
        except (StorageError, DeliveryError):
            raise
        except Exception as error:
            return await self._give_up(ref, error)
        finally:
            self._starting.discard(ref)
            self._missed.discard(ref)
            self._warm.release(ref)
            if not self._starting:
                self._idle.set()

    async def pause(self, ref: RunRef) -> timedelta:
        """How long to keep a message of a run that this process could not execute."""
        log, state = RunLog(self._store, ref, writer=self.owner, clock=self._clock), None
        with contextlib.suppress(StorageError, UnreadableEntry):
            state = await log.state()
        return self._ownership.pause(state)

    def stop(self) -> None:
        """Start no more calls; every run yields once its calls in flight have completed."""
        self._stopping = True
        self._warm.stop()
        for execution in self._executions.values():
            execution.stop()

    def abort(self) -> None:
        """Yield every run now; calls in flight are cancelled and will be made again."""
        self._stopping = True
        self._warm.stop()
        for execution in self._executions.values():
            execution.abort()

    async def drained(self) -> None:
        """Return when this engine executes no run."""
        await self._idle.wait()
        await self._notices.flushed()

    async def close(self) -> None:
        """End the background tasks of an engine that executes no run any more."""
        for task in self._attendants:
            task.cancel()
        await asyncio.gather(*self._attendants, return_exceptions=True)
        self._attendants.clear()
        self._warm.stop()
        await self._notices.close()

    # One run

    def _share_parts(self, state: RunState) -> None:
        """Replace parts of the state by equal ones of another run of the same team."""
        digest = state.spec.team.digest
        known = self._specs.get(digest, state.spec)
        state.spec = self._specs[digest] = state.spec.sharing(known)
        if state.limits == known.limits:
            state.limits = known.limits

    def _log(self, ref: RunRef, *observers: LogObserver) -> RunLog:
        return RunLog(
            self._store,
            ref,
            writer=self.owner,
            clock=self._clock,
            observers=(*self._observers.rows, *observers),
            pre_commit=self._observers.pre_commit,
        )

    async def _execute_on(self, ref: RunRef, limit: Deadline | None) -> Finish:
        """Execute a run, and again if a message named it meanwhile.

        The message may be that of an answer, or of this process's own hand-over, and have arrived
        just before the execution was over. It has been acknowledged, and there is no other one.
        """
        while True:
            self._missed.discard(ref)
            finish = await self._execute(ref, limit)
            is_released = finish in (Finish.WAITING, Finish.YIELDED)
            is_stopping = self._stopping or self._is_close(limit)
            if not is_released or ref not in self._missed or is_stopping:
                return finish

    def _is_close(self, limit: Deadline | None) -> bool:
        """Whether no more calls start because the platform ends this process soon."""
        return limit is not None and not limit.stops_in(self._clock.now())

    async def _execute(self, ref: RunRef, limit: Deadline | None) -> Finish:
        log = self._log(ref)
        warm, entries = await self._warm_run(ref, log), list[Entry]()
        if warm is None:
            entries, warm = await _read(log)
        else:
            entries = warm.undelivered
        state = warm.state if warm else log.folded(entries)
        if state is None:
            return Finish.ABSENT
        if state.spec.behaviour > BEHAVIOUR:
            logger.warning(
                "A run was skipped because a newer release accepted it",
                extra={"action": "engine.run_newer", **ref.log_fields()},
            )
            return Finish.HELD
        if state.is_waiting(self._clock.now()):
            if await self._begins(log, state):
                return await self._execute(ref, limit)
            return await self._rest(log, state, warm)
        if state.end is None:
            with _SuspectTurn(self._suspects, self._lease) as turn:
                if state.idle_claims >= _SUSPECT_CLAIMS:
                    await turn.acquire()
                    if self._stopping:
                        return Finish.REFUSED
                    log = self._log(ref, turn.appended)
                taken = self._take(log, entries, state, limit, warm)
                del entries, warm  # so that the execution can free them after the replay
                finish, state = await taken
            if finish is not Finish.ENDED:
                return finish
        await conclude(self._store, log, state, duties=self._duties)
        return Finish.ENDED

    async def _rest(self, log: RunLog, state: RunState, warm: WarmRun | None) -> Finish:
        if warm is not None:
            self._warm.put(log.ref, warm)
        await self._suspend(log, state)
        return Finish.WAITING

    async def _begins(self, log: RunLog, state: RunState) -> bool:
        """Give a run that waits for its turn in a thread the turn, if it has come."""
        if not state.is_held or self._is_turn is None:
            return False
        if not await self._is_turn(log.ref, state):
            return False
        turn = Signal(signal="turn")
        # Also if another process was first: the log has grown.
        await log.append(state, turn, [], epoch=state.epoch)
        return True

    async def _warm_run(self, ref: RunRef, log: RunLog) -> WarmRun | None:
        """The run, if it is warm and its code can receive what has followed its wait."""
        warm = self._warm.take(ref)
        if warm is not None and not await warm.catch_up(log):
            self._warm.release(ref)
            return None
        if warm is not None:
            log.size = warm.log_bytes
        return warm

    async def _give_up(self, ref: RunRef, error: Exception) -> Finish:
        """End a run on which the engine itself failed: another attempt would fail in the same way.

        Raises:
            Exception: `error` itself, if the run has ended or its log cannot be read.
        """
        logger.error(
            "The engine failed while executing a run",
            exc_info=error,
            extra={"action": "engine.fault", **ref.log_fields()},
        )
        log = self._log(ref)
        while True:
            state = log.folded(await log.read())
            if state is None or state.end is not None:
                raise error
            if state.owner not in (None, self.owner):
                return Finish.HELD
            fault = EngineFault(f"{type(error).__name__}: {exception_text(error)}")
            body, events = ending_of_cancel(state) or ending(failure(fault), state)
            if await log.append(state, body, events, epoch=state.epoch) is not None:
                await conclude(self._store, log, state, duties=self._duties)
                return Finish.ENDED

    async def _take(
        self,
        log: RunLog,
        entries: list[Entry],
        state: RunState,
        limit: Deadline | None,
        warm: WarmRun | None,
    ) -> tuple[Finish, RunState]:
        """Execute a run that has not ended, unless another worker does."""
        ref = log.ref
        if not await self._ownership.take(ref, state):
            return Finish.HELD, state
        self._share_parts(state)
        execution = Execution(
            log=log,
            entries=entries,
            prefix=() if warm else await read_prefix(log, entries),
            state=state,
            program=self._program(state.spec),
            clock=self._clock,
            observer=_EngineObserver(ref, self._notices, self._store),
            tenure=self._ownership.tenure(limit and limit.at),
            warm=warm,
            keeps_warm=self._warm.is_on,
        )
        del entries, warm
        self._executions[ref] = execution
        if self._stopping:  # told while this run was being read
            execution.stop()
        timers = self._timers(execution, limit)
        try:
            finish = await execution.run()
        finally:
            for timer in timers:
                timer.cancel()
            del self._executions[ref]
            await self._ownership.release(ref)
        if execution.warm is not None:
            self._warm.put(ref, execution.warm)
        state = execution.state
        if finish is Finish.WAITING or state.is_waiting(self._clock.now()):
            await self._suspend(log, state)
        elif finish is Finish.YIELDED and not await self._hand_over(ref, state.spec.queue):
            finish = Finish.REFUSED
        return finish, state

    def _timers(self, execution: Execution, limit: Deadline | None) -> list[asyncio.TimerHandle]:
        if limit is None:
            return []
        now, real = self._clock.now(), asyncio.get_running_loop()
        return [
            real.call_later(limit.stops_in(now), execution.stop),
            real.call_later(limit.aborts_in(now), execution.abort),
        ]

    async def _suspend(self, log: RunLog, state: RunState) -> None:
        """Delete the open marker of a run that waits, unless a signal has arrived in the meantime.

        The writer of a signal puts the marker before and after it appends. But that process may be
        lost between the two, just when the marker is deleted here. The idle marker covers this: it
        makes the reaper check the run some hours later.
        """
        await self._store.put_new(idle_marker(log.ref, self._clock.now()), b"")
        await self._store.delete(open_marker(log.ref))
        if await log.read_next(state.entries) is not None:
            await self._store.put_new(open_marker(log.ref), b"")
            await self._hand_over(log.ref, state.spec.queue)

    async def _hand_over(self, ref: RunRef, queue: Queue) -> bool:
        """Send the run to the queue; returns whether the queue accepted it."""
        try:
            await self._dispatcher.send([ref], queue=queue)
            return True
        except DeliveryError as error:
            logger.warning(
                "A run could not be handed over; the reaper will send it to the queue",
                extra={
                    "action": "engine.hand_over_failed",
                    **ref.log_fields(),
                    "error": str(error),
                },
            )
            return False

    def _attend(self) -> None:
        if not self._attendants:
            loop = asyncio.get_running_loop()
            self._attendants = [
                loop.create_task(self._keep_runs()),
                loop.create_task(self._listen()),
            ]

    async def _keep_runs(self) -> None:
        """Renew the leases, and look for signals that no notice announced."""
        interval, unread = self._ownership.interval, timedelta()
        while True:
            await self._clock.sleep(interval.total_seconds())
            await self._ownership.renew([*self._executions])
            self._warm.drop_expired()
            unread += interval
            if unread >= self._ownership.probe:
                unread = timedelta()
                self._poke_all()

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(DeliveryError, ValueError):
                async with self._live.subscribe(owner_topic(self.owner)) as messages:
                    self._poke_all()  # for the notices before
                    async for message in messages:
                        self._noticed(RunRef.parse(message.decode()))
            await self._clock.sleep(min(_RECONNECT, self._lease.total_seconds()))
            self._poke_all()

    def _noticed(self, ref: RunRef) -> None:
        """The log of a run of this worker has grown, or another process has ended the run."""
        execution = self._executions.get(ref)
        if execution is None:
            self._warm.drop(ref)
        else:
            execution.poke()

    def _poke_all(self) -> None:
        for execution in list(self._executions.values()):
            execution.poke()


async def _read(log: RunLog) -> tuple[list[Entry], WarmRun | None]:
    """A log, or the entries after its snapshot and the run as it was then."""
    entries, snapshot = await recent(log)
    if snapshot is None:
        return entries, None
    try:
        return entries, thawed(snapshot, entries, log)
    except ValueError:
        return await log.read(), None


class _SuspectTurn:
    """Serializes the start of runs whose last claims made no progress, until they make some.

    A run that crashes its worker would otherwise take unrelated runs with it: each crash also
    counts as a claim without progress of every other run in the process. A long call makes no
    progress either, so a turn has a longest time.
    """

    def __init__(self, lock: asyncio.Lock, longest: timedelta) -> None:
        self._lock = lock
        self._longest_s = longest.total_seconds()
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self) -> None:
        """Wait for the turn."""
        await self._lock.acquire()
        self._timer = asyncio.get_running_loop().call_later(self._longest_s, self.end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def appended(self, ref: RunRef, entry: Entry, state: RunState | None) -> None:
        """End the turn when the run has made progress."""
        if state is None or not state.idle_claims:
            self.end()

    def end(self) -> None:
        """Let the next run start."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._lock.release()


class _EngineObserver:
    """Publishes streamed text, and puts the markers of waits."""

    def __init__(self, ref: RunRef, notices: Notices, store: ObjectStore) -> None:
        self._ref = ref
        self._notices = notices
        self._store = store

    async def will_wait(self, until: datetime) -> None:
        """Put the marker that makes the reaper check the run at that time."""
        await self._store.put_new(due_marker(self._ref, until), b"")

    def delta(self, data: JsonObject) -> None:
        """Publish a piece of text from a model."""
        self._notices.delta(self._ref, data)
