"""Teams whose order of speakers is a graph, built from the canonical form."""

from collections.abc import Sequence

from teamrun.components.building.teams import TeamBuilder
from teamrun.components.definitions.graphs import GraphFlowDefinition
from teamrun.core.protocols import ChatAgent
from teamrun.json_types import JsonObject
from teamrun.teams import GraphFlow

__all__ = ["build_graph_flow"]


def build_graph_flow(
    definition: GraphFlowDefinition,
    participants: Sequence[ChatAgent],
    options: JsonObject,
    _path: str,
    builder: TeamBuilder,
) -> GraphFlow:
    """A team whose order of speakers is a graph."""
    return GraphFlow(participants, definition.graph.made(builder.needs.function), **options)
