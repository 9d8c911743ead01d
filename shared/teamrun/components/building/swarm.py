"""Teams in which handoffs select the speaker, built from the canonical form."""

from collections.abc import Sequence

from teamrun.components.building.teams import TeamBuilder
from teamrun.components.definitions.teams import SwarmDefinition
from teamrun.core.protocols import ChatAgent
from teamrun.json_types import JsonObject
from teamrun.teams import Swarm

__all__ = ["build_swarm"]


def build_swarm(
    _definition: SwarmDefinition,
    participants: Sequence[ChatAgent],
    options: JsonObject,
    _path: str,
    _builder: TeamBuilder,
) -> Swarm:
    """A team in which the target of the latest handoff speaks next."""
    return Swarm(participants, **options)
