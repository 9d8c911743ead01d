"""Admission: whether a call that run code requests may start, given pauses, limits and intents.

Requesting a call and starting it are separate, because run code is a pure function of the log. It
must not observe that a run is paused or at its limit, or a replay under other limits would take
another path. A call that may not start stays pending; run code simply waits.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from teamrun.core.call import agent_name
from teamrun.errors import Diverged
from teamrun.runs.engine.calls import Calls
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import PendingCall
from teamrun.runs.log.entries import CallRecord, LoggedEvent
from teamrun.runs.log.events import limit_event
from teamrun.runs.log.state import RunState
from teamrun.runs.log.usage import Level, RunUsage, count, has_counts, levels

__all__ = ["Gate"]


class Gate:
    """Admits the calls of one execution.

    Args:
        state: The state of the run.
        journal: The calls that run code requests.
        calls: The calls in flight.
        is_shut: Whether no call starts, since this worker stops or may have lost the run, or since
            the time of the run is over.
    """

    def __init__(
        self,
        state: RunState,
        journal: Journal,
        calls: Calls,
        is_shut: Callable[[], bool],
    ) -> None:
        self._state = state
        self._journal = journal
        self._calls = calls
        self._is_shut = is_shut
        self._warned = set(state.warned)
        self._limits = state.limits
        self._has_limits = has_counts(state.limits)
        self.intended: list[PendingCall] = []
        """Calls with outside effects that wait until their intent is durable."""
        self.announced_calls: list[PendingCall] = []
        """Those whose intent is durable; `begin` starts them."""
        self.reached: Level | None = None
        """The limit that prevents the next call from starting."""
        self._refused: PendingCall | None = None
        calls.is_limited = self._is_limited

    def open(self) -> None:
        """Start every call that may start; the others stay pending.

        Raises:
            Diverged: A call that had already started is requested with other arguments.
        """
        self.reached = self._refused = None
        fresh, pending = self._journal.fresh, self._journal.pending
        if self.intended:
            self.intended = [call for call in self.intended if pending.get(call.call_id) is call]
        if not fresh:
            return
        if self._holds_all():
            self._refused = next(self._unbegun(), None)
            return
        waiting: list[PendingCall] = []
        # After a lost race, outcomes that are not recorded yet belong to calls that are new here.
        outcomes = self._calls.done and {done.call.call_id for done in self._calls.done}
        for call in fresh:
            if pending.get(call.call_id) is not call or call.call_id in outcomes:
                continue
            # Once a limit is reached, no later call starts, even one that the limit does not
            # concern: calls start in the order in which run code requested them.
            if self.reached is not None or self._is_limited(call):
                waiting.append(call)
            elif call.perform is not None:  # a question has nothing to start
                self._admit(call)
        self._journal.fresh = waiting

    def foresee(self, records: Sequence[CallRecord]) -> None:
        """Find the first call that will not start once these outcomes are durable."""
        self.reached = self._refused = None
        if self._holds_all():
            self._refused = next(self._unbegun(), None)
            return
        if not self._is_counted():
            return
        usage = copy.deepcopy(self._state.usage)
        for record in records:
            count(usage, record)
        under_way = dict[str, int]()
        pending = self._journal.pending
        for call in self._journal.fresh:
            if pending.get(call.call_id) is not call:  # run code no longer awaits it
                continue
            reached = [each for each in self._levels(call, usage, under_way) if each.is_reached]
            if reached:
                self.reached, self._refused = reached[0], call
                return
            if call.perform is not None:
                under_way[call.kind] = under_way.get(call.kind, 0) + 1

    def exceeded(self) -> Level | None:
        """The limit at which all calls under way wait, inside turns of custom agents.

        Such a turn waits for its call, so it cannot complete and has to be cut short. Other calls
        complete first, as they do at a limit of any call: their outcomes have been paid for.
        """
        if not self._calls.are_stuck():
            return None
        if any(self._is_limited(call) for call in self._calls.inside):
            return self.reached
        self._calls.make_room()  # a resume may have raised the limit that they wait for
        return None

    def _holds_all(self) -> bool:
        """Whether no call starts, whatever the limits are."""
        return self._state.is_paused or self._state.cancel is not None or self._is_shut()

    def _unbegun(self) -> Iterator[PendingCall]:
        """The calls that have not started, where no call starts."""
        pending = self._journal.pending
        for call in self._journal.fresh:
            if call.perform is not None and pending.get(call.call_id) is call:
                yield call

    def announced(self) -> list[LoggedEvent]:
        """The events of run code, up to the first call that does not start.

        Run code emits an event before it requests the call. If a limit, a pause, a cancel or the
        end of this worker prevents the call, its event would describe something that has not
        happened. A turn whose first call does not start is left out too. If the run continues
        later, the replay emits the rest. A call that run code no longer awaits, such as that of a
        cancelled competitor, holds nothing back.
        """
        events, level, refused = self._journal.events, self.reached, self._refused
        if refused is not None and self._journal.pending.get(refused.call_id) is not refused:
            refused = next(self._unbegun(), None)
        if refused is None:
            return events[:]
        if level is not None and level.kind == "max_turns":
            turns = (n for n, event in enumerate(events) if event.type == "turn.started")
            return events[: max(turns, default=len(events))]
        # The event of the first may be in the log already, while those of later ones are not.
        last = {event.data.get("call_id"): n for n, event in enumerate(events)}
        held = {refused.call_id, *self._held_behind(refused)}
        n = min((last[call_id] for call_id in held if call_id in last), default=len(events))
        if 0 < n < len(events) and events[n - 1].type == "turn.started":
            n -= 1
        return events[:n]

    def _held_behind(self, refused: PendingCall) -> Iterator[str]:
        """The calls that do not start either, since calls start in the order of their requests."""
        fresh = self._journal.fresh
        start = fresh.index(refused) + 1 if refused in fresh else len(fresh)
        return (call.call_id for call in fresh[start:] if call.perform is not None)

    def begin(self) -> None:
        """Start the calls whose intent is durable.

        Not earlier: if the worker died, nothing would show that the call may have taken effect, and
        it would be made again.
        """
        calls, self.announced_calls = self.announced_calls, []
        for call in calls:
            self.intended.remove(call)
            if self._journal.pending.get(call.call_id) is call:
                self._calls.start(call)

    def _admit(self, call: PendingCall) -> None:
        if call.arguments_digest is None:
            self._calls.start(call)
            return
        begun = self._state.intents.get(call.call_id)
        if begun is None:
            self.intended.append(call)
        elif begun == call.arguments_digest:
            # A previous worker started it and recorded no outcome. It may have taken effect, so it
            # is not repeated.
            self._calls.leave_unknown(call)
        else:
            raise Diverged(
                f"{call.call_id!r} was started with arguments that differ from those of this code; "
                "use the release and definitions that the run was started with."
            )

    def _is_limited(self, call: PendingCall) -> bool:
        if not self._is_counted():
            return False
        # Usage counts recorded calls only. Calls in flight count as well, or calls that are
        # requested together would all pass a limit that has room for one.
        under_way = self._calls.under_way()
        for waiting in self.intended:
            under_way[waiting.kind] = under_way.get(waiting.kind, 0) + 1
        for level in self._levels(call, self._state.usage, under_way):
            if level.is_reached:
                self.reached, self._refused = level, call
                return True
            if level.is_near and level.kind not in self._warned:
                self._warned.add(level.kind)
                self._calls.events.append(limit_event("limit.warned", level))
        return False

    def _is_counted(self) -> bool:
        """Whether the run has limits that calls count against."""
        if self._state.limits is not self._limits:  # a resume has raised them
            self._limits = self._state.limits
            self._has_limits = has_counts(self._limits)
        return self._has_limits

    def _levels(
        self, call: PendingCall, usage: RunUsage, under_way: Mapping[str, int]
    ) -> Iterable[Level]:
        return levels(
            self._state.limits,
            usage,
            agent=agent_name(call.agent),
            kind=call.kind,
            turn=self._journal.transcript.turn,
            under_way=under_way,
        )
