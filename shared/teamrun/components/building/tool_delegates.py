"""Agents and teams as tools, built from the canonical form.

`delegates` copies those that the operator registered; these belong to one team from the start.
"""

from teamrun.components.building.teams import TeamBuilder
from teamrun.components.definitions.delegates import AgentToolDefinition, TeamToolDefinition
from teamrun.core.protocols import ChatAgent
from teamrun.tools.agent_tool import AgentTool, TeamTool

__all__ = ["build_agent_tool", "build_team_tool"]


def build_agent_tool(definition: AgentToolDefinition, path: str, builder: TeamBuilder) -> AgentTool:
    """An agent as a tool of the agent at a path."""
    agent = builder.participant(definition.agent, f"{path}/{definition.tool_name}")
    assert isinstance(agent, ChatAgent), "all kinds of agents are"
    return AgentTool(agent, definition.return_value_as_last_message)


def build_team_tool(definition: TeamToolDefinition, path: str, builder: TeamBuilder) -> TeamTool:
    """A team as a tool of the agent at a path."""
    team = builder.team(definition.team, f"{path}/{definition.tool_name}")
    description = definition.description or team.description
    return TeamTool(
        team, definition.tool_name, description, definition.return_value_as_last_message
    )
