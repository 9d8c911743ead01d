"""The names that a definition uses."""

from collections.abc import Iterator

from teamrun.components.definitions.teams import (
    AssistantDefinition,
    CustomDefinition,
    ParticipantDefinition,
    SelectorDefinition,
    TeamDefinition,
    UserProxyDefinition,
)

__all__ = ["agents_of", "classes_of", "models_of", "tools_of"]


def models_of(team: TeamDefinition) -> set[str]:
    """The model profiles of all agents and selectors."""
    models = {
        part.model
        for part in _parts(team)
        if isinstance(part, (AssistantDefinition, CustomDefinition, SelectorDefinition))
    }
    return {model for model in models if model is not None}


def classes_of(team: TeamDefinition) -> set[str]:
    """The registered classes of all agents."""
    return {part.agent for part in _parts(team) if isinstance(part, CustomDefinition)}


def tools_of(team: TeamDefinition) -> set[str]:
    """The tools of all agents."""
    return {
        name
        for part in _parts(team)
        if isinstance(part, AssistantDefinition)
        for name in part.tools
    }


def agents_of(team: TeamDefinition) -> list[str]:
    """The names of all agents, those of inner teams included, in their order."""
    return [
        part.name
        for part in _parts(team)
        if isinstance(part, (AssistantDefinition, CustomDefinition, UserProxyDefinition))
    ]


def _parts(part: ParticipantDefinition) -> Iterator[ParticipantDefinition]:
    yield part
    if not isinstance(part, (AssistantDefinition, CustomDefinition, UserProxyDefinition)):
        for inner in part.participants:
            yield from _parts(inner)
