"""Teams that an orchestrator leads by a plan, as data."""

from typing import Literal

from pydantic import Field, field_validator

from teamrun.components.definitions.base import BaseTeamDefinition, Link, ModelName, Uses
from teamrun.components.definitions.teams import Agents, without
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

    @field_validator("participants")
    @classmethod
    def _no_member_is_the_orchestrator(cls, members: Agents) -> Agents:
        # `{team}/orchestrator` is the path of the calls for the ledgers.
        return without(members, "orchestrator")

    @property
    def uses(self) -> Uses:
        """The model of the orchestrator."""
        return Uses(models=(self.model,))

    @property
    def links(self) -> tuple[Link, ...]:
        """The orchestrator may choose each of them."""
        return tuple(Link("selects", None, name) for name in self.names)
