"""What a run says of itself: the events of its log (`docs/reference/events.md` lists the types).

Some come from run code and are said again in a replay (`Narrator`); some belong to a call, and are
written with its record (`call_events`); some mark the run itself.
"""

from datetime import datetime
from typing import Any, Literal

from teamrun.messages import (
    BaseChatMessage,
    HandoffMessage,
    MemoryQueryEvent,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from teamrun.runs.entries import CallRecord, End, ErrorRecord, LoggedEvent
from teamrun.runs.fold import RunState
from teamrun.runs.journal import Journal
from teamrun.runs.output import counts_as_output
from teamrun.runs.spec import RunSpec
from teamrun.runs.usage import Level

__all__ = [
    "Narrator",
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


class Narrator:
    """Turns what a team yields into events of its run; also the team's observer."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def turn_started(self, turn: int, agent: str) -> None:
        """An agent's turn begins."""
        self._journal.turn += 1
        self._journal.emit("turn.started", agent=agent, data={"turn": turn})

    def turn_completed(self, turn: int, agent: str) -> None:
        """An agent's turn is over."""
        self._journal.emit("turn.completed", agent=agent, data={"turn": turn})

    def speaker_selected(self, speakers: list[str]) -> None:
        """The team decided who is next."""
        self._journal.emit("speaker.selected", data={"speakers": speakers})

    def tell(self, item: object) -> None:
        """One item of the stream of a team; what is no event of a run is passed over."""
        match item:
            case BaseChatMessage():  # first: one in each turn, and these checks take a while
                self._say("message.created", item.source, message=item)
                journal = self._journal
                if journal.turn and counts_as_output(item, journal.output_sources):  # not the task
                    journal.latest = item
                if isinstance(item, HandoffMessage):
                    self._say("agent.handed_off", item.source, target=item.target)
            case ToolCallRequestEvent():
                for call in item.content:
                    self._say(
                        "tool.call.requested",
                        item.source,
                        tool_call_id=call.id,
                        tool=call.name,
                        arguments=call.arguments,
                    )
            case ToolCallExecutionEvent():
                self._tell_results(item)
            case ThoughtEvent():
                self._say("thought.created", item.source, content=item.content)
            case MemoryQueryEvent():
                self._say("memory.queried", item.source, content=item.content)
            case _:
                pass

    def _tell_results(self, item: ToolCallExecutionEvent) -> None:
        """Results that no call of the journal stands behind: an unknown tool, a nested team."""
        for result in item.content:
            if result.call_id not in self._journal.journaled_tools:
                self._say(
                    "tool.call.failed" if result.is_error else "tool.call.completed",
                    item.source,
                    tool_call_id=result.call_id,
                    tool=result.name,
                    result=result.content,
                )

    def _say(self, type: str, agent: str, /, **data: Any) -> None:
        self._journal.emit(type, agent=agent, data=data)
