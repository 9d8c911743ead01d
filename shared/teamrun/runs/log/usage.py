"""The usage of a run, counted from its log, and how close it is to the limits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from teamrun.runs.log.entries import CallRecord
from teamrun.runs.log.limits import AgentLimits, Limits

__all__ = ["Level", "RunUsage", "Usage", "count", "has_counts", "levels"]


@dataclass(slots=True, kw_only=True)
class Usage:
    """The usage of a run."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    cost_usd: Decimal | None = None
    """US dollars, for models whose price is known; None if no price is known."""


@dataclass(slots=True, kw_only=True)
class RunUsage(Usage):
    """The usage of a run, by agent and by model."""

    by_agent: dict[str, Usage] = field(default_factory=dict[str, Usage])
    by_model: dict[str, Usage] = field(default_factory=dict[str, Usage])
    """By the name of the model profile, as in the events of calls."""


WARN_AT = 0.8
"""The fraction of a limit at which `limit.warned` is emitted."""


CODES = {"max_cost_usd": "budget_exceeded", "timeout_seconds": "timeout"}
"""Stop codes that differ from the name of the limit."""


def count(usage: RunUsage, call: CallRecord) -> None:
    """Add a recorded call."""
    agent = (call.within or call.call_id).split("/")[-2]
    counted = [usage, usage.by_agent.setdefault(agent, Usage())]
    if call.kind == "model":
        counted.append(usage.by_model.setdefault(call.name, Usage()))
    for each in counted:
        _add(each, call)


def _add(usage: Usage, call: CallRecord) -> None:
    usage.model_calls += call.kind == "model"
    usage.tool_calls += call.kind == "tool"
    if (used := call.usage) is not None:
        usage.input_tokens += used.prompt_tokens
        usage.output_tokens += used.completion_tokens
        usage.cached_tokens += used.cached_tokens
        usage.reasoning_tokens += used.reasoning_tokens
    if call.cost_usd is not None:
        usage.cost_usd = (usage.cost_usd or Decimal(0)) + call.cost_usd


class Level(NamedTuple):
    """The usage of one limit."""

    kind: str
    """The name of the limit, after the agent's name if it is an agent's: `writer.max_tokens`."""
    used: float
    """A whole number for counts; US dollars or seconds for the rest."""
    limit: float

    @property
    def is_reached(self) -> bool:
        """Whether the limit is used up."""
        return self.used >= self.limit

    @property
    def is_near(self) -> bool:
        """Whether `limit.warned` is due."""
        return self.used >= WARN_AT * self.limit

    @property
    def limit_text(self) -> str:
        """The limit as text: a count in full, an amount without trailing zeros."""
        return str(self.limit) if isinstance(self.limit, int) else f"{self.limit:g}"

    @property
    def code(self) -> str:
        """The stop code of a run that this limit ends."""
        name = self.kind.rpartition(".")[2]
        return CODES.get(name, name)


def has_counts(limits: Limits) -> bool:
    """Whether there is a limit on anything that is counted per call."""
    counted = (value for name, value in limits if name.startswith("max_"))
    return bool(limits.agents) or any(value is not None for value in counted)


def levels(
    limits: Limits,
    usage: RunUsage,
    *,
    agent: str,
    kind: str,
    turn: int,
    under_way: Mapping[str, int],
) -> Iterator[Level]:
    """The limits that apply to a call about to start.

    Args:
        limits: The limits of the run.
        usage: The recorded usage.
        agent: The name of the agent that makes the call.
        kind: The kind of call: `model`, `tool` or another.
        turn: The current turn of the team, from 1.
        under_way: The number of calls that have started and are not yet recorded, by kind.
    """
    if limits.max_turns is not None:
        yield Level("max_turns", max(turn - 1, 0), limits.max_turns)  # completed turns
    yield from _levels(limits, usage, kind, under_way, "")
    own = limits.agents.get(agent)
    if own is not None:
        used = usage.by_agent.get(agent) or Usage()
        yield from _levels(own, used, kind, under_way, f"{agent}.")


def _levels(
    limits: AgentLimits, used: Usage, kind: str, under_way: Mapping[str, int], prefix: str
) -> Iterator[Level]:
    counts: list[tuple[str, int | None, int]] = []
    if kind == "tool":
        counts.append(
            ("max_tool_calls", limits.max_tool_calls, used.tool_calls + under_way.get(kind, 0))
        )
    if kind == "model":
        tokens = used.input_tokens + used.output_tokens
        counts += [
            ("max_model_calls", limits.max_model_calls, used.model_calls + under_way.get(kind, 0)),
            ("max_input_tokens", limits.max_input_tokens, used.input_tokens),
            ("max_output_tokens", limits.max_output_tokens, used.output_tokens),
            ("max_tokens", limits.max_tokens, tokens),
        ]
        if limits.max_cost_usd is not None:
            cost, most = float(used.cost_usd or 0), float(limits.max_cost_usd)
            yield Level(f"{prefix}max_cost_usd", cost, most)
    for name, limit, count in counts:
        if limit is not None:
            yield Level(prefix + name, count, limit)
