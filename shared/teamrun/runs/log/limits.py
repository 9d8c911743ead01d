"""Limits of a run: what may be used at most, checked before each call.

A limit that is reached ends the run as `incomplete`, with the output so far, or pauses it. What is
under way then completes, so that what was paid for is on record.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AgentLimits", "Limits"]

# Bounds, so that reckoning with what a client sends cannot overflow. `true` is no number.
Count = Annotated[int, Field(ge=1, le=1_000_000_000_000, strict=True)]


Dollars = Annotated[Decimal, Field(gt=0, le=1_000_000_000)]


Seconds = Annotated[float, Field(gt=0, le=10 * 366 * 86_400, strict=True)]


class AgentLimits(BaseModel, defer_build=True):
    """What one agent may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_model_calls: Count | None = None
    max_tool_calls: Count | None = None
    max_input_tokens: Count | None = None
    max_output_tokens: Count | None = None
    max_tokens: Count | None = None
    """Input and output together."""
    max_cost_usd: Dollars | None = None
    """Counted for models whose price is known."""


class Limits(AgentLimits):
    """What a run may use; calls of a team itself (a selector's) count too."""

    max_turns: Count | None = None
    timeout_seconds: Seconds | None = None
    """Time at work: it stands still while the run waits, is paused or queued."""
    on_limit: Literal["stop", "pause"] = "stop"
    agents: dict[str, AgentLimits] = {}
    """Further limits by the name of an agent."""

    def raised(self, by: "Limits") -> "Limits":
        """These limits with what `by` sets put in place, for each agent that it names as well."""
        agents = dict(self.agents)
        for name, own in by.agents.items():
            agents[name] = agents.get(name, AgentLimits()).model_copy(update=_given(own))
        return self.model_copy(update=_given(by) | {"agents": agents})


def _given(limits: AgentLimits) -> dict[str, Any]:
    """The fields that were set; None where a limit is taken away."""
    return {name: value for name, value in limits if name in limits.model_fields_set}
