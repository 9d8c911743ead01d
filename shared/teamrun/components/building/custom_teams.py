"""Teams that the operator wrote in Python, built for a run.

The team gets leaves as a wiring returns them, so that it runs like one of a definition: the calls
of its models and tools are recorded one by one.
"""

import inspect
from collections.abc import Sequence
from typing import Any

from teamrun.components.building.delegates import copied_team
from teamrun.components.building.teams import TeamBuilder
from teamrun.components.definitions.custom_teams import CustomTeamDefinition
from teamrun.components.reading.problems import ended
from teamrun.core.protocols import ChatAgent, Team
from teamrun.errors import DefinitionError, UsageError
from teamrun.json_types import JsonObject
from teamrun.teams import BaseGroupChat

__all__ = ["build_custom_team"]


def build_custom_team(
    definition: CustomTeamDefinition,
    _participants: Sequence[ChatAgent | Team],
    _options: JsonObject,
    path: str,
    builder: TeamBuilder,
) -> BaseGroupChat:
    """A team of a registered function, or a copy of a registered team.

    Raises:
        DefinitionError: The function does not make a team, or runs cannot execute the team.
    """
    found = builder.needs.function(definition.function)
    team = found if isinstance(found, BaseGroupChat) else _made(found, definition, builder)
    profile = definition.model or definition.name
    try:
        made = copied_team(team, path, profile, builder.wiring, is_new=team is not found)
    except DefinitionError:
        raise
    except UsageError as error:
        raise _fault(definition, f"{error}") from error
    return made.renamed(
        definition.name, description=definition.description, max_turns=definition.max_turns
    )


def _made(make: Any, definition: CustomTeamDefinition, builder: TeamBuilder) -> BaseGroupChat:
    options: JsonObject = {}
    if definition.model is not None:
        options["model_client"] = builder.needs.model_client(definition.model)
    try:
        made = make(**options)
    except Exception as error:
        raise _fault(definition, f"it failed: {error}") from error
    if inspect.iscoroutine(made):
        made.close()
        raise _fault(definition, "it is async; make the team in a function without 'async'")
    if not isinstance(made, BaseGroupChat):
        raise _fault(definition, f"it returned a {type(made).__name__}, not a team")
    return made


def _fault(definition: CustomTeamDefinition, what: str) -> DefinitionError:
    return DefinitionError(
        f"The team {definition.name!r}, made by the function {definition.function!r}: {ended(what)}"
    )
