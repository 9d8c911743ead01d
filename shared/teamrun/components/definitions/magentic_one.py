"""Teams that an orchestrator leads by a plan, as data."""

from typing import Literal, Self

from pydantic import Field, model_validator

from teamrun.components.definitions.base import BaseTeamDefinition, Link, ModelName, Uses
from teamrun.components.definitions.teams import Agents
from teamrun.models.scalars import Count

__all__ = ["MagenticOneDefinition"]


class MagenticOneDefinition(BaseTeamDefinition):
    """A team that an orchestrator, which is a model, leads by a plan."""

    type: Literal["magentic_one"] = "magentic_one"
    model: ModelName
    """The profile of the orchestrator's model."""
    participants: Agents = Field(min_length=1)
    max_turns: Count | None = 20
    max_stalls: Count = 3
    final_answer_prompt: str | None = None

    @model_validator(mode="after")
    def _no_member_is_the_orchestrator(self) -> Self:
        # `{team}/orchestrator` is the path of the calls for the ledgers.
        if any(member.name == "orchestrator" for member in self.participants):
            raise ValueError("no member may be named 'orchestrator'")
        return self

    @property
    def uses(self) -> Uses:
        """The model of the orchestrator."""
        return Uses(models=(self.model,))

    @property
    def links(self) -> tuple[Link, ...]:
        """The orchestrator may choose each of them."""
        return tuple(Link("selects", None, name) for name in self.names)
