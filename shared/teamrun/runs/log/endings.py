"""The last entry of a run whose code is not executing, formed from the state alone."""

from typing import NamedTuple

from teamrun.runs.log.entries import End, LoggedEvent, Signal
from teamrun.runs.log.events import end_event
from teamrun.runs.log.state import RunState

__all__ = ["Ending", "cancelled", "ending", "ending_of_cancel"]


class Ending(NamedTuple):
    """The last entry of a run, formed from its state alone."""

    body: End
    events: list[LoggedEvent]


def ending(end: End, state: RunState) -> Ending:
    """The end of a run whose code is not executing."""
    end = end.model_copy(update={"unknown_outcomes": state.doubtful()})
    return Ending(end, [end_event(end)])


def ending_of_cancel(state: RunState) -> Ending | None:
    """The end of a run that is being cancelled; it takes precedence over any other entry."""
    if state.cancel is None:
        return None
    return ending(cancelled(state.cancel), state)


def cancelled(signal: Signal) -> End:
    """The end that a cancel requests."""
    return End(status="cancelled", stop_reason=signal.reason, stop_code="cancelled")
