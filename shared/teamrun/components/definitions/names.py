"""The names that a definition uses."""

from collections.abc import Iterator

from teamrun.components.definitions.base import (
    BaseTeamDefinition,
    ParticipantDefinition,
    TeamDefinition,
)

__all__ = [
    "agents_of",
    "classes_of",
    "endless_of",
    "first_model",
    "functions_of",
    "has_unseen_agents",
    "models_by_agent",
    "models_of",
    "names_of",
    "silent_of",
    "tools_of",
]


def models_of(team: TeamDefinition) -> set[str]:
    """The model profiles of all agents and selectors, and of the output's form."""
    models = {model for part in _parts(team) for model in part.uses.models}
    own = (part.output_model for part in _parts(team) if isinstance(part, BaseTeamDefinition))
    return models | {model for model in own if model is not None}


def first_model(team: TeamDefinition) -> str | None:
    """The first model profile that the definition names; None if it names none."""
    return next((model for part in _parts(team) for model in part.uses.models), None)


def models_by_agent(team: TeamDefinition) -> dict[str, str]:
    """The model profiles of the agents that have one, by the names of the agents."""
    return {
        part.name: part.uses.models[0]
        for part in _parts(team)
        if part.uses.models and not isinstance(part, BaseTeamDefinition)
    }


def classes_of(team: TeamDefinition) -> set[str]:
    """The registered classes of all agents."""
    return {name for part in _parts(team) for name in part.uses.agents}


def functions_of(team: TeamDefinition) -> set[str]:
    """The registered functions of all teams and conditions."""
    found: set[str] = set()
    for part in _parts(team):
        found.update(part.uses.functions)
        if isinstance(part, BaseTeamDefinition) and part.termination is not None:
            found.update(part.termination.functions)
    return found


def has_unseen_agents(team: TeamDefinition) -> bool:
    """Whether a team of the operator's own code is inside, whose agents it does not name."""
    return any(part.has_unseen_agents for part in _parts(team))


def tools_of(team: TeamDefinition) -> set[str]:
    """The tools of all agents."""
    return {name for part in _parts(team) for name in part.uses.tools}


def agents_of(team: TeamDefinition) -> list[str]:
    """The names of all agents, those of inner teams included, in their order."""
    return [part.name for part in _parts(team) if not isinstance(part, BaseTeamDefinition)]


def names_of(team: TeamDefinition) -> set[str]:
    """The names of the team, its agents and inner teams."""
    return {part.name for part in _parts(team)}


def endless_of(team: TeamDefinition) -> list[str]:
    """The names of those of its teams, or of itself, that nothing in the definition ends."""
    return [
        part.name
        for part in _parts(team)
        if isinstance(part, BaseTeamDefinition)
        and not (part.ends_itself or part.termination or part.max_turns)
    ]


def silent_of(team: TeamDefinition) -> list[str]:
    """The names of agents that never speak, those of inner teams included."""
    teams = (part for part in _parts(team) if isinstance(part, BaseTeamDefinition))
    return [name for part in teams for name in part.silent]


def _parts(part: ParticipantDefinition) -> Iterator[ParticipantDefinition]:
    yield part
    for inner in part.inner:
        yield from _parts(inner)
