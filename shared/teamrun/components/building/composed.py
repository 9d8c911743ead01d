"""Agents with an agent or a team inside, built from the canonical form."""

from teamrun.agents.base import BaseChatAgent
from teamrun.agents.message_filter import MessageFilterAgent, MessageFilterConfig
from teamrun.agents.society_of_mind import SocietyOfMindAgent
from teamrun.components.building.teams import TeamBuilder, build_context, given
from teamrun.components.definitions.composed import (
    MessageFilterDefinition,
    SocietyOfMindDefinition,
)

__all__ = ["build_message_filter", "build_society_of_mind"]


def build_society_of_mind(
    definition: SocietyOfMindDefinition, path: str, builder: TeamBuilder
) -> SocietyOfMindAgent:
    """An agent that lets a team work and answers for it."""
    client = builder.model(definition.model, definition.name, path)
    options = given(
        description=definition.description,
        instruction=definition.instruction,
        response_prompt=definition.response_prompt,
    )
    if definition.model_context is not None:
        options["model_context"] = build_context(definition.model_context, client)
    team = builder.team(definition.team, f"{path}/{definition.team.name}")
    return SocietyOfMindAgent(definition.name, team, client, **options)


def build_message_filter(
    definition: MessageFilterDefinition, path: str, builder: TeamBuilder
) -> MessageFilterAgent:
    """An agent that receives a selection of the messages."""
    inner = builder.participant(definition.agent, f"{path}/{definition.agent.name}")
    assert isinstance(inner, BaseChatAgent), "all kinds of agents are"
    selection = MessageFilterConfig.model_validate(definition.filter.model_dump())
    return MessageFilterAgent(definition.name, inner, selection)
