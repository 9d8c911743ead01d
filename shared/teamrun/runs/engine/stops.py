"""Entries that stop a run before its code continues, or because its code cannot continue."""

from datetime import datetime, timedelta

from teamrun.errors import Diverged, RunError
from teamrun.runs.engine.drafts import Draft
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.outcomes import error_record
from teamrun.runs.log.entries import End, Wait, Yield
from teamrun.runs.log.events import ending, ending_of_cancel, paused_event, retried_event
from teamrun.runs.log.state import RunState

__all__ = ["diverged", "early_end", "stopped_here"]

_POISON_CLAIMS = 5
"""Consecutive claims without progress after which a run fails."""

_IDLE_YIELDS = 20
"""Consecutive hand-overs without a completed call after which a run fails."""

_DIVERGED_PAUSE = timedelta(minutes=1)
"""The wait before another worker tries a run whose log does not match this worker's code."""

_DIVERGED_PATIENCE = timedelta(hours=1)
"""How long other workers try such a run before it is paused; a deployment may take that long."""


def early_end(state: RunState, now: datetime) -> Draft | None:
    """The end of a run that is cancelled, has expired or makes no progress; None otherwise."""
    if (cancelling := ending_of_cancel(state)) is not None:
        return Draft(*cancelling)
    expires_at = state.spec.expires_at
    if state.epoch == 0 and expires_at is not None and now >= expires_at:
        return Draft(*ending(End(status="expired", stop_code="expired"), state))
    if state.idle_claims >= _POISON_CLAIMS:
        return _given_up(
            state,
            "poison",
            f"{_POISON_CLAIMS} workers in a row stopped while executing this run; "
            "check their logs, then retry the run.",
        )
    if state.idle_yields >= _IDLE_YIELDS:
        return _given_up(
            state,
            "no_progress",
            f"The run was handed over {_IDLE_YIELDS} times without completing a call; "
            "its calls take longer than its workers have. Give workers a longer grace period, and "
            "functions a longer time limit, then retry the run.",
        )
    return None


def diverged(state: RunState, error: Diverged, now: datetime) -> Draft:
    """Hand the run over to workers whose code may match the log; after an hour, pause it.

    During a rolling deployment, workers of the previous release can still continue the run.
    """
    since = state.diverged_since
    if since is not None and now - since >= _DIVERGED_PATIENCE:
        return Draft(Wait(why="diverged"), [paused_event(error_record(error))])
    until = now + _DIVERGED_PAUSE
    events = [retried_event(error_record(error), state.attempts, until)]
    if state.is_paused:
        events.append(paused_event())
    return Draft(Yield(why="diverged", until=until), events)


def stopped_here(journal: Journal) -> End:
    """The end of a replay whose log is over before run code is."""
    waits = ", ".join(sorted(journal.pending)) or "nothing of this run"
    return End(
        status="failed", stop_code="stopped_here", stop_reason=f"The code waits for {waits}."
    )


def _given_up(state: RunState, code: str, why: str) -> Draft:
    error = error_record(RunError(why)).model_copy(update={"code": code})
    end = End(status="failed", stop_reason=why, stop_code=code, error=error)
    return Draft(*ending(end, state))
