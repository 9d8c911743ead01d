"""One execution of one run: claim it, replay its log, then run live.

An execution ends when the run ends or waits, when this worker yields, or when another worker has
claimed the run. Four rules make a run a pure function of its log:

- Run code continues only in a drain, and a drain lasts until its queue is empty. What it emits and
  requests then depends on what was delivered, and not on timing.
- One entry at a time is formed, delivered and made durable. Run code may receive outcomes before
  they are durable, but until then no call starts and no event leaves; if another writer was first,
  run code is built anew by a replay (`_deliver_early`).
- Entries of other writers (a cancel, an answer) are delivered at their place in the log, before any
  further entry of this worker.
- A call without a record starts only when the whole log has been delivered. Otherwise it could be
  made a second time although its record follows.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from teamrun.core.clock import Clock
from teamrun.errors import Diverged, Runaway, StorageError
from teamrun.json_types import JsonObject
from teamrun.messages.origin import current_origin
from teamrun.runs.engine.admission import Gate
from teamrun.runs.engine.calls import Calls
from teamrun.runs.engine.decision import Decision, failure
from teamrun.runs.engine.drafts import Draft, Drafts
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.loop import RunLoop
from teamrun.runs.engine.origin import RunOrigin
from teamrun.runs.engine.ownership import Tenure
from teamrun.runs.engine.patience import until_stored
from teamrun.runs.engine.stops import diverged, early_end, stopped_here
from teamrun.runs.engine.warm import WarmRun, can_follow
from teamrun.runs.log.attempts import latest_attempt
from teamrun.runs.log.entries import CallRecord, Claim, End, Entry, Signal, Wait, Yield, calls_of
from teamrun.runs.log.events import ending, started_event
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.prefix import read_prefix
from teamrun.runs.log.snapshot import SHORT, Snapshot, next_snapshot
from teamrun.runs.log.state import RunState

__all__ = ["Execution", "ExecutionObserver", "Program"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

Program = Callable[[Journal], Awaitable[End]]
"""The code of a run; it runs on the run's own loop and awaits only the journal."""


class ExecutionObserver(Protocol):
    """Receives what is not in the log; entries go to the observers of the log."""

    def delta(self, data: JsonObject) -> None:
        """Called when a model has streamed a piece of text."""
        ...

    async def will_wait(self, until: datetime) -> None:
        """Called before the run starts to wait; the run needs a worker again at `until`.

        Raises:
            Unavailable: That could not be stored; it is tried again before the wait is written.
        """
        ...


_REPLAYED_AT_ONCE = 50
"""Entries that are replayed before the event loop serves other runs; some milliseconds."""


class _Fenced(Exception):
    """The log has a newer epoch, so this worker must not write to it any more."""


class _Overtaken(Exception):
    """Another writer was first, and run code has received outcomes that are not in the log."""


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
        tenure: Tenure | None = None,
        calls_nothing: bool = False,
        warm: WarmRun | None = None,
        keeps_warm: bool = False,
    ) -> None:
        self._log = log
        self._entries = entries
        self._prefix = prefix
        self.state = state
        self._program = program
        self._clock = clock
        self._observer = observer
        self._tenure = tenure or Tenure()
        self._calls_nothing = calls_nothing
        self._epoch = 0
        self._calls = Calls(log=log, state=state, publish=observer.delta, nudge=self._nudge)
        self._journal: Journal | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._gate: Gate | None = None
        self._decision: Decision | None = None
        self._root: asyncio.Task[End] | None = None
        if warm is None:
            self._origin = RunOrigin(state.spec.seed, (prefix or entries)[0].at)
        else:
            self._journal, self._origin, self._root = warm.journal, warm.origin, warm.root
        self._is_thawed = warm is not None and warm.root is None
        self._next_snapshot = warm.next_snapshot if warm else SHORT
        self._keeps_warm = keeps_warm
        self.warm: WarmRun | None = None
        """The code of the run, if the run waits for people and was to be kept warm."""
        self._nudged = self._poked = self._stopping = self._show = False

    def poke(self) -> None:
        """Read the log again: it may have grown."""
        self._poked = True
        self._nudge()

    def stop(self) -> None:
        """Start no more calls; yield when those under way have completed."""
        self._stopping = True
        self._nudge()

    def abort(self) -> None:
        """Cancel the calls in flight and yield; the next worker makes those calls again."""
        self._stopping = True
        self._calls.abandon_all()
        self._nudge()

    async def run(self) -> Finish:
        """Execute the run as far as this worker can."""
        try:
            claimed = await self._claim()
            if claimed is not None:
                return claimed
            if self._journal is not None and not can_follow(self._entries, self._journal):
                await self._start_over()
            finish = await self._drive()
            if self._keeps_warm and finish is Finish.WAITING:
                self._keep_warm()
            return finish
        except _Fenced:
            logger.info(
                "Another worker has claimed the run; this worker stopped executing it",
                extra={"action": "engine.fenced", **self._log.ref.log_fields()},
            )
            return Finish.HELD
        finally:
            self._close()

    # Claiming

    async def _claim(self) -> Finish | None:
        owner = self.state.owner
        while self.state.end is None:
            draft = early_end(self.state, self._clock.now()) or Draft(
                self._tenure.claim(self._log.writer, self._clock.now()),
                [] if self.state.started_at else [started_event(self.state)],
            )
            claiming = isinstance(draft.body, Claim)
            epoch = self.state.epoch + claiming
            entry = await self._log.append(self.state, draft.body, draft.events, epoch=epoch)
            # If another writer was first, its entry may be a cancel or a claim: decide again.
            new = [entry] if entry else await self._caught_up()
            self._entries += new
            if entry is not None and claiming:
                self._epoch = entry.epoch
                return None
            if self.state.end is None and (given_up := self._gives_up_claim(owner, new)):
                return given_up
        return Finish.ENDED

    def _gives_up_claim(self, owner: str | None, new: Sequence[Entry]) -> Finish | None:
        """How the execution ends if the run must not be taken from `owner` any more.

        This worker may have been frozen since it read the log. The run may have been paused, or
        another worker may have executed it up to a wait. An owner that was thought to be lost is
        well if it has written, or may have renewed its ownership.
        """
        now = self._clock.now()
        if self.state.is_waiting(now):
            return Finish.WAITING
        if self.state.owner != owner:
            return Finish.HELD
        if owner in (None, self._log.writer):
            return None
        if any(entry.writer == owner for entry in new):
            return Finish.HELD
        return None if self._tenure.is_over(self.state, now) else Finish.HELD

    # Driving

    async def _drive(self) -> Finish:
        while True:
            try:
                return await self._replay_and_live()
            except _Overtaken:
                await self._start_over()
                if self.state.end is not None:  # the run may have been deleted, too
                    return Finish.ENDED

    async def _replay_and_live(self) -> Finish:
        journal = await self._prepared()
        try:
            await self._replay(journal)
            assert self._root is not None, "an execution has claimed its run"
            if journal.left_to_skip:
                raise Diverged(
                    f"The log has {journal.left_to_skip} events that this code did not emit again; "
                    "use the release and definitions that the run was started with."
                )
            if self._calls_nothing and not self._root.done():
                return await self._write_end(stopped_here(journal))
            return await self._live(journal, self._root)
        except Runaway as error:
            return await self._write_end(failure(error))
        except Diverged as error:
            if self._is_thawed:
                raise _Overtaken from error
            if self._calls_nothing:
                return await self._write_end(failure(error))
            return await self._write_last(partial(diverged, self.state, error))

    async def _replay(self, journal: Journal) -> None:
        """Deliver what is on record, and keep none of it."""
        for count, entry in enumerate(self._record(), start=1):
            await self._deliver(journal, entry)
            if count % _REPLAYED_AT_ONCE == 0:
                await asyncio.sleep(0)
            if self._root is None and isinstance(entry.body, Claim):
                self._root = self._begin(journal)
                await self._drain(journal)
        self._entries, self._prefix = [], ()

    async def _prepared(self) -> Journal:
        """The journal; that of a run which is warm or from a snapshot receives the entries since.

        Raises:
            _Overtaken: Run code could not start from its snapshot.
        """
        journal = self._journal
        if journal is None:
            self._journal = journal = Journal(
                RunLoop(), self._origin, skip_events=self.state.emitted
            )
            return journal
        journal.catch_up(self.state.emitted)
        if self._is_thawed:
            self._root = self._begin(journal)
            await self._drain(journal)
            if self._root.done():
                raise _Overtaken
        return journal

    async def _start_over(self) -> None:
        """Forget what run code has received before it was durable, and read the log again."""
        self._close_journal()
        self._is_thawed = False
        self._entries = await self._again(self._log.read)
        self._prefix = await self._again(lambda: read_prefix(self._log, self._entries))
        self._origin = RunOrigin(self.state.spec.seed, (self._prefix or self._entries)[0].at)
        for entry in self._entries[self.state.entries :]:
            self._apply(entry)

    def _keep_warm(self) -> None:
        """Leave run code as it is, if it awaits nothing but people."""
        waiting, journal, root = self.state.waiting, self._journal, self._root
        if waiting is None or waiting.why != "input" or journal is None or root is None:
            return
        self._journal = None
        self.warm = WarmRun(
            state=self.state,
            journal=journal,
            origin=self._origin,
            root=root,
            log_bytes=self._log.size,
            next_snapshot=self._next_snapshot,
        )

    async def _keep_snapshot(self, journal: Journal) -> None:
        """Store the state of run code, which has received exactly the entries so far."""
        code, journal.frozen = journal.frozen, None
        if code is None or self.state.end is not None:
            return
        self._next_snapshot = next_snapshot(self.state.entries)
        with contextlib.suppress(StorageError):  # the next one is as good
            await self._log.put_snapshot(Snapshot(self.state, code).to_json())

    def _record(self) -> list[Entry]:
        """The entries to replay: all, unless a resume has restarted the run."""
        since = self.state.replay_from
        if since:
            return latest_attempt(entry for entry in self._entries if entry.n >= since)
        return latest_attempt([*self._prefix, *self._entries])

    def _begin(self, journal: Journal) -> asyncio.Task[End]:
        """Start run code, at the first claim, after the entries before it have been delivered.

        The context is empty, so that run code cannot depend on the context of this worker.
        """
        context = Context()
        context.run(current_origin.set, self._origin)
        root = journal.loop.create_task(_run_program(self._program, journal), context=context)
        root.add_done_callback(journal.ended)
        return root

    async def _live(self, journal: Journal, root: asyncio.Task[End]) -> Finish:
        self._calls.has_lapsed = self._has_lapsed
        self._gate = gate = Gate(self.state, journal, self._calls, self._is_shut)
        drafts = Drafts(self.state, journal, self._calls, gate)
        self._decision = decision = Decision(
            self.state, journal, self._calls, gate, drafts, self._clock
        )
        self._calls.forget_expiries(journal.open_calls())
        while self.state.end is None:
            if self.state.term_seconds is None and self._has_lapsed():  # nothing renews it
                self._stopping = True
                self._calls.abandon_all()
            self._begin_calls()
            draft = decision.next(root, is_stopping=self._stopping, show=self._show)
            if draft is None:
                await self._rest(decision.wakes_at())
                if self._poked:
                    await self._catch_up(journal)
                continue
            is_delivered = await self._deliver_early(journal, decision, draft)
            entry = await self._append(draft, is_delivered=is_delivered)
            if entry is None:
                await self._catch_up(journal)
                continue
            self._show = False
            drafts.discard(draft)
            if journal.frozen is not None:
                await self._keep_snapshot(journal)
            self._calls.renewed()
            if (finish := _FINISHES.get(type(draft.body))) is not None:
                return finish
            gate.announced_calls += draft.intents
            if not is_delivered:
                await self._deliver(journal, entry)
            entry = None  # its data need no memory while the next calls are made
        return Finish.ENDED  # by another writer: the API may end a cancelled run without a claim

    async def _write_end(self, end: End) -> Finish:
        """End the run outside `_live`."""
        return await self._write_last(lambda _: Draft(*ending(end, self.state)))

    async def _write_last(self, form: Callable[[datetime], Draft]) -> Finish:
        """Write the last entry outside `_live`; a cancel or another owner takes precedence."""
        self._calls.abandon_all()
        while self.state.end is None:
            now = self._clock.now()
            draft = early_end(self.state, now) or form(now)
            if await self._append(draft) is not None:
                return _FINISHES[type(draft.body)]
            await self._caught_up()
        return Finish.ENDED

    async def _append(self, draft: Draft, *, is_delivered: bool = False) -> Entry | None:
        """Write an entry as the owner; waits indefinitely while storage is unavailable.

        Raises:
            _Overtaken: Another writer was first, and run code has received the outcomes.
        """
        body = draft.body
        if isinstance(body, (Wait, Yield)) and (until := body.until) is not None:
            # Before the entry: if the worker died in between, a marker too many would do no harm,
            # but a wait without a marker would never end.
            await self._again(lambda: self._observer.will_wait(until))
        entry = await self._log.append(
            self.state, body, draft.events, epoch=self._epoch, at=draft.at
        )
        if entry is None and is_delivered:
            raise _Overtaken
        return entry

    # Delivering

    def _apply(self, entry: Entry) -> None:
        """Apply an entry of another writer.

        Raises:
            _Fenced: Another worker has claimed the run.
        """
        if self._epoch and entry.epoch > self._epoch:
            raise _Fenced
        if self.state.end is None:  # otherwise it is a trace of the deletion of the run
            self.state.apply(entry)

    async def _deliver_early(self, journal: Journal, decision: Decision, draft: Draft) -> bool:
        """Deliver the outcomes of a draft before it is durable; their entry then has what follows.

        A turn then takes one entry. Until the entry is durable, no call starts and no event leaves.
        If another writer appends first, run code has received outcomes at the wrong place and is
        built anew by a replay. With other calls in flight, or tools that keep a session, that would
        cost more than the entry, so the outcomes are then delivered afterwards.

        Returns:
            Whether the outcomes have been delivered.
        """
        calls = calls_of(draft.body)
        if not calls or self._calls.in_flight or journal.tools.sessions:
            return False
        draft.at = self._origin.time = max(self.state.at, decision.now)
        try:
            await self._deliver_calls(journal, calls[:-1])
            journal.freezes = self.state.entries + 1 >= self._next_snapshot
            await self._deliver_calls(journal, calls[-1:])
        except Runaway:
            await self._store(draft)
            raise
        assert self._root is not None, "run code requested the calls"
        journal.freezes = False
        decision.follow(draft, self._root)
        return True

    async def _store(self, draft: Draft) -> None:
        """Write the outcomes of a draft, whatever other writers do; they have been paid for."""
        while self.state.end is None and await self._append(draft) is None:
            await self._caught_up()

    async def _deliver(self, journal: Journal, entry: Entry) -> None:
        """Deliver the outcomes of an entry to run code, one at a time, with a drain after each."""
        self._origin.time = entry.at
        if isinstance(entry.body, Signal):
            await self._deliver_signal(journal, entry.body)
        records = calls_of(entry.body)
        for record in records:
            if not (record.unawaited or (record.within or record.call_id) in journal.pending):
                raise Diverged(
                    f"The log has the outcome of {record.call_id!r}, which this code does not "
                    "request; use the release and definitions that the run was started with."
                )
        await self._deliver_calls(journal, records)

    async def _deliver_calls(self, journal: Journal, records: Sequence[CallRecord]) -> None:
        for record in records:
            journal.deliver(record)
            if not journal.is_over:
                await self._drain(journal)

    async def _deliver_signal(self, journal: Journal, signal: Signal) -> None:
        answer = journal.receive(signal)
        if answer is not None:
            journal.deliver(answer)
            await self._drain(journal)

    async def _drain(self, journal: Journal) -> None:
        """Run the run's loop until its code waits for calls."""
        await journal.loop.settle()
        for call_id in journal.abandoned:
            self._calls.abandon(call_id)
        journal.abandoned.clear()

    def _begin_calls(self) -> None:
        """Start the calls that may start; none if run code has ended.

        Calls whose intent is durable start even if this worker is stopping: no other worker could
        know that they have not started.
        """
        gate, root = self._gate, self._root
        assert gate is not None and root is not None, "the run is live"
        if gate.announced_calls and not self._has_lapsed():
            gate.begin()
        if not root.done():
            gate.open()

    def _is_shut(self) -> bool:
        """Whether no call starts: this worker stops or may have lost the run, or time is over."""
        decision = self._decision
        is_late = decision is not None and decision.time_is_over()
        return is_late or self._stopping or self._has_lapsed()

    def _has_lapsed(self) -> bool:
        """Whether another worker may have taken over; only the next write can tell."""
        until = self.state.until
        return until is not None and self._clock.now() >= until

    async def _catch_up(self, journal: Journal) -> None:
        self._poked = False
        for entry in await self._read_on():
            self._apply(entry)
            await self._deliver(journal, entry)
        self._calls.forget_expiries(journal.open_calls())

    async def _caught_up(self) -> list[Entry]:
        """The entries of other writers, which have been applied; nothing is executing."""
        entries = await self._read_on()
        for entry in entries:
            self._apply(entry)
        return entries

    async def _read_on(self) -> list[Entry]:
        """The entries after the folded ones."""
        return await self._again(lambda: self._log.read_on(self.state.entries))

    async def _again(self, act: Callable[[], Awaitable[T]]) -> T:
        """Try something until storage responds."""
        return await until_stored(act, ref=self._log.ref, sleep=self._clock.sleep)

    # Waiting

    async def _rest(self, until: float | None) -> None:
        """Wait until a call completes, the log may have grown, or `until` seconds have passed."""
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

    def _close(self) -> None:
        self._calls.close()
        self._close_journal()

    def _close_journal(self) -> None:
        self._gate = self._decision = self._root = None
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()


_FINISHES: dict[type, Finish] = {
    End: Finish.ENDED,
    Yield: Finish.YIELDED,
    Wait: Finish.WAITING,
}


async def _run_program(program: Program, journal: Journal) -> End:
    return await program(journal)
