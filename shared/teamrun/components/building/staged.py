"""Teams that work in steps, built from the canonical form."""

from collections.abc import Sequence

from teamrun.components.building.teams import TeamBuilder, given
from teamrun.components.definitions.kinds import TEAMS
from teamrun.components.definitions.staged import StagedDefinition
from teamrun.core.component.table import BY_PROVIDER, load
from teamrun.core.protocols import ChatAgent, Team
from teamrun.json_types import JsonObject
from teamrun.teams.staged import StagedTeam

__all__ = ["build_staged"]


def build_staged(
    definition: StagedDefinition,
    participants: Sequence[ChatAgent | Team],
    options: JsonObject,
    _path: str,
    _builder: TeamBuilder,
) -> StagedTeam:
    """A team that works in steps, of the class in its row."""
    made: type[StagedTeam] = load(BY_PROVIDER[TEAMS[definition.type].autogen or ""].cls)
    return made(participants, **options, **given(**definition.options))
