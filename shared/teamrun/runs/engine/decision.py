"""Decides what the owner of a run writes next.

Nothing is remembered from one decision to the next: each is made from the folded state, the journal
and the calls. After a lost race, the decision is made again with the foreign entry applied, and
must not depend on the one that was dropped.

The order of the checks matters. An ownership that is about to lapse is renewed before anything
else, because the entry ends nothing. Then:

1. A cancel comes first. Once it is acknowledged, clients must not see the run complete.
2. Completed calls are recorded before the run ends, because they have been paid for.
3. If run code has ended, the run ends, even if a time limit has passed in the meantime.
4. A time limit comes before a hand-over, which would otherwise extend it.
"""

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

from teamrun.core.clock import Clock
from teamrun.errors import RunError
from teamrun.runs.engine.admission import Gate
from teamrun.runs.engine.calls import Calls
from teamrun.runs.engine.drafts import Draft, Drafts
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.outcomes import error_record
from teamrun.runs.log.entries import End, Signal, Wait, Yield
from teamrun.runs.log.events import cancelled, limit_event, paused_event, retried_event
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.output import output_of_message
from teamrun.runs.log.state import RunState
from teamrun.runs.log.usage import Level

__all__ = ["Decision", "failure"]

_SHOW_EVENTS_AFTER = 0.05
"""How long an event waits, in seconds, so that it can share the entry of a call that completes.

Each entry costs a write to object storage.
"""


_SHOW_PROGRESS_AFTER = 1.0
"""The minimum number of seconds between entries that contain only progress of calls in flight."""


class _TimeLimit(NamedTuple):
    at: datetime
    level: Level


def failure(error: BaseException) -> End:
    """The end of a run that failed with this exception."""
    record = error_record(error)
    return End(status="failed", stop_reason=record.message, stop_code=record.code, error=record)


class Decision:
    """Decides for one execution."""

    def __init__(
        self,
        state: RunState,
        journal: Journal,
        calls: Calls,
        gate: Gate,
        drafts: Drafts,
        clock: Clock,
    ) -> None:
        self._state = state
        self._journal = journal
        self._calls = calls
        self._gate = gate
        self._drafts = drafts
        self._clock = clock
        self.now = state.at
        """The time of the last decision."""
        self._cut: tuple[Limits, Level] | None = None
        """The limits by which calls inside turns were cut short, and the one that was reached."""

    def next(self, root: asyncio.Task[End], *, is_stopping: bool, show: bool) -> Draft | None:
        """The entry to write now, if any.

        Args:
            root: The task of run code.
            is_stopping: The worker is shutting down.
            show: The new events have waited long enough.

        Returns:
            None if nothing is to be written until a call completes or the log grows.
        """
        self.now = self._clock.now()
        if (renew_at := self._renew_at()) is not None and self.now >= renew_at:
            return self._drafts.step()
        if (cancel := self._state.cancel) is not None:
            return self._cancelled(cancel)
        if self._calls.done:
            return self._drafts.step()
        if root.done():
            return self._ended(root)
        if (exceeded := self._exceeded()) is not None:
            return self._cut_short(self._at_limit(exceeded))
        if self._expire():
            return self._drafts.step()
        if is_stopping and not self._state.is_paused:
            shutdown = Yield(why="shutdown")
            return None if self._calls.in_flight else self._drafts.closing(shutdown)
        if self._gate.intended and not self._state.is_paused:
            return self._drafts.intent(self._gate.intended)
        if show and (self._calls.events or self._gate.announced()):
            return self._drafts.step()
        return None if self._calls.in_flight else self._idle()

    def follow(self, draft: Draft, root: asyncio.Task[End]) -> None:
        """Complete a draft whose outcomes run code has received: what it has emitted, or its end.

        A failure has an entry of its own, because it may be retried. So has the end after a call
        with outside effects, because that call's outcome decides what the end reports.
        """
        self._drafts.follow(draft)
        if not root.done() or self._state.cancel is not None or self._state.intents:
            return
        if root.cancelled() or root.exception() or self._journal.loop.failure:
            return
        self._drafts.conclude(draft, self._with_unread(root.result()))

    def wakes_at(self) -> float | None:
        """Seconds until there may be a decision to make even if nothing happens.

        Times that have passed do not count, because the decision that they led to has been made.
        Otherwise a call that is slow to cancel would keep the worker in a busy loop.
        """
        wait = _SHOW_PROGRESS_AFTER if self._calls.events else None
        if self._gate.announced():
            wait = _SHOW_EVENTS_AFTER
        over = self._time_limit()
        times = [*self._expiries(), over and over.at, self._renew_at()]
        ahead = [time for time in times if time is not None and time > self.now]
        if not ahead:
            return wait
        left = max((min(ahead) - self._clock.now()).total_seconds(), 0)
        return left if wait is None else min(wait, left)

    def _renew_at(self) -> datetime | None:
        """When this worker has to write an entry, even an empty one, to remain the owner."""
        until, term_seconds = self._state.until, self._state.term_seconds
        if until is None or term_seconds is None:
            return None
        return until - timedelta(seconds=term_seconds / 2)

    def _cancelled(self, cancel: Signal) -> Draft | None:
        over = self._time_limit()
        is_late = over is not None and self.now >= over.at
        if cancel.mode == "graceful" and not is_late:
            if self._calls.done:
                return self._drafts.step()
            if self._calls.in_flight:
                return None
        return self._cut_short(self._drafts.closing(self._with_unread(cancelled(cancel))))

    def _cut_short(self, draft: Draft) -> Draft | None:
        """Cancel the calls in flight and record their outcomes, then write the draft.

        A cancelled call may have used tokens, and a write may have taken effect.
        """
        self._calls.abandon_all()
        if self._calls.in_flight:
            return None
        return self._drafts.step() if self._calls.done else draft

    def _idle(self) -> Draft:
        """No call is in flight: the run is at a limit, is paused, waits for people, or is stuck."""
        if self._gate.reached is not None:
            return self._at_limit(self._gate.reached)
        if self._state.is_paused:
            return self._drafts.closing(Wait(why="paused"), paused_event())
        if any(call.perform is not None for call in self._journal.pending.values()):
            # The call was cut short at a limit that has been raised since. A new execution makes
            # it, because this one no longer knows whether it had started.
            return self._drafts.closing(Yield(why="shutdown"))
        if not self._journal.pending:
            stalled = RunError(
                "The team awaits something other than a model, tool or person of this run."
            )
            return self._drafts.closing(failure(stalled))
        until = min(self._expiries(), default=None)
        return self._drafts.closing(Wait(why="input", until=until))

    def _at_limit(self, level: Level) -> Draft:
        reached = limit_event("limit.reached", level)
        if self._state.limits.on_limit == "pause" and level.kind != "deadline":
            return self._drafts.closing(Wait(why="limit"), reached, paused_event())
        latest = self._journal.transcript.latest
        reason = f"The limit {level.kind} of {level.limit_text} was reached."
        end = End(
            status="incomplete",
            stop_reason="The deadline has passed." if level.kind == "deadline" else reason,
            stop_code=level.code,
            output=None if latest is None else output_of_message(latest),
        )
        return self._drafts.closing(self._with_unread(end), reached)

    def _ended(self, root: asyncio.Task[End]) -> Draft:
        broken = self._journal.loop.failure
        error = asyncio.CancelledError() if root.cancelled() else root.exception() or broken
        if error is None:
            return self._drafts.closing(self._with_unread(root.result()))
        end = failure(error)
        assert end.error is not None, "a failure has an error"
        journal = self._journal
        undo = journal.failures.undo(end.error)
        # Without an undo, a retry would replay to the same failure.
        if undo is not None and end.error.retryable:
            policy, attempts = self._state.spec.retry, self._state.attempts
            if attempts < policy.max_attempts:
                until = self.now + timedelta(seconds=policy.delay(attempts))
                events = (
                    *journal.questions.reverting_to(journal.failures.asked_before),
                    retried_event(end.error, attempts + 1, until),
                    *([paused_event()] if self._state.is_paused else []),
                )
                return self._drafts.closing(Yield(why="retry", until=until, undo=undo), *events)
        return self._drafts.closing(self._with_unread(end.model_copy(update={"undo": undo})))

    def _expire(self) -> bool:
        """Record the expiry of questions whose time is over; True if there are any.

        The expiry is an outcome in the log, so that the log decides between it and a late answer.
        """
        for call in self._journal.pending.values():
            if call.expires_at is not None and call.expires_at <= self.now:
                self._calls.expire(call)
        return bool(self._calls.done)

    def _expiries(self) -> list[datetime]:
        pending = self._journal.pending.values()
        return [call.expires_at for call in pending if call.expires_at is not None]

    def _exceeded(self) -> Level | None:
        """The limit that cuts the run short, although calls are in flight."""
        over = self._time_limit()
        if over is not None and self.now >= over.at:
            return over.level
        limits = self._state.limits
        # The decision stands when the calls have been cancelled, and no longer wait at the limit.
        if self._cut is None or self._cut[0] is not limits:  # a resume has raised them
            level = self._gate.exceeded()
            self._cut = level and (limits, level)
        return self._cut and self._cut[1]

    def time_is_over(self) -> bool:
        """Whether the run has reached its time limit."""
        over = self._time_limit()
        return over is not None and self._clock.now() >= over.at

    def _time_limit(self) -> _TimeLimit | None:
        """The earliest time at which a limit ends the run.

        `timeout_seconds` counts execution time only; the deadline is wall-clock time.
        """
        state = self._state
        if state.limits.timeout_seconds is None and state.spec.deadline is None:
            return None
        found = list[_TimeLimit]()
        if (seconds := state.limits.timeout_seconds) is not None:
            at = state.at + timedelta(seconds=seconds - state.seconds)
            found.append(_TimeLimit(at, Level("timeout_seconds", seconds, seconds)))
        if (deadline := state.spec.deadline) is not None:
            given = (deadline - state.spec.created_at).total_seconds()
            found.append(_TimeLimit(deadline, Level("deadline", given, given)))
        return min(found, default=None)

    def _with_unread(self, end: End) -> End:
        unread = [signal.content or "" for signal in self._journal.unread]
        return end.model_copy(update={"unread": unread})
