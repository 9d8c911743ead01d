"""One execution of one run: claim, replay, then live until the end, a yield or a newer owner.

The order is what makes a run a pure function of its log. Run code moves only in a drain. After
each drain the queue is empty; then one entry is formed, made durable, and delivered. Entries of
others (a cancel) are delivered in their place in the log, before anything of this worker's own.
A call without a record starts only when the whole log has been delivered.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from teamrun.core.clock import Clock
from teamrun.errors import Diverged, Runaway, RunError, Unavailable
from teamrun.messages.origin import current_origin
from teamrun.runs.calls import Calls, answer_record, error_record, record_of
from teamrun.runs.entries import (
    Body,
    Claim,
    End,
    Entry,
    Intent,
    LoggedEvent,
    Signal,
    Step,
    Wait,
    Yield,
)
from teamrun.runs.fold import RunState
from teamrun.runs.journal import Journal, PendingCall, RunOrigin
from teamrun.runs.log import RunLog
from teamrun.runs.loop import RunLoop
from teamrun.runs.narration import call_events, end_event, paused_event, started_event

__all__ = ["Execution", "Finish", "Program", "Surroundings"]

logger = logging.getLogger(__name__)

_SLICE = 2_000
"""Callbacks of one run before the others get their turn."""
_RUNAWAY = 1_000_000
"""Callbacks without the queue ever being empty."""
_SHOW_EVENTS_AFTER = 0.05
"""Seconds that an event waits for a call to end and share its entry."""
_SHOW_PROGRESS_AFTER = 1.0
"""Seconds between entries that hold only progress from inside of calls."""
_POISON_CLAIMS = 5
"""Claims in a row that came to nothing before a run is given up."""

Program = Callable[[Journal], Awaitable[End]]
"""The code of a run: runs on the run's own loop and awaits only the journal."""


class Finish(StrEnum):
    """Why an execution is over."""

    ENDED = "ended"
    """The run has its end."""
    YIELDED = "yielded"
    """This worker let go on purpose; somebody should go on."""
    WAITING = "waiting"
    """The run waits for a person; there is nothing to do until somebody speaks."""
    HELD = "held"
    """Somebody else executes the run."""
    ABSENT = "absent"
    """There is no such run, or not yet."""


class Surroundings(Protocol):
    """Who is told while a run goes on; nothing depends on it."""

    def changed(self, state: RunState) -> None:
        """The log has grown."""
        ...

    def delta(self, data: dict[str, Any]) -> None:
        """A piece of text came from a model."""
        ...

    async def will_wait(self, until: datetime) -> None:
        """The run is about to wait, and has to be looked at again at that time."""
        ...


class _Fenced(Exception):
    """A newer epoch is in the log: this worker must not write any more."""


@dataclass(slots=True)
class _Draft:
    """An entry as it is to be written, and how much of what waits it holds."""

    body: Body
    events: list[LoggedEvent]
    said: int = 0
    done: int = 0
    progress: int = 0
    intents: tuple[PendingCall, ...] = ()


class Execution:
    """Executes a run that this worker may take; see the module's docstring."""

    def __init__(
        self,
        *,
        log: RunLog,
        entries: list[Entry],
        state: RunState,
        program: Program,
        clock: Clock,
        surroundings: Surroundings,
    ) -> None:
        self._log = log
        self._entries = entries
        self.state = state
        self._program = program
        self._clock = clock
        self._surroundings = surroundings
        self._epoch = 0
        self._calls = Calls(log=log, state=state, publish=surroundings.delta, nudge=self._nudge)
        self._origin = RunOrigin(state.spec.seed, entries[0].at)
        self._journal: Journal | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._intended: list[PendingCall] = []
        self._nudged = self._poked = self._stopping = self._show = False

    def poke(self) -> None:
        """Look at the log: it may have grown."""
        self._poked = True
        self._nudge()

    def stop(self) -> None:
        """Start no more calls; yield when those under way have completed."""
        self._stopping = True
        self._nudge()

    def abort(self) -> None:
        """Yield without waiting for calls under way: they are cancelled, and will be repeated."""
        self._stopping = True
        self._calls.abandon_all()
        self._nudge()

    async def run(self) -> Finish:
        """Execute until nothing more is to be done here."""
        try:
            claimed = await self._claim()
            if claimed is not None:
                return claimed
            return await self._drive()
        except _Fenced:
            logger.info("fenced", extra={"action": "fenced", "run": str(self._log.ref)})
            return Finish.HELD
        finally:
            await self._close()

    # Claiming

    async def _claim(self) -> Finish | None:
        owner = self.state.owner
        while self.state.end is None:
            draft = self._first_duty() or _Draft(
                Claim(owner=self._log.writer),
                [] if self.state.started_at else [started_event(self.state)],
            )
            claiming = isinstance(draft.body, Claim)
            entry = await self._log.append(
                self.state, draft.body, draft.events, epoch=self.state.epoch + claiming
            )
            for news in [entry] if entry else await self._read_on():
                self._apply(news)
                self._entries.append(news)
            if entry is not None and claiming:
                self._epoch = entry.epoch
                return None
            if self.state.end is None and self.state.owner != owner:
                return Finish.HELD
        return Finish.ENDED

    def _first_duty(self) -> _Draft | None:
        if self.state.cancel is not None:
            return _end_draft(End(status="cancelled", stop_reason=self.state.cancel.reason))
        if self.state.idle_claims >= _POISON_CLAIMS:
            error = RunError(
                f"{_POISON_CLAIMS} workers in a row ended while they executed this run; "
                "see their logs, then retry the run."
            )
            record = error_record(error).model_copy(update={"code": "poison"})
            return _end_draft(End(status="failed", stop_code="poison", error=record))
        return None

    # Driving

    async def _drive(self) -> Finish:
        loop = RunLoop()
        journal = Journal(loop, self._origin, skip_events=self.state.emitted)
        self._journal = journal
        root: asyncio.Task[End] | None = None
        try:
            for entry in self._entries:
                await self._deliver(journal, entry)
                if root is None and isinstance(entry.body, Claim):
                    root = self._begin(journal)
                    await self._drain(journal)
            self._entries = []
            assert root is not None, "an execution has claimed its run"
            if journal.unspoken:
                raise Diverged(
                    f"The log holds {journal.unspoken} events that this code did not say again; "
                    "use the release and definitions that began the run."
                )
            return await self._live(journal, root)
        except (Diverged, Runaway) as error:
            return await self._write_end(_failure(error))

    def _begin(self, journal: Journal) -> asyncio.Task[End]:
        """Start the code of the run: at its first claim, having heard what came before."""
        context = Context()
        context.run(current_origin.set, self._origin)
        return journal.loop.create_task(_run_program(self._program, journal), context=context)

    async def _live(self, journal: Journal, root: asyncio.Task[End]) -> Finish:
        while True:
            self._start_calls(journal)
            draft = self._decide(journal, root)
            if draft is None:
                await self._rest(journal)
                if self._poked:
                    await self._catch_up(journal)
                continue
            if isinstance(draft.body, Wait) and draft.body.until is not None:
                await self._surroundings.will_wait(draft.body.until)
            entry = await self._log.append(self.state, draft.body, draft.events, epoch=self._epoch)
            if entry is None:
                await self._catch_up(journal)
                continue
            self._settle(journal, draft)
            self._apply(entry)
            if isinstance(draft.body, End):
                return Finish.ENDED
            if isinstance(draft.body, Yield):
                return Finish.YIELDED
            if isinstance(draft.body, Wait):
                return Finish.WAITING
            await self._deliver(journal, entry, live=True)

    def _decide(self, journal: Journal, root: asyncio.Task[End]) -> _Draft | None:
        """What to write now, if anything."""
        if self.state.cancel is not None:
            return self._decide_cancelled(journal)
        if self._calls.done:
            return self._step(journal)
        if root.done():
            return self._with_events(journal, _result(root, journal))
        if self._stopping:
            return None if self._calls.in_flight else self._with_events(journal, _SHUTDOWN)
        if self._intended:
            return self._intent(journal)
        if self._expire(journal):
            return self._step(journal)
        if self._show:
            return self._step(journal)
        return None if self._calls.in_flight else self._idle(journal)

    def _idle(self, journal: Journal) -> _Draft:
        """Nothing is under way: the run waits for somebody, or for nothing at all."""
        if self.state.is_paused:
            return self._with_events(journal, Wait(why="paused"))
        questions = list(journal.pending.values())
        if not questions:
            return self._with_events(journal, _failure(_stalled()))
        times = [call.expires_at for call in questions if call.expires_at is not None]
        return self._with_events(journal, Wait(why="input", until=min(times, default=None)))

    def _expire(self, journal: Journal) -> bool:
        """Take questions whose time is over as answered by nobody; True where there are some."""
        now = self._clock.now()
        for call in journal.pending.values():
            if call.expires_at is not None and call.expires_at <= now:
                self._calls.expire(call)
        return bool(self._calls.done)

    def _intent(self, journal: Journal) -> _Draft:
        calls = tuple(self._intended)
        draft = self._with_events(
            journal, Intent(calls={call.call_id: call.intent or "" for call in calls})
        )
        draft.intents = calls
        return draft

    def _decide_cancelled(self, journal: Journal) -> _Draft | None:
        self._calls.abandon_all()
        if self._calls.in_flight:
            return None
        if self._calls.done:
            return self._step(journal, unawaited=True)
        assert self.state.cancel is not None
        end = End(status="cancelled", stop_reason=self.state.cancel.reason)
        return self._with_events(journal, end)

    def _step(self, journal: Journal, *, unawaited: bool = False) -> _Draft:
        done, progress, said = self._calls.done[:], self._calls.events[:], journal.events[:]
        versions = dict[str, int]()
        for artifact in self.state.artifacts:
            versions[artifact.name] = artifact.version
        records = [
            record_of(
                item,
                unawaited=unawaited or item.call.call_id not in journal.pending,
                versions=versions,
            )
            for item in done
        ]
        events = said + progress
        for item, record in zip(done, records, strict=True):
            events += call_events(item, record)
        self._show = False
        body = Step(calls=records, emitted=len(said))
        return _Draft(body, events, said=len(said), done=len(done), progress=len(progress))

    def _with_events(self, journal: Journal, body: End | Intent | Wait | Yield) -> _Draft:
        said, progress = journal.events[:], self._calls.events[:]
        own = [end_event(body)] if isinstance(body, End) else []
        if isinstance(body, Wait) and body.why == "paused":
            own = [paused_event()]
        update: dict[str, Any] = {"emitted": len(said)}
        if isinstance(body, End):
            update["unknown_outcomes"] = self.state.unknown
        body = body.model_copy(update=update)
        return _Draft(body, said + progress + own, said=len(said), progress=len(progress))

    def _settle(self, journal: Journal, draft: _Draft) -> None:
        del self._calls.done[: draft.done]
        del self._calls.events[: draft.progress]
        del journal.events[: draft.said]
        for call in draft.intents:
            self._intended.remove(call)
            if journal.pending.get(call.call_id) is call:
                self._calls.start(call)

    async def _write_end(self, end: End) -> Finish:
        """End the run from outside of `_live`, unless a cancel or another owner was first."""
        self._calls.abandon_all()
        while self.state.end is None:
            draft = self._first_duty() or _end_draft(end)
            entry = await self._log.append(self.state, draft.body, draft.events, epoch=self._epoch)
            for news in [entry] if entry else await self._read_on():
                self._apply(news)
        return Finish.ENDED

    # Delivering

    def _apply(self, entry: Entry) -> None:
        if self._epoch and entry.epoch > self._epoch:
            raise _Fenced
        self.state.apply(entry)
        self._surroundings.changed(self.state)

    async def _deliver(self, journal: Journal, entry: Entry, *, live: bool = False) -> None:
        """Give the outcomes of an entry to run code.

        Args:
            journal: Of the run.
            entry: Its calls are delivered one after another.
            live: It is the newest entry, so calls may start as soon as it is delivered.
        """
        self._origin.time = entry.at
        if isinstance(entry.body, Signal):
            await self._deliver_signal(journal, entry.body)
        if not isinstance(entry.body, Step):
            return
        for record in entry.body.calls:
            if not record.unawaited and record.call_id not in journal.pending:
                raise Diverged(
                    f"The log has the outcome of {record.call_id!r}, which this code does not ask "
                    "for; use the release and definitions that began the run."
                )
        awaited = [record for record in entry.body.calls if not record.unawaited]
        for left, record in enumerate(awaited, start=1 - len(awaited)):
            journal.deliver(record)
            await self._drain(journal, start=live and left == 0)

    async def _deliver_signal(self, journal: Journal, signal: Signal) -> None:
        if signal.signal == "message":
            journal.hear(signal)
        if signal.signal == "input" and signal.action_id in journal.pending:
            journal.deliver(answer_record(journal.pending[signal.action_id], signal))
            await self._drain(journal)

    async def _drain(self, journal: Journal, *, start: bool = False) -> None:
        """Let run code go on until it waits for calls; other runs get their turns in between.

        Args:
            journal: Of the run.
            start: Start what it asks for at once, and not a tick of the real loop later.
        """
        real = asyncio.get_running_loop()
        drained: asyncio.Future[None] = real.create_future()
        real.call_soon(self._drain_slice, journal, drained, start, _RUNAWAY)
        await drained
        for call_id in journal.abandoned:
            self._calls.abandon(call_id)
        journal.abandoned.clear()

    def _drain_slice(
        self, journal: Journal, drained: asyncio.Future[None], start: bool, budget: int
    ) -> None:
        # A method: a closure that calls itself would leave a cycle behind in each turn.
        if drained.cancelled():
            return
        if journal.loop.drain(_SLICE):
            try:
                if start:
                    self._start_calls(journal)
                drained.set_result(None)
            except Diverged as error:
                drained.set_exception(error)
        elif budget <= 0:
            drained.set_exception(
                Runaway("Team code runs on and on without awaiting a model, tool or person.")
            )
        else:
            again = (journal, drained, start, budget - _SLICE)
            asyncio.get_running_loop().call_soon(self._drain_slice, *again)

    async def _catch_up(self, journal: Journal) -> None:
        self._poked = False
        for entry in await self._read_on():
            self._apply(entry)
            await self._deliver(journal, entry)

    async def _read_on(self) -> list[Entry]:
        """The entries after the folded ones; waits for storage as long as it takes."""
        while True:
            try:
                return await self._log.read(self.state.entries)
            except Unavailable:
                await self._clock.sleep(0.5)

    # Calls and waiting

    def _start_calls(self, journal: Journal) -> None:
        if self._stopping or self.state.cancel is not None or self.state.is_paused:
            return
        for call in journal.fresh:
            if call.perform is None or journal.pending.get(call.call_id) is not call:
                continue
            if call.intent is None:
                self._calls.start(call)
            elif (begun := self.state.intents.get(call.call_id)) is not None:
                if begun != call.intent:
                    raise Diverged(
                        f"{call.call_id!r} was begun with other arguments than this code gives it; "
                        "use the release and definitions that began the run."
                    )
                self._calls.leave_unknown(call)
            else:
                self._intended.append(call)
        journal.fresh.clear()

    async def _rest(self, journal: Journal) -> None:
        if self._nudged:
            self._nudged = False
            return
        real, timer = asyncio.get_running_loop(), None
        if journal.events:
            timer = real.call_later(_SHOW_EVENTS_AFTER, self._show_events)
        elif self._calls.events:
            timer = real.call_later(_SHOW_PROGRESS_AFTER, self._show_events)
        else:
            timer = self._expiry_timer(journal)
        self._waiter = real.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._nudged = False
            if timer is not None:
                timer.cancel()

    def _expiry_timer(self, journal: Journal) -> asyncio.TimerHandle | None:
        times = [call.expires_at for call in journal.pending.values() if call.expires_at]
        if not times:
            return None
        seconds = (min(times) - self._clock.now()).total_seconds()
        return asyncio.get_running_loop().call_later(max(seconds, 0), self._nudge)

    def _show_events(self) -> None:
        self._show = True
        self._nudge()

    def _nudge(self) -> None:
        self._nudged = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _close(self) -> None:
        self._calls.close()
        journal, self._journal = self._journal, None
        if journal is None:
            return
        closed = asyncio.get_running_loop().create_future()

        def close() -> None:
            journal.close()
            closed.set_result(None)

        asyncio.get_running_loop().call_soon(close)
        await closed


_SHUTDOWN = Yield(why="shutdown")


async def _run_program(program: Program, journal: Journal) -> End:
    return await program(journal)


def _result(root: asyncio.Task[End], journal: Journal) -> End:
    failure = journal.loop.failure
    error = asyncio.CancelledError() if root.cancelled() else root.exception() or failure
    end = root.result() if error is None else _failure(error)
    return end.model_copy(update={"unread": [signal.content for signal in journal.inbox]})


def _failure(error: BaseException) -> End:
    record = error_record(error)
    return End(status="failed", stop_reason=record.message, stop_code=record.code, error=record)


def _stalled() -> RunError:
    return RunError("The team waits for something that is no model, tool or person of this run.")


def _end_draft(end: End) -> _Draft:
    return _Draft(end, [end_event(end)])
