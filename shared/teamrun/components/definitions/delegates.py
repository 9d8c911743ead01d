"""Agents and teams as tools, as data; a module of its own, because few agents have one."""

from typing import ClassVar, Literal

from teamrun.components.definitions.base import (
    AgentDefinition,
    BaseDelegateDefinition,
    ParticipantDefinition,
    TeamDefinition,
    ToolName,
)

__all__ = ["AgentToolDefinition", "TeamToolDefinition"]


class AgentToolDefinition(BaseDelegateDefinition):
    """An agent as a tool, under the agent's name and description."""

    type: Literal["agent_tool"] = "agent_tool"
    agent: AgentDefinition

    inner_fields: ClassVar[tuple[str, ...]] = ("agent",)

    @property
    def tool_name(self) -> str:
        """The name of the agent."""
        return self.agent.name

    @property
    def runner(self) -> ParticipantDefinition:
        """The agent."""
        return self.agent


class TeamToolDefinition(BaseDelegateDefinition):
    """A team as a tool."""

    type: Literal["team_tool"] = "team_tool"
    team: TeamDefinition
    name: ToolName | None = None
    """The name that the model sees; None: that of the team."""
    description: str | None = None
    """What the model is told of the tool; None: the description of the team."""

    inner_fields: ClassVar[tuple[str, ...]] = ("team",)

    @property
    def tool_name(self) -> str:
        """The name that the model sees."""
        return self.name or self.team.name

    @property
    def runner(self) -> ParticipantDefinition:
        """The team."""
        return self.team
