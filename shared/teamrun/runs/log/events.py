"""The events of a run and its calls (`docs/reference/events.md` lists the types), and its end.

Run code emits the events of the conversation; see `teamrun.runs.durable.narrator`.
"""

from datetime import datetime
from typing import Any, Literal, NamedTuple

from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import CallRecord, End, ErrorRecord, LoggedEvent, Signal
from teamrun.runs.log.kinds import CALL_KINDS
from teamrun.runs.log.spec import RunSpec
from teamrun.runs.log.state import RunState
from teamrun.runs.log.usage import Level

__all__ = [
    "Ending",
    "accepted_event",
    "call_events",
    "cancelled",
    "end_event",
    "ending",
    "ending_of_cancel",
    "limit_event",
    "paused_event",
    "received_event",
    "resumed_event",
    "retried_event",
    "started_event",
]


def _event(type: str, agent: str | None = None, /, **data: Any) -> LoggedEvent:
    return LoggedEvent(type, agent, data)


def accepted_event(spec: RunSpec) -> LoggedEvent:
    """The run was accepted: it is queued, or scheduled for a later time."""
    if spec.run_at is not None:
        return _event("run.scheduled", team=spec.team.name, run_at=spec.run_at)
    return _event("run.queued", team=spec.team.name)


def retried_event(error: ErrorRecord, attempt: int, until: datetime) -> LoggedEvent:
    """The run had a transient failure and will be retried."""
    return _event("run.retried", attempt=attempt, retry_at=until, error=error)


def limit_event(type: Literal["limit.warned", "limit.reached"], level: Level) -> LoggedEvent:
    """A limit is nearly reached, or reached."""
    return _event(type, kind=level.kind, used=level.used, limit=level.limit)


def started_event(state: RunState) -> LoggedEvent:
    """A worker claimed the run for the first time."""
    return _event("run.started", team=state.spec.team.name)


def received_event(agent: str | None, action_id: str, decision: str) -> LoggedEvent:
    """A question was answered, withdrawn or has expired."""
    return _event("run.input_received", agent, action_id=action_id, decision=decision)


def resumed_event() -> LoggedEvent:
    """A paused run was resumed."""
    return _event("run.resumed")


def paused_event(error: ErrorRecord | None = None) -> LoggedEvent:
    """The run is paused until it is resumed; `error` is the reason if something is wrong."""
    return _event("run.paused") if error is None else _event("run.paused", error=error)


def end_event(end: End) -> LoggedEvent:
    """The run has ended, with any status."""
    data: JsonObject = {"stop_reason": end.stop_reason, "stop_code": end.stop_code}
    if end.output is not None:
        data["output"] = end.output
    if end.error is not None:
        data["error"] = end.error
    return LoggedEvent(type=f"run.{end.status}", agent=None, data=data)


def call_events(record: CallRecord, *, agent: str, detail: JsonObject) -> list[LoggedEvent]:
    """A call has completed, and has stored these files.

    Args:
        record: The record of the call.
        agent: The name of the agent that made it.
        detail: Additional data for the event.
    """
    if CALL_KINDS[record.kind].is_question:  # expired; the entry of an answer has its own event
        return [received_event(agent, record.call_id, "expired")]
    if CALL_KINDS[record.kind].is_silent:
        return []
    data: JsonObject = {
        "call_id": record.call_id,
        record.kind: record.name,
        "duration_ms": record.duration_ms,
        **detail,
    }
    if record.error is not None:
        data["error"] = record.error
    if (used := record.usage) is not None:
        # As a dict, which is written faster than an object whose class is unknown.
        data["usage"] = {
            "prompt_tokens": used.prompt_tokens,
            "completion_tokens": used.completion_tokens,
            "cached_tokens": used.cached_tokens,
            "reasoning_tokens": used.reasoning_tokens,
        }
    if record.cost_usd is not None:
        data["cost_usd"] = record.cost_usd
    if record.unawaited:
        data["unawaited"] = True
    ended = "failed" if record.error is not None else "completed"
    events = [
        _event(
            "artifact.created",
            agent,
            name=artifact.name,
            version=artifact.version,
            media_type=artifact.media_type,
            size=artifact.size,
            call_id=record.call_id,
        )
        for artifact in record.artifacts
    ]
    events.append(LoggedEvent(f"{record.kind}.call.{ended}", agent, data))
    return events


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
