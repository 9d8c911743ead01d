"""What stands between a call that run code asks for and its beginning: limits, pause, intents."""

from collections.abc import Iterator

from teamrun.core.call import agent_name
from teamrun.errors import Diverged
from teamrun.runs.engine.calls import Calls
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import PendingCall
from teamrun.runs.log.entries import LoggedEvent
from teamrun.runs.log.events import limit_event
from teamrun.runs.log.state import RunState
from teamrun.runs.log.usage import Level, has_counts, levels

__all__ = ["Gate"]


class Gate:
    """Lets the calls of one execution begin, each when it may."""

    def __init__(self, state: RunState, journal: Journal, calls: Calls) -> None:
        self._state = state
        self._journal = journal
        self._calls = calls
        self._warned = set(state.warned)
        self._limits = state.limits
        self._has_limits = has_counts(state.limits)
        self.intended: list[PendingCall] = []
        """Calls with outside effects that wait for their intent to be durable."""
        self.reached: Level | None = None
        """The limit that keeps the next call from beginning."""
        self._refused: PendingCall | None = None
        calls.is_limited = self._is_limited

    def open(self) -> None:
        """Let every call begin that may; the others stay.

        Raises:
            Diverged: A call that was begun before is asked for with other arguments.
        """
        self.reached = self._refused = None
        if not (self._journal.fresh or self.intended):
            return
        pending = self._journal.pending
        self.intended = [call for call in self.intended if pending.get(call.call_id) is call]
        if self._state.is_paused or self._state.cancel is not None:
            self._refused = next(self._unbegun(), None)
            return
        fresh, waiting = self._journal.fresh, list[PendingCall]()
        for call in fresh:
            if pending.get(call.call_id) is not call:
                continue
            if self.reached is not None or self._is_limited(call):
                waiting.append(call)
            elif call.perform is not None:  # a question waits for its answer by itself
                self._admit(call)
        self._journal.fresh = waiting

    def exceeded(self) -> Level | None:
        """The limit that keeps a call inside of another one from beginning, which waits for it."""
        if any(self._is_limited(call) for call in self._calls.inside):
            return self.reached
        return None

    def _unbegun(self) -> Iterator[PendingCall]:
        """The calls that a pause or a cancel keeps from beginning."""
        pending = self._journal.pending
        for call in self._journal.fresh:
            if call.perform is not None and pending.get(call.call_id) is call:
                yield call

    def announced(self) -> list[LoggedEvent]:
        """What run code has reported, up to the first call that does not begin.

        A limit, a pause or a cancel keeps it from beginning. A turn whose first call does not begin
        is not announced either. A run that goes on later reports the rest then.
        """
        events, level, refused = self._journal.events, self.reached, self._refused
        if refused is None:
            return events[:]
        is_turn = level is not None and level.kind == "max_turns"
        for n in range(len(events) - 1, -1, -1):
            event = events[n]
            if event.type == "turn.started" and is_turn:
                return events[:n]
            if not is_turn and event.data.get("call_id") == refused.call_id:
                begins_turn = n > 0 and events[n - 1].type == "turn.started"
                return events[: n - begins_turn]
        return events[:]

    def begin(self, calls: tuple[PendingCall, ...]) -> None:
        """The intent of these calls is durable."""
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
            self._calls.leave_unknown(call)
        else:
            raise Diverged(
                f"{call.call_id!r} was begun with other arguments than this code gives it; "
                "use the release and definitions that began the run."
            )

    def _is_limited(self, call: PendingCall) -> bool:
        if self._state.limits is not self._limits:  # raised when the run was resumed
            self._limits = self._state.limits
            self._has_limits = has_counts(self._limits)
        if not self._has_limits:
            return False
        under_way = self._calls.under_way()
        for waiting in self.intended:
            under_way[waiting.kind] = under_way.get(waiting.kind, 0) + 1
        for level in levels(
            self._state.limits,
            self._state.usage,
            agent=agent_name(call.agent),
            kind=call.kind,
            turn=self._journal.turn,
            under_way=under_way,
        ):
            if level.is_reached:
                self.reached, self._refused = level, call
                return True
            if level.is_near and level.kind not in self._warned:
                self._warned.add(level.kind)
                self._calls.events.append(limit_event("limit.warned", level))
        return False
