"""The tables of agents, teams, conditions and delegates: a new kind is one row here and one module.

The unions of `base`, the names accepted in documents, the providers of AutoGen component JSON and
the builders are derived from the rows. A row names its functions as `module:name`; they are
imported at first use, so a process that only accepts runs imports no agents.
"""

from collections.abc import Mapping
from typing import Final

from teamrun.components.definitions.table import (
    AgentKind,
    ConditionKind,
    DelegateKind,
    MentionKind,
    Table,
    TeamKind,
)
from teamrun.core.component.table import COMPONENTS

__all__ = ["AGENTS", "CONDITIONS", "DELEGATES", "TEAMS"]


_DEFINITIONS: Final = "teamrun.components.definitions"
_READING: Final = "teamrun.components.reading"
_AUTOGEN: Final = "teamrun.components.autogen"
_BUILDING: Final = "teamrun.components.building"

AGENTS: Final = Table(
    AgentKind(
        "assistant_agent",
        definition=f"{_DEFINITIONS}.agents:AssistantDefinition",
        names=("AssistantAgent",),
        aliases={"max_tool_use_attempts": "max_tool_iterations"},
        read=f"{_READING}.agents:read_assistant",
        build=f"{_BUILDING}.agents:build_assistant",
        autogen=COMPONENTS["AssistantAgent"].provider,
        version=COMPONENTS["AssistantAgent"].version,
        read_component=f"{_AUTOGEN}.agents:read_assistant",
    ),
    AgentKind(
        "user_proxy_agent",
        definition=f"{_DEFINITIONS}.agents:UserProxyDefinition",
        names=("UserProxyAgent",),
        read=f"{_READING}.agents:read_user_proxy",
        build=f"{_BUILDING}.people:build_user_proxy",
        autogen=COMPONENTS["UserProxyAgent"].provider,
        read_component=f"{_AUTOGEN}.agents:read_user_proxy",
    ),
    AgentKind(
        "custom_agent",
        definition=f"{_DEFINITIONS}.agents:CustomDefinition",
        read=f"{_READING}.agents:read_custom",
        build=f"{_BUILDING}.agents:build_custom",
    ),
    AgentKind(
        "society_of_mind_agent",
        definition=f"{_DEFINITIONS}.composed:SocietyOfMindDefinition",
        names=("SocietyOfMindAgent",),
        read=f"{_AUTOGEN}.composed:read_society_of_mind",
        build=f"{_BUILDING}.composed:build_society_of_mind",
        autogen=COMPONENTS["SocietyOfMindAgent"].provider,
        read_component=f"{_AUTOGEN}.composed:component_society_of_mind",
    ),
    AgentKind(
        "message_filter_agent",
        definition=f"{_DEFINITIONS}.composed:MessageFilterDefinition",
        names=("MessageFilterAgent",),
        aliases={"wrapped_agent": "agent"},
        read=f"{_AUTOGEN}.composed:read_message_filter",
        build=f"{_BUILDING}.composed:build_message_filter",
        autogen=COMPONENTS["MessageFilterAgent"].provider,
        read_component=f"{_AUTOGEN}.composed:component_message_filter",
    ),
    AgentKind(
        "code_executor_agent",
        definition=f"{_DEFINITIONS}.code_executor:CodeExecutorDefinition",
        names=("CodeExecutorAgent",),
        read=f"{_AUTOGEN}.code_executor:read_code_executor",
        build=f"{_BUILDING}.code_executor:build_code_executor",
        autogen=COMPONENTS["CodeExecutorAgent"].provider,
        read_component=f"{_AUTOGEN}.code_executor:component_code_executor",
    ),
)

_TEAM_ALIASES: Final = {
    "agents": "participants",
    "termination_condition": "termination",
    "max_rounds": "max_turns",
}


def _staged(type: str, name: str, **aliases: str) -> TeamKind:
    """A row of a team that works in steps."""
    return TeamKind(
        type,
        definition=f"{_DEFINITIONS}.staged:{name.removesuffix('GroupChat')}Definition",
        names=(name,),
        aliases=_TEAM_ALIASES | aliases,
        build=f"{_BUILDING}.staged:build_staged",
        autogen=COMPONENTS[name].provider,
    )


TEAMS: Final = Table(
    TeamKind(
        "round_robin_group_chat",
        definition=f"{_DEFINITIONS}.teams:RoundRobinDefinition",
        names=("RoundRobinGroupChat",),
        aliases=_TEAM_ALIASES,
        build=f"{_BUILDING}.teams:build_round_robin",
        autogen=COMPONENTS["RoundRobinGroupChat"].provider,
    ),
    TeamKind(
        "selector_group_chat",
        definition=f"{_DEFINITIONS}.teams:SelectorDefinition",
        names=("SelectorGroupChat",),
        aliases=_TEAM_ALIASES
        | {"model_for_selection": "model", "system_message": "selector_prompt"},
        build=f"{_BUILDING}.selector:build_selector",
        autogen=COMPONENTS["SelectorGroupChat"].provider,
    ),
    TeamKind(
        "swarm",
        definition=f"{_DEFINITIONS}.teams:SwarmDefinition",
        names=("Swarm",),
        aliases=_TEAM_ALIASES,
        build=f"{_BUILDING}.swarm:build_swarm",
        autogen=COMPONENTS["Swarm"].provider,
        manager="SwarmGroupChatManager",
    ),
    TeamKind(
        "graph_flow",
        definition=f"{_DEFINITIONS}.graphs:GraphFlowDefinition",
        names=("GraphFlow",),
        aliases=_TEAM_ALIASES,
        build=f"{_BUILDING}.graph_flow:build_graph_flow",
        autogen=COMPONENTS["GraphFlow"].provider,
        manager="GraphManager",
    ),
    TeamKind(
        "magentic_one",
        definition=f"{_DEFINITIONS}.magentic_one:MagenticOneDefinition",
        names=("MagenticOneGroupChat", "magentic_one_group_chat"),
        aliases=_TEAM_ALIASES,
        build=f"{_BUILDING}.magentic_one:build_magentic_one",
        autogen=COMPONENTS["MagenticOneGroupChat"].provider,
        manager="MagenticOneOrchestrator",
    ),
    TeamKind(
        "custom_team",
        definition=f"{_DEFINITIONS}.custom_teams:CustomTeamDefinition",
        aliases={"max_rounds": "max_turns"},
        read=f"{_READING}.functions:read_custom_team",
        build=f"{_BUILDING}.custom_teams:build_custom_team",
    ),
    _staged("sequential", "SequentialGroupChat"),
    _staged("concurrent", "ConcurrentGroupChat"),
    _staged("hierarchical", "HierarchicalGroupChat", lead="manager"),
    _staged("debate", "DebateGroupChat"),
    _staged("competitive", "CompetitiveGroupChat"),
)


def _condition(
    type: str,
    model: str,
    name: str,
    *,
    names: tuple[str, ...] = (),
    aliases: Mapping[str, str] | None = None,
    mentions: Mapping[str, MentionKind] | None = None,
) -> ConditionKind:
    """A row whose class has the same name here and in AutoGen."""
    return ConditionKind(
        type,
        definition=f"{_DEFINITIONS}.conditions:{model}",
        build=f"teamrun.conditions:{name}",
        autogen=COMPONENTS[name].provider,
        names=(name, *names),
        aliases=aliases or {},
        mentions=mentions or {},
    )


CONDITIONS: Final = Table(
    _condition(
        "text_mention",
        "TextMentionDefinition",
        "TextMentionTermination",
        mentions={"sources": "source"},
    ),
    _condition("max_messages", "MaxMessagesDefinition", "MaxMessageTermination"),
    _condition("stop_message", "StopMessageDefinition", "StopMessageTermination"),
    _condition("token_usage", "TokenUsageDefinition", "TokenUsageTermination"),
    _condition(
        "handoff",
        "HandoffTerminationDefinition",
        "HandoffTermination",
        mentions={"target": "target"},
    ),
    _condition(
        "timeout",
        "TimeoutDefinition",
        "TimeoutTermination",
        aliases={"seconds": "timeout_seconds", "timeout": "timeout_seconds"},
    ),
    _condition("external", "ExternalDefinition", "ExternalTermination"),
    _condition(
        "source_match",
        "SourceMatchDefinition",
        "SourceMatchTermination",
        mentions={"sources": "source"},
    ),
    _condition(
        "text_message",
        "TextMessageDefinition",
        "TextMessageTermination",
        mentions={"source": "source"},
    ),
    _condition(
        "function_call",
        "FunctionCallDefinition",
        "FunctionCallTermination",
        mentions={"function_name": "function"},
    ),
    ConditionKind(
        "functional",
        definition=f"{_DEFINITIONS}.conditions:FunctionalDefinition",
        build=f"{_BUILDING}.functional:build_functional",
        names=("FunctionalTermination",),
    ),
    _condition("or", "OrDefinition", "OrTerminationCondition", names=("any",)),
    _condition("and", "AndDefinition", "AndTerminationCondition", names=("all",)),
)

DELEGATES: Final = Table(
    DelegateKind(
        "agent_tool",
        definition=f"{_DEFINITIONS}.delegates:AgentToolDefinition",
        names=("AgentTool",),
        read=f"{_AUTOGEN}.delegates:read_delegate",
        build=f"{_BUILDING}.tool_delegates:build_agent_tool",
        autogen=COMPONENTS["AgentTool"].provider,
    ),
    DelegateKind(
        "team_tool",
        definition=f"{_DEFINITIONS}.delegates:TeamToolDefinition",
        names=("TeamTool",),
        read=f"{_AUTOGEN}.delegates:read_delegate",
        build=f"{_BUILDING}.tool_delegates:build_team_tool",
        autogen=COMPONENTS["TeamTool"].provider,
    ),
)
"""Agents and teams as tools."""
