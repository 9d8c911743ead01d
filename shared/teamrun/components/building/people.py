"""People as members of a team, built from the canonical form."""

from teamrun.agents import UserProxyAgent
from teamrun.components.building.teams import TeamBuilder, given
from teamrun.components.definitions.agents import UserProxyDefinition

__all__ = ["build_user_proxy"]


def build_user_proxy(
    definition: UserProxyDefinition, path: str, builder: TeamBuilder
) -> UserProxyAgent:
    """A user proxy."""
    ask = builder.wiring.input(path, None, definition)
    options = given(description=definition.description, input_func=ask)
    return UserProxyAgent(definition.name, **options)
