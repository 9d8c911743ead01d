"""The limits of a run as data; `engine/admission.py` checks them before each call.

If a limit is reached, the run ends as `incomplete` with the output so far, or is paused. Calls in
flight complete first, so that what was paid for is recorded.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.core.tolerance import OPEN
from teamrun.json_types import JsonObject

__all__ = ["AgentLimits", "Limits"]

# The bounds prevent overflow in calculations with values from clients. `strict` rejects `true`.
Count = Annotated[int, Field(ge=1, le=1_000_000_000_000, strict=True)]

Dollars = Annotated[Decimal, Field(gt=0, le=1_000_000_000)]

Seconds = Annotated[float, Field(gt=0, le=10 * 366 * 86_400, strict=True)]


class AgentLimits(BaseModel, defer_build=True):
    """The limits of one agent."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    max_model_calls: Count | None = None
    max_tool_calls: Count | None = None
    max_input_tokens: Count | None = None
    max_output_tokens: Count | None = None
    max_tokens: Count | None = None
    """Input and output tokens together."""
    max_cost_usd: Dollars | None = None
    """Counts models whose price is known."""


class Limits(AgentLimits):
    """The limits of a run; calls of the team itself, such as a selector's, also count."""

    max_turns: Count | None = None
    timeout_seconds: Seconds | None = None
    """Maximum execution time; time in which the run waits, is paused or queued does not count."""
    on_limit: Annotated[Literal["stop", "pause"], OPEN] = "stop"
    agents: dict[str, AgentLimits] = {}
    """Additional limits of single agents, by name."""

    def raised(self, by: "Limits") -> "Limits":
        """These limits, with the values that `by` sets in their place, also for single agents."""
        agents = dict(self.agents)
        for name, own in by.agents.items():
            agents[name] = agents.get(name, AgentLimits()).model_copy(update=_given(own))
        return self.model_copy(update=_given(by) | {"agents": agents})


def _given(limits: AgentLimits) -> JsonObject:
    """The fields that were set; None removes a limit."""
    return {name: value for name, value in limits if name in limits.model_fields_set}
