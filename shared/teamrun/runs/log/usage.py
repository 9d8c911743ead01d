"""The usage of a run, counted from its log, and how close it is to the limits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from teamrun.runs.log.entries import CallRecord
from teamrun.runs.log.kinds import CALL_KINDS, CallCounter
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

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens


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
    kind = CALL_KINDS[call.kind]
    agent = (call.within or call.call_id).rsplit("/", 2)[-2]
    totals = [usage, _of(usage.by_agent, agent)]
    if kind.is_by_profile:
        totals.append(_of(usage.by_model, call.name))
    used, cost_usd, counter = call.usage, call.cost_usd, kind.counter
    for total in totals:
        if counter is not None:
            setattr(total, counter, getattr(total, counter) + 1)
        if used is not None:
            total.input_tokens += used.prompt_tokens
            total.output_tokens += used.completion_tokens
            total.cached_tokens += used.cached_tokens
            total.reasoning_tokens += used.reasoning_tokens
        if cost_usd is not None:
            total.cost_usd = (total.cost_usd or Decimal(0)) + cost_usd


def _of(usages: dict[str, Usage], name: str) -> Usage:
    known = usages.get(name)
    if known is None:
        known = usages[name] = Usage()
    return known


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
        kind: The name of the kind of call.
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
    row = CALL_KINDS[kind]
    for name in row.limits:
        limit: int | Decimal | None = getattr(limits, name)
        if limit is None:
            continue
        field_name = name.removeprefix("max_")
        amount: int | Decimal | None = getattr(used, field_name)
        if field_name == row.counter:
            amount = (amount or 0) + _sharing(row.counter, under_way)
        yield Level(f"{prefix}{name}", _number(amount), _number(limit))


def _sharing(counter: CallCounter | None, under_way: Mapping[str, int]) -> int:
    """The number of calls under way of all kinds that one counter counts."""
    return sum(n for kind, n in under_way.items() if CALL_KINDS[kind].counter == counter)


def _number(amount: int | Decimal | None) -> float:
    """A count as it is; an amount of money as a float."""
    return amount if isinstance(amount, int) else float(amount or 0)
