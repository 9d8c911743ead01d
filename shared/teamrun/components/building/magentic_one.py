"""Teams that an orchestrator leads by a plan, built from the canonical form."""

from collections.abc import Sequence

from teamrun.components.building.teams import TeamBuilder, given
from teamrun.components.definitions.magentic_one import MagenticOneDefinition
from teamrun.core.protocols import ChatAgent
from teamrun.json_types import JsonObject
from teamrun.teams import MagenticOneGroupChat

__all__ = ["build_magentic_one"]


def build_magentic_one(
    definition: MagenticOneDefinition,
    participants: Sequence[ChatAgent],
    options: JsonObject,
    path: str,
    builder: TeamBuilder,
) -> MagenticOneGroupChat:
    """A team that an orchestrator leads by a plan."""
    role = MagenticOneGroupChat.role
    client = builder.model(definition.model, role, f"{path}/{role}")
    options |= given(
        max_stalls=definition.max_stalls, final_answer_prompt=definition.final_answer_prompt
    )
    return MagenticOneGroupChat(participants, client, **options)
