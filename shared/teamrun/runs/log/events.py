"""The events that mark a run and its calls (`docs/reference/events.md` lists the types).

Those of the conversation come from run code: see `teamrun.runs.durable.narrator`.
"""

from datetime import datetime
from typing import Any, Literal

from teamrun.runs.log.entries import CallRecord, End, ErrorRecord, LoggedEvent
from teamrun.runs.log.spec import RunSpec
from teamrun.runs.log.state import RunState
from teamrun.runs.log.usage import Level

__all__ = [
    "accepted_event",
    "call_events",
    "end_event",
    "limit_event",
    "paused_event",
    "received_event",
    "resumed_event",
    "retried_event",
    "started_event",
]


def _event(type: str, agent: str | None = None, /, **data: Any) -> LoggedEvent:
    return LoggedEvent(type=type, agent=agent, data=data)


def accepted_event(spec: RunSpec) -> LoggedEvent:
    """The run was accepted: it is queued, or begins at a time of its own."""
    if spec.run_at is not None:
        return _event("run.scheduled", team=spec.team.name, run_at=spec.run_at)
    return _event("run.queued", team=spec.team.name)


def retried_event(error: ErrorRecord, attempt: int, until: datetime) -> LoggedEvent:
    """The run failed for a reason that may pass, and is tried again."""
    return _event("run.retried", attempt=attempt, retry_at=until, error=error)


def limit_event(type: Literal["limit.warned", "limit.reached"], level: Level) -> LoggedEvent:
    """A limit is near, or reached."""
    return _event(type, kind=level.kind, used=level.used, limit=level.limit)


def started_event(state: RunState) -> LoggedEvent:
    """A worker took the run up for the first time."""
    return _event("run.started", team=state.spec.team.name)


def received_event(agent: str | None, action_id: str, decision: str) -> LoggedEvent:
    """Somebody has answered a question."""
    return _event("run.input_received", agent, action_id=action_id, decision=decision)


def resumed_event() -> LoggedEvent:
    """A paused run may go on."""
    return _event("run.resumed")


def paused_event(error: ErrorRecord | None = None) -> LoggedEvent:
    """The run stands still until it is resumed; `error` says why, where something is wrong."""
    return _event("run.paused") if error is None else _event("run.paused", error=error)


def end_event(end: End) -> LoggedEvent:
    """The run has ended, one way or another."""
    data: dict[str, Any] = {"stop_reason": end.stop_reason, "stop_code": end.stop_code}
    if end.output is not None:
        data["output"] = end.output
    if end.error is not None:
        data["error"] = end.error
    return LoggedEvent(type=f"run.{end.status}", agent=None, data=data)


def call_events(record: CallRecord, *, agent: str, detail: dict[str, Any]) -> list[LoggedEvent]:
    """A call has completed, and these are the files that it left.

    Args:
        record: Of the call.
        agent: Name of the agent that made it.
        detail: What the event says about the call besides.
    """
    if record.kind == "input":  # nobody answered; an answer is told with the signal that brings it
        return [received_event(agent, record.call_id, "expired")]
    data: dict[str, Any] = {
        "call_id": record.call_id,
        record.kind: record.name,
        "duration_ms": record.duration_ms,
        **detail,
    }
    if record.error is not None:
        data["error"] = record.error
    if record.usage is not None:
        data["usage"] = record.usage
    if record.cost_usd is not None:
        data["cost_usd"] = record.cost_usd
    if record.unawaited:
        data["unawaited"] = True
    told = "failed" if record.error is not None else "completed"
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
    events.append(LoggedEvent(type=f"{record.kind}.call.{told}", agent=agent, data=data))
    return events
