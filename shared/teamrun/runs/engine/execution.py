"""One execution of one run: claim, replay, then live until the end, a yield or a newer owner.

The order is what makes a run a pure function of its log. Run code moves only in a drain. After
each drain the queue is empty; then one entry is formed, made durable, and delivered. Entries of
others (a cancel) are delivered in their place in the log, before anything of this worker's own.
A call without a record starts only when the whole log has been delivered.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

from teamrun.core.clock import Clock
from teamrun.errors import Diverged, Runaway, RunError, Unavailable
from teamrun.messages.origin import current_origin
from teamrun.runs.engine.admission import Gate
from teamrun.runs.engine.calls import Calls
from teamrun.runs.engine.decision import Decision, failure
from teamrun.runs.engine.drafts import Draft, Drafts
from teamrun.runs.engine.journal import Journal, RunOrigin
from teamrun.runs.engine.loop import RunLoop
from teamrun.runs.engine.outcomes import error_record
from teamrun.runs.log.attempts import latest_attempt
from teamrun.runs.log.endings import ending, ending_of_cancel
from teamrun.runs.log.entries import Claim, End, Entry, Signal, Step, Wait, Yield
from teamrun.runs.log.events import paused_event, retried_event, started_event
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.state import RunState

__all__ = ["Execution", "ExecutionObserver", "Finish", "Program"]

logger = logging.getLogger(__name__)


_SLICE = 2_000
"""Callbacks of one run before the others get their turn."""


_RUNAWAY = 1_000_000
"""Callbacks without the queue ever being empty."""


_POISON_CLAIMS = 5
"""Claims in a row that came to nothing before a run is given up."""


_DIVERGED_PAUSE = timedelta(minutes=1)
"""The wait before another worker tries a run whose record this one's code does not fit."""


_DIVERGED_PATIENCE = timedelta(hours=1)
"""How long that is tried before the run is paused."""


_IDLE_YIELDS = 20
"""Hand-overs in a row without a completed call before a run is given up."""


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
    REFUSED = "refused"
    """This process is stopping; another one should execute the run."""
    FAILED = "failed"
    """An error kept the run from being executed; the reaper sends it again."""

    @property
    def is_refused(self) -> bool:
        """Whether the message belongs back in the queue."""
        return self is Finish.REFUSED


class ExecutionObserver(Protocol):
    """Who is told while a run goes on; nothing depends on it."""

    def changed(self, state: RunState) -> None:
        """The log has grown."""
        ...

    def wrote(self, entry: Entry) -> None:
        """This execution has added an entry to the log."""
        ...

    def delta(self, data: dict[str, Any]) -> None:
        """A piece of text came from a model."""
        ...

    async def will_wait(self, until: datetime) -> None:
        """The run is about to wait, and has to be looked at again at that time."""
        ...


class _Fenced(Exception):
    """A newer epoch is in the log: this worker must not write any more."""


class Execution:
    """Executes a run that this worker may take; see the module's docstring."""

    def __init__(
        self,
        *,
        log: RunLog,
        entries: list[Entry],
        prefix: Sequence[Entry] = (),
        state: RunState,
        program: Program,
        clock: Clock,
        observer: ExecutionObserver,
        calls_nothing: bool = False,
    ) -> None:
        self._log = log
        self._entries = entries
        self._prefix = prefix
        self.state = state
        self._program = program
        self._clock = clock
        self._observer = observer
        self._calls_nothing = calls_nothing
        self._epoch = 0
        self._calls = Calls(log=log, state=state, publish=observer.delta, nudge=self._nudge)
        self._origin = RunOrigin(state.spec.seed, (prefix or entries)[0].at)
        self._journal: Journal | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._gate: Gate | None = None
        self._root: asyncio.Task[End] | None = None
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
            draft = self._first_duty() or Draft(
                Claim(owner=self._log.writer),
                [] if self.state.started_at else [started_event(self.state)],
            )
            claiming = isinstance(draft.body, Claim)
            entry = await self._put(draft, self.state.epoch + claiming)
            for news in [entry] if entry else await self._read_on():
                self._apply(news)
                self._entries.append(news)
            if entry is not None and claiming:
                self._epoch = entry.epoch
                return None
            if self.state.end is None and self.state.owner != owner:
                return Finish.HELD
        return Finish.ENDED

    def _first_duty(self) -> Draft | None:
        """What comes before everything else: a cancel, and runs that are not to be executed."""
        state, now = self.state, self._clock.now()
        if (cancelling := ending_of_cancel(state)) is not None:
            return Draft(*cancelling)
        expires_at = state.spec.expires_at
        if state.epoch == 0 and expires_at is not None and now >= expires_at:
            return Draft(*ending(End(status="expired", stop_code="expired"), state))
        if state.idle_claims >= _POISON_CLAIMS:
            return _given_up(
                state,
                "poison",
                f"{_POISON_CLAIMS} workers in a row ended while they executed this run; "
                "see their logs, then retry the run.",
            )
        if state.idle_yields >= _IDLE_YIELDS:
            return _given_up(
                state,
                "no_progress",
                f"The run was handed over {_IDLE_YIELDS} times without completing a call; "
                "give its workers more time.",
            )
        return None

    # Driving

    async def _drive(self) -> Finish:
        journal = Journal(RunLoop(), self._origin, skip_events=self.state.emitted)
        self._journal = journal
        try:
            for entry in self._record():
                await self._deliver(journal, entry)
                if self._root is None and isinstance(entry.body, Claim):
                    self._root = self._begin(journal)
                    await self._drain(journal)
            self._entries, self._prefix = [], ()
            assert self._root is not None, "an execution has claimed its run"
            if journal.unspoken:
                raise Diverged(
                    f"The log holds {journal.unspoken} events that this code did not say again; "
                    "use the release and definitions that began the run."
                )
            return await self._live(journal, self._root)
        except Runaway as error:
            return await self._write_end(failure(error))
        except Diverged as error:
            if self._calls_nothing:
                return await self._write_end(failure(error))
            return await self._write_last(partial(self._diverged, error))

    def _record(self) -> list[Entry]:
        """What a replay takes into account: all, unless the run was told to begin anew."""
        since = self.state.replay_from
        if since:
            return latest_attempt(entry for entry in self._entries if entry.n >= since)
        return latest_attempt([*self._prefix, *self._entries])

    def _diverged(self, error: Diverged) -> Draft:
        """Other workers may have the code of the record; after an hour a person has to see."""
        now, since = self._clock.now(), self.state.diverged_since
        if since is not None and now - since >= _DIVERGED_PATIENCE:
            return Draft(Wait(why="diverged"), [paused_event(error_record(error))])
        until = now + _DIVERGED_PAUSE
        event = retried_event(error_record(error), self.state.attempts, until)
        return Draft(Yield(why="diverged", until=until), [event])

    def _begin(self, journal: Journal) -> asyncio.Task[End]:
        """Start the code of the run: at its first claim, having heard what came before."""
        context = Context()
        context.run(current_origin.set, self._origin)
        root = journal.loop.create_task(_run_program(self._program, journal), context=context)
        root.add_done_callback(journal.ended)
        return root

    async def _live(self, journal: Journal, root: asyncio.Task[End]) -> Finish:
        self._gate = gate = Gate(self.state, journal, self._calls)
        drafts = Drafts(self.state, journal, self._calls, gate)
        decision = Decision(self.state, journal, self._calls, gate, drafts, self._clock)
        if self._calls_nothing and not root.done():
            return await self._write_end(_stopped_here(journal))
        while self.state.end is None:
            self._begin_calls()
            draft = decision.next(root, is_stopping=self._stopping, show=self._show)
            if draft is None:
                await self._rest(decision.wakes_at())
                if self._poked:
                    await self._catch_up(journal)
                continue
            entry = await self._append(draft)
            if entry is None:
                await self._catch_up(journal)
                continue
            self._show = False
            drafts.discard(draft)
            self._apply(entry)
            if (finish := _FINISHES.get(type(draft.body))) is not None:
                return finish
            gate.begin(draft.intents)
            await self._deliver(journal, entry, live=True)
        return Finish.ENDED  # by somebody else: a cancel needs no claim

    async def _write_end(self, end: End) -> Finish:
        """End the run from outside of `_live`."""
        return await self._write_last(lambda: Draft(*ending(end, self.state)))

    async def _write_last(self, form: Callable[[], Draft]) -> Finish:
        """Let go of the run from outside of `_live`; a cancel or another owner comes first."""
        self._calls.abandon_all()
        while self.state.end is None:
            draft = self._first_duty() or form()
            entry = await self._append(draft)
            for news in [entry] if entry else await self._read_on():
                self._apply(news)
            if entry is not None:
                return _FINISHES[type(draft.body)]
        return Finish.ENDED

    async def _append(self, draft: Draft) -> Entry | None:
        """Write an entry of the owner; waits for storage as long as it takes."""
        body = draft.body
        while isinstance(body, Wait | Yield) and body.until is not None:
            try:
                await self._observer.will_wait(body.until)
                break
            except Unavailable:
                await self._clock.sleep(0.5)
        return await self._put(draft, self._epoch)

    async def _put(self, draft: Draft, epoch: int) -> Entry | None:
        entry = await self._log.append(self.state, draft.body, draft.events, epoch=epoch)
        if entry is not None:
            self._observer.wrote(entry)
        return entry

    # Delivering

    def _apply(self, entry: Entry) -> None:
        if self._epoch and entry.epoch > self._epoch:
            raise _Fenced
        self.state.apply(entry)
        self._observer.changed(self.state)

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
        records = entry.body.calls
        for record in records:
            if not (record.unawaited or (record.within or record.call_id) in journal.pending):
                raise Diverged(
                    f"The log has the outcome of {record.call_id!r}, which this code does not ask "
                    "for; use the release and definitions that began the run."
                )
        for left, record in enumerate(records, start=1 - len(records)):
            journal.deliver(record)
            if not journal.is_over:
                await self._drain(journal, start=live and left == 0)

    async def _deliver_signal(self, journal: Journal, signal: Signal) -> None:
        answer = journal.hear(signal)
        if answer is not None:
            journal.deliver(answer)
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
        try:
            is_drained = journal.loop.drain(_SLICE)
            if is_drained and start:
                self._begin_calls()
        except Exception as error:  # or the execution would wait for ever
            drained.set_exception(error)
            return
        if is_drained:
            drained.set_result(None)
        elif budget <= 0:
            drained.set_exception(
                Runaway("Team code runs on and on without awaiting a model, tool or person.")
            )
        else:
            again = (journal, drained, start, budget - _SLICE)
            asyncio.get_running_loop().call_soon(self._drain_slice, *again)

    def _begin_calls(self) -> None:
        """Let the calls begin that may; none where the run's code has come to its end."""
        over = self._stopping or self._root is None or self._root.done()
        if self._gate is not None and not over:
            self._gate.open()

    async def _catch_up(self, journal: Journal) -> None:
        self._poked = False
        for entry in await self._read_on():
            self._apply(entry)
            await self._deliver(journal, entry)
        self._calls.forget_expiries(journal.pending)

    async def _read_on(self) -> list[Entry]:
        """The entries after the folded ones; waits for storage as long as it takes."""
        while True:
            try:
                return await self._log.read(self.state.entries)
            except Unavailable:
                await self._clock.sleep(0.5)

    # Waiting

    async def _rest(self, until: float | None) -> None:
        """Wait for news of calls, of the log, or for that many seconds."""
        if self._nudged:
            self._nudged = False
            return
        real = asyncio.get_running_loop()
        timer = None if until is None else real.call_later(until, self._show_events)
        self._waiter = real.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._nudged = False
            if timer is not None:
                timer.cancel()

    def _show_events(self) -> None:
        self._show = True
        self._nudge()

    def _nudge(self) -> None:
        self._nudged = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _close(self) -> None:
        self._calls.close()
        self._gate = self._root = None
        journal, self._journal = self._journal, None
        if journal is None:
            return
        closed = asyncio.get_running_loop().create_future()

        def close() -> None:
            journal.close()
            if not closed.done():  # a cancel may have come meanwhile
                closed.set_result(None)

        asyncio.get_running_loop().call_soon(close)
        await closed


_FINISHES: dict[type, Finish] = {
    End: Finish.ENDED,
    Yield: Finish.YIELDED,
    Wait: Finish.WAITING,
}


async def _run_program(program: Program, journal: Journal) -> End:
    return await program(journal)


def _stopped_here(journal: Journal) -> End:
    """How the drive of a record ends where the record does, and run code does not."""
    waits = ", ".join(sorted(journal.pending)) or "nothing of this run"
    return End(
        status="failed", stop_code="stopped_here", stop_reason=f"The code waits for {waits}."
    )


def _given_up(state: RunState, code: str, why: str) -> Draft:
    error = error_record(RunError(why)).model_copy(update={"code": code})
    end = End(status="failed", stop_reason=why, stop_code=code, error=error)
    return Draft(*ending(end, state))
