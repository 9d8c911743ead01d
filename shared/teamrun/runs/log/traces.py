"""The trace of a run: its id, and the spans that its log describes.

Spans are made of entries that this process has appended. A replay appends nothing, so a call has
one span, whatever crashed. Their ids are derived from the run, so a span that another worker ends
has the right parent. Names and attributes are those of OpenTelemetry's conventions for generative
AI: https://opentelemetry.io/docs/specs/semconv/gen-ai/.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal, NamedTuple

from teamrun.core.call import agent_name
from teamrun.core.refs import RunRef
from teamrun.json_types import JsonObject
from teamrun.messages.llm import RequestUsage
from teamrun.runs.log.entries import CallRecord, Claim, End, Entry, Wait, Yield, calls_of
from teamrun.runs.log.kinds import CALL_KINDS
from teamrun.runs.log.spec import RunSpec
from teamrun.runs.log.state import RunState

__all__ = ["ModelOf", "NamedModel", "RunTraces", "Span", "Trace", "trace_of", "traceparent_of"]

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 1
_MOST_RUNS: Final = 20_000


class Trace(NamedTuple):
    """The trace of a run."""

    trace_id: str
    """32 hexadecimal digits."""
    parent_id: str | None = None
    """The span of the client that submitted the run, 16 hexadecimal digits."""
    is_sampled: bool = True
    """Whether the client records the trace."""


class NamedModel(NamedTuple):
    """The model of a profile."""

    provider: str
    """A value of `gen_ai.provider.name`."""
    model: str | None = None
    """The provider's name of it."""


ModelOf = Callable[[str], NamedModel]
"""Returns the model of a profile."""


@dataclass(slots=True)
class Span:
    """A span that has ended."""

    name: str
    operation: Literal["invoke_workflow", "invoke_agent", "chat", "execute_tool"]
    trace: Trace
    span_id: str
    parent_id: str | None
    """None for the span of a run that no client's span contains."""
    start: datetime
    end: datetime
    attributes: dict[str, str | int | float | bool | list[str]] = field(
        default_factory=dict[str, str | int | float | bool | list[str]]
    )
    error: str | None = None
    """The code of the failure."""
    usage: RequestUsage | None = None
    """Of a model call that was sent."""


def traceparent_of(header: str | None) -> str | None:
    """The `traceparent` of a request, or None if it is absent or invalid.

    An invalid one is ignored, as W3C Trace Context requires (https://www.w3.org/TR/trace-context/).
    """
    found = _TRACEPARENT.fullmatch(header or "")
    if found is None or found[1] == "ff" or (found[5] and found[1] == "00"):
        return None
    if not found[2].strip("0") or not found[3].strip("0"):
        return None
    return f"00-{found[2]}-{found[3]}-{found[4]}"


def trace_of(spec: RunSpec) -> Trace:
    """The trace of a run: that of the request, or one of its own."""
    if spec.traceparent is None:
        return Trace(sha256(f"trace {spec.run_id}".encode()).hexdigest()[:32])
    _, trace_id, parent_id, flags = spec.traceparent.split("-")
    return Trace(trace_id, parent_id, bool(int(flags, 16) & _SAMPLED))


def _span_id(run_id: str, *parts: object) -> str:
    return sha256("\0".join(map(str, (run_id, *parts))).encode()).hexdigest()[:16]


class _Turns:
    """The turns of one run that have not ended, as far as this process has seen them begin."""

    def __init__(self, since: datetime) -> None:
        self.since = since
        """When this process began to see the run."""
        self.started: dict[tuple[str, int], datetime] = {}

    def current(self, agent: str, state: RunState) -> int | None:
        """The number of the agent's turn in progress; None if it has none."""
        known = [turn for name, turn in self.started if name == agent]
        if known:
            return max(known)
        # It may have begun in another process.
        progress = state.progress
        return progress.turn if progress.current_agent == agent and progress.turn else None


class RunTraces:
    """Makes the spans of runs from the entries that this process appends.

    Args:
        export: Receives each span when its end is durable.
        model_of: Describes the model of a profile.
    """

    def __init__(self, export: Callable[[Span], None], model_of: ModelOf) -> None:
        self.export: Final = export
        self._model_of = model_of
        self._runs: dict[str, _Turns] = {}

    def appended(self, ref: RunRef, entry: Entry, state: RunState | None) -> None:
        """Export the spans that an entry ends; an observer of the log."""
        if state is None:  # it closed the log of a run that was never accepted
            return
        if isinstance(entry.body, Claim):
            self._runs[ref.run_id] = _Turns(entry.at)
            if len(self._runs) > _MOST_RUNS:  # other processes have taken over the oldest
                del self._runs[next(iter(self._runs))]
        if (turns := self._runs.get(ref.run_id)) is not None:
            self._follow(entry, state, turns)
        if isinstance(entry.body, (End, Wait, Yield)):
            self._runs.pop(ref.run_id, None)
        if isinstance(entry.body, End):
            self.export(_run_span(entry, state, entry.body))

    def _follow(self, entry: Entry, state: RunState, turns: _Turns) -> None:
        told: defaultdict[object, JsonObject] = defaultdict(JsonObject)
        for event in entry.events:
            if event.type == "turn.started" and event.agent is not None:
                turns.started[event.agent, event.data["turn"]] = entry.at
            elif event.type in ("model.call.completed", "tool.call.completed"):
                told[event.data.get("call_id")] = event.data
        for call in calls_of(entry.body):
            if CALL_KINDS[call.kind].counter is not None:  # of a model or a tool
                self.export(self._call_span(call, told[call.call_id], entry, state, turns))
        for event in entry.events:
            if event.type == "turn.completed" and event.agent is not None:
                self.export(_turn_span(event.agent, event.data["turn"], entry, state, turns))

    def _call_span(
        self, call: CallRecord, told: JsonObject, entry: Entry, state: RunState, turns: _Turns
    ) -> Span:
        run_id, path = state.spec.run_id, call.call_id.split("/")
        parent, start = _span_id(run_id), entry.at - timedelta(milliseconds=call.duration_ms)
        member = path[1] if len(path) > 2 else ""
        turn = turns.current(member, state)
        if turn is not None:
            parent = _span_id(run_id, "turn", member, turn)
            # Events are written later than they happen, at most with the call that follows.
            began = turns.started.get((member, turn), turns.since)
            turns.started[member, turn] = min(began, start)
        agent = agent_name(call.call_id.rpartition("/")[0]) if call.within is None else member
        span = Span(
            name=f"execute_tool {call.name}",
            operation="execute_tool",
            trace=trace_of(state.spec),
            span_id=_span_id(run_id, "call", call.call_id, entry.n),
            parent_id=parent,
            start=start,
            end=entry.at,
            error=None if call.error is None else call.error.code,
        )
        span.attributes = {
            **_common(state.spec, "execute_tool"),
            "gen_ai.agent.name": agent,
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.type": "function",
            "teamrun.call.id": call.call_id,
        }
        if (tool_call := told.get("tool_call_id")) is not None:
            span.attributes["gen_ai.tool.call.id"] = str(tool_call)
        if CALL_KINDS[call.kind].is_by_profile:
            self._describe(span, call, told)
        return span

    def _describe(self, span: Span, call: CallRecord, told: JsonObject) -> None:
        """Make it the span of a model call."""
        profile = str(told.get("fallback") or call.name)
        named = self._model_of(profile)
        span.name = f"chat {named.model or profile}"
        span.operation = "chat"
        attributes = span.attributes
        for name in ("gen_ai.tool.name", "gen_ai.tool.type"):
            del attributes[name]
        attributes |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": named.provider,
            "gen_ai.request.model": named.model or profile,
            "teamrun.model.profile": profile,
        }
        if call.model is not None:
            attributes["gen_ai.response.model"] = call.model
        if (reason := told.get("finish_reason")) is not None:
            attributes["gen_ai.response.finish_reasons"] = [str(reason)]
        if told.get("cached"):
            attributes["teamrun.cached"] = True
        if call.cost_usd is not None:
            attributes["teamrun.cost_usd"] = float(call.cost_usd)
        if call.error is not None and call.error.status_code is not None:
            span.error = str(call.error.status_code)
        if (used := call.usage) is not None:
            attributes |= {
                "gen_ai.usage.input_tokens": used.prompt_tokens,
                "gen_ai.usage.output_tokens": used.completion_tokens,
                "gen_ai.usage.cache_read.input_tokens": used.cached_tokens,
            }
            span.usage = None if told.get("cached") else used


def _common(spec: RunSpec, operation: str) -> dict[str, str | int | float | bool | list[str]]:
    common: dict[str, str | int | float | bool | list[str]] = {
        "gen_ai.operation.name": operation,
        "teamrun.run.id": spec.run_id,
        "teamrun.tenant": spec.tenant,
    }
    if spec.thread is not None:
        common["gen_ai.conversation.id"] = spec.thread.thread_id
    return common


def _turn_span(agent: str, turn: int, entry: Entry, state: RunState, turns: _Turns) -> Span:
    run_id = state.spec.run_id
    return Span(
        name=f"invoke_agent {agent}",
        operation="invoke_agent",
        trace=trace_of(state.spec),
        span_id=_span_id(run_id, "turn", agent, turn),
        parent_id=_span_id(run_id),
        start=turns.started.pop((agent, turn), turns.since),
        end=entry.at,
        attributes={
            **_common(state.spec, "invoke_agent"),
            "gen_ai.agent.name": agent,
            "teamrun.turn": turn,
        },
    )


def _run_span(entry: Entry, state: RunState, end: End) -> Span:
    spec, trace, usage = state.spec, trace_of(state.spec), state.usage
    failed = end.status in ("failed", "expired")
    return Span(
        name=f"invoke_workflow {spec.team.name}",
        operation="invoke_workflow",
        trace=trace,
        span_id=_span_id(spec.run_id),
        parent_id=trace.parent_id,
        start=state.started_at or spec.created_at,
        end=entry.at,
        error=(end.stop_code or end.status) if failed else None,
        attributes={
            **_common(spec, "invoke_workflow"),
            "gen_ai.workflow.name": spec.team.name,
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "teamrun.status": end.status,
            "teamrun.stop_code": end.stop_code or "",
        },
    )
