"""Agents with an agent or a team inside, as data; a module of its own, because few teams are."""

from typing import ClassVar, Literal

from pydantic import Field

from teamrun.components.definitions.base import (
    AgentDefinition,
    AgentName,
    BaseAgentDefinition,
    BaseParticipantDefinition,
    MemberName,
    ModelName,
    Part,
    TeamDefinition,
    Uses,
)
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.models.scalars import Count

__all__ = [
    "FilterDefinition",
    "MessageFilterDefinition",
    "SocietyOfMindDefinition",
    "SourceFilterDefinition",
]


class SocietyOfMindDefinition(BaseAgentDefinition):
    """An agent that lets a team work and answers for it."""

    type: Literal["society_of_mind_agent"] = "society_of_mind_agent"
    name: AgentName
    team: TeamDefinition
    model: ModelName
    """The profile of the model that writes the answer."""
    description: str | None = None
    instruction: str | None = None
    """Told to the model before the messages of the team."""
    response_prompt: str | None = None
    """Told to the model after them."""
    model_context: ContextDefinition | None = None
    """How many of the earlier messages to the agent the team sees again."""

    inner_fields: ClassVar[tuple[str, ...]] = ("team",)

    @property
    def uses(self) -> Uses:
        """Its model."""
        return Uses(models=(self.model,))

    @property
    def hands_off(self) -> bool:
        """It answers with texts alone."""
        return False


class SourceFilterDefinition(Part):
    """Which messages of one source pass."""

    source: MemberName
    position: Literal["first", "last"] | None = None
    """Which of them; None: all."""
    count: Count | None = None
    """How many of the first or last ones; None: all."""


class FilterDefinition(Part):
    """Which messages pass; messages of other sources do not."""

    per_source: tuple[SourceFilterDefinition, ...] = Field(min_length=1)


class MessageFilterDefinition(BaseAgentDefinition):
    """An agent that receives a selection of the messages; its messages are those of `agent`."""

    type: Literal["message_filter_agent"] = "message_filter_agent"
    name: AgentName
    agent: AgentDefinition
    filter: FilterDefinition

    inner_fields: ClassVar[tuple[str, ...]] = ("agent",)

    @property
    def voices(self) -> tuple[BaseParticipantDefinition, ...]:
        """Those of the agent inside."""
        return self.agent.voices

    @property
    def hands_off(self) -> bool:
        """Whether the agent inside does."""
        return self.agent.hands_off

    @property
    def handoff_targets(self) -> tuple[str, ...]:
        """Those of the agent inside."""
        return self.agent.handoff_targets
