"""Executes runs: many at once, on one event loop.

`execute(ref)` is what every queue message comes to, whatever brought it: Celery, a Lambda, the
same process. Leases say who is at work, to save money; no safety hangs on them.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Self
from weakref import WeakValueDictionary

from teamrun.components.definitions.base import TeamDefinition
from teamrun.core.clock import Clock, SystemClock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import DeliveryError, EngineFault, StorageError, UnreadableEntry
from teamrun.live.base import Live
from teamrun.messages.recordable import exception_text
from teamrun.runs.engine.decision import failure
from teamrun.runs.engine.execution import Execution, Finish, Program
from teamrun.runs.engine.metrics import RunMetrics
from teamrun.runs.log.announcer import Notices, lease_name, owner_topic
from teamrun.runs.log.archive import DUTIES, Duty, conclude
from teamrun.runs.log.endings import ending, ending_of_cancel
from teamrun.runs.log.entries import Entry
from teamrun.runs.log.keys import due_marker, idle_marker, open_marker
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.prefix import read_prefix
from teamrun.runs.log.spec import BEHAVIOUR, RunSpec
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["Engine"]

logger = logging.getLogger(__name__)


_STOP_BEFORE, _ABORT_BEFORE = 30.0, 10.0
"""Seconds before a platform's deadline."""


_SUSPECT_CLAIMS = 2
"""Claims in a row that came to nothing before a run begins apart from others of that kind."""


_PROBE = 5.0
"""Seconds between looks at the log where the live channel is not to be relied on."""


class Engine:
    """Executes runs in the name of one owner.

    Args:
        store: Where the logs are.
        live: Leases and notices.
        dispatcher: Where runs go that this engine lets go of.
        program: Makes the code of a run from its specification.
        owner: A name that no other process has.
        lease: How long a run belongs to an owner that is not heard of.
        clock: The machine's, unless a test has one.
        duties: What is due after the end of a run.
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
    ) -> None:
        self._store = store
        self._live = live
        self._dispatcher = dispatcher
        self._program = program
        self.owner = owner
        self._lease = lease
        self._clock = clock or SystemClock()
        self._duties = duties
        self._notices = Notices(live)
        self.metrics = RunMetrics()
        self._definitions = WeakValueDictionary[str, TeamDefinition]()
        self._executions: dict[RunRef, Execution] = {}
        self._starting: set[RunRef] = set()
        self._suspects = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()
        self._attendants: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def in_flight(self) -> int:
        """How many runs are being executed here."""
        return len(self._starting)

    def metric_lines(self) -> Iterator[str]:
        """What this engine has done, in the Prometheus text format."""
        return self.metrics.lines(in_flight=self.in_flight)

    async def execute(self, ref: RunRef, *, deadline: datetime | None = None) -> Finish:
        """Execute a run, as far as it goes here.

        Args:
            ref: The run.
            deadline: When the platform ends this process. Half a minute before, no more calls
                begin; ten seconds before, those under way are given up and the run is handed over.

        Raises:
            StorageError: The log cannot be read; the reaper will send the run again.
        """
        if self._stopping:
            return Finish.REFUSED
        if ref in self._starting:
            return Finish.HELD
        self._starting.add(ref)
        self._idle.clear()
        self._attend()
        try:
            return await self._execute(ref, deadline)
        except UnreadableEntry as error:
            logger.warning(
                "a run was set apart: its log cannot be read",
                extra={"action": "unreadable", "run": str(ref), "error": error.message},
            )
            return Finish.HELD
        except (StorageError, DeliveryError):
            raise
        except Exception as error:
            return await self._give_up(ref, error)
        finally:
            self._starting.discard(ref)
            if not self._starting:
                self._idle.set()

    def stop(self) -> None:
        """Start no more calls; every run yields once its calls under way have completed."""
        self._stopping = True
        for execution in self._executions.values():
            execution.stop()

    def abort(self) -> None:
        """Yield every run now; calls under way are cancelled and will be made again."""
        self._stopping = True
        for execution in self._executions.values():
            execution.abort()

    async def drained(self) -> None:
        """Return when no run is being executed here."""
        await self._idle.wait()
        await self._notices.flushed()

    async def close(self) -> None:
        """End the background work of an engine that executes nothing any more."""
        for task in self._attendants:
            task.cancel()
        await asyncio.gather(*self._attendants, return_exceptions=True)
        self._attendants.clear()
        await self._notices.close()

    # One run

    def _with_shared_definition(self, spec: RunSpec) -> RunSpec:
        # Of a team that runs often: its definition is a seventh of what a run keeps in memory.
        known = self._definitions.setdefault(spec.team.digest, spec.definition)
        if known is spec.definition or known != spec.definition:
            return spec
        return spec.model_copy(update={"definition": known})

    async def _execute(self, ref: RunRef, deadline: datetime | None) -> Finish:
        log = RunLog(self._store, ref, writer=self.owner, clock=self._clock)
        entries = await log.read()
        state = log.folded(entries)
        if state is None:
            return Finish.ABSENT
        if state.spec.behaviour > BEHAVIOUR:
            logger.warning(
                "a run of a newer release was left to it",
                extra={"action": "newer_behaviour", "run": str(ref)},
            )
            return Finish.HELD
        if state.is_waiting(self._clock.now()):
            await self._suspend(log, state)
            return Finish.WAITING
        if state.end is None:
            with _SuspectTurn(self._suspects) as turn:
                if state.idle_claims >= _SUSPECT_CLAIMS:
                    await turn.acquire()
                    if self._stopping:
                        await self._hand_over(ref)
                        return Finish.HELD
                taken = self._take(log, entries, state, turn, deadline)
                del entries  # it lets go of them when it has read them
                finish, state = await taken
            if finish is not Finish.ENDED:
                return finish
            _warn_of_failure(ref, state)
        await conclude(self._store, log, state, duties=self._duties)
        self._notices.changed(ref, state, view=True)
        return Finish.ENDED

    async def _give_up(self, ref: RunRef, error: Exception) -> Finish:
        """End a run on which the engine itself has failed: another attempt would fail alike.

        Raises:
            Exception: `error` itself, if the run has ended or its log cannot be read.
        """
        logger.error(
            "The engine failed while it executed a run",
            exc_info=error,
            extra={"action": "engine_fault", "run": str(ref)},
        )
        log = RunLog(self._store, ref, writer=self.owner, clock=self._clock)
        while True:
            state = log.folded(await log.read())
            if state is None or state.end is not None:
                raise error
            if state.owner not in (None, self.owner):
                return Finish.HELD
            fault = EngineFault(f"{type(error).__name__}: {exception_text(error)}")
            body, events = ending_of_cancel(state) or ending(failure(fault), state)
            entry = await log.append(state, body, events, epoch=state.epoch)
            if entry is not None:
                break
        state.apply(entry)
        _warn_of_failure(ref, state)
        await conclude(self._store, log, state, duties=self._duties)
        self._notices.changed(ref, state, view=True)
        return Finish.ENDED

    async def _take(
        self,
        log: RunLog,
        entries: list[Entry],
        state: RunState,
        turn: "_SuspectTurn",
        deadline: datetime | None,
    ) -> tuple[Finish, RunState]:
        """Execute a run that has not ended, where nobody else does."""
        ref = log.ref
        if not await self._may_take(ref, state):
            return Finish.HELD, state
        state.spec = self._with_shared_definition(state.spec)
        execution = Execution(
            log=log,
            entries=entries,
            prefix=await read_prefix(log, entries),
            state=state,
            program=self._program(state.spec),
            clock=self._clock,
            observer=_EngineObserver(ref, self._notices, self._store, turn, self.metrics),
        )
        del entries
        self._executions[ref] = execution
        timers = self._timers(execution, deadline)
        try:
            finish = await execution.run()
        finally:
            for timer in timers:
                timer.cancel()
            del self._executions[ref]
            await self._release(ref)
        state = execution.state
        if finish is Finish.WAITING or state.is_waiting(self._clock.now()):
            await self._suspend(log, state)
        elif finish is Finish.YIELDED:
            await self._hand_over(ref)
        return finish, state

    async def _may_take(self, ref: RunRef, state: RunState) -> bool:
        """Whether nobody else is at work, as far as can be told."""
        if state.owner == self.owner:  # this process began it and lost track, or it is a duplicate
            return True
        try:
            if not await self._live.acquire(lease_name(ref), self.owner, self._lease):
                return False
            if state.owner is None:
                return True
            age = await self._live.age()
        except DeliveryError:
            return state.owner is None
        silent = self._clock.now() - state.at >= self._lease
        settled = age is not None and age >= self._lease
        if silent and settled:
            return True
        await self._release(ref)
        return False

    def _timers(self, execution: Execution, deadline: datetime | None) -> list[asyncio.TimerHandle]:
        if deadline is None:
            return []
        left, real = (deadline - self._clock.now()).total_seconds(), asyncio.get_running_loop()
        return [
            real.call_later(max(left - _STOP_BEFORE, 0), execution.stop),
            real.call_later(max(left - _ABORT_BEFORE, 0), execution.abort),
        ]

    async def _suspend(self, log: RunLog, state: RunState) -> None:
        """Nobody needs to look after a run that waits, unless somebody has spoken meanwhile.

        Whoever speaks puts the marker back, before and after; but an API process may be lost in
        between, just when the marker is taken away here. So another one is left for later.
        """
        await self._store.put_new(idle_marker(log.ref, self._clock.now()), b"")
        await self._store.delete(open_marker(log.ref))
        if await log.read_next(state.entries) is not None:
            await self._store.put_new(open_marker(log.ref), b"")
            await self._hand_over(log.ref)

    async def _release(self, ref: RunRef) -> None:
        with contextlib.suppress(DeliveryError):
            await self._live.release(lease_name(ref), self.owner)

    async def _hand_over(self, ref: RunRef) -> None:
        try:
            await self._dispatcher.send(ref)
        except DeliveryError as error:
            logger.warning(
                "a run could not be handed over; the reaper will send it",
                extra={"action": "hand_over_failed", "run": str(ref), "error": str(error)},
            )

    # Background: leases, and news for runs in flight

    def _attend(self) -> None:
        if not self._attendants:
            loop = asyncio.get_running_loop()
            self._attendants = [
                loop.create_task(self._renew_leases()),
                loop.create_task(self._listen()),
            ]

    async def _renew_leases(self) -> None:
        while True:
            await self._clock.sleep(self._lease.total_seconds() / 4)
            for ref in list(self._executions):
                try:
                    await self._live.acquire(lease_name(ref), self.owner, self._lease)
                except DeliveryError:
                    break
            for execution in list(self._executions.values()):
                execution.poke()

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(DeliveryError, ValueError):
                async with self._live.subscribe(owner_topic(self.owner)) as messages:
                    async for message in messages:
                        execution = self._executions.get(RunRef.parse(message.decode()))
                        if execution is not None:
                            execution.poke()
            await self._clock.sleep(min(_PROBE, self._lease.total_seconds()))
            for execution in list(self._executions.values()):
                execution.poke()


def _warn_of_failure(ref: RunRef, state: RunState) -> None:
    end = state.end
    if end is not None and end.status == "failed":
        logger.warning(
            "A run has failed",
            extra={
                "action": "run.failed",
                "tenant": ref.tenant,
                "run_id": ref.run_id,
                "code": end.stop_code,
                "error": end.error and end.error.type,
                "agent": end.error and end.error.agent,
            },
        )


class _SuspectTurn:
    """The turn of a run whose last claims came to nothing, until it has come further.

    One such run may take the process along, again and again; the others that were there each time
    must not be given up with it.
    """

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._is_ours = False

    async def acquire(self) -> None:
        """Wait for it."""
        await self._lock.acquire()
        self._is_ours = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Let the next one begin."""
        if self._is_ours:
            self._is_ours = False
            self._lock.release()


class _EngineObserver:
    """Passes on what an execution tells; views are shared where the status changes."""

    def __init__(
        self,
        ref: RunRef,
        notices: Notices,
        store: ObjectStore,
        turn: _SuspectTurn,
        metrics: RunMetrics,
    ) -> None:
        self._ref = ref
        self._turn = turn
        self.wrote = metrics.wrote
        self._notices = notices
        self._store = store
        self._status: str | None = None

    def changed(self, state: RunState) -> None:
        """The log has grown."""
        if not state.idle_claims:
            self._turn.end()
        status = state.status
        self._notices.changed(self._ref, state, view=status != self._status)
        self._status = status

    async def will_wait(self, until: datetime) -> None:
        """Leave a marker for the hour in which the run has to be looked at again."""
        await self._store.put_new(due_marker(self._ref, until), b"")

    def delta(self, data: dict[str, Any]) -> None:
        """A piece of text came from a model."""
        self._notices.delta(self._ref, data)
