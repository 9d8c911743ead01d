"""Teams whose order of speakers is a graph, as data; a module of its own, because few teams are."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from teamrun.components.definitions.base import BaseTeamDefinition, Link, MemberName, Part
from teamrun.components.definitions.teams import Agents
from teamrun.teams.digraph import DiGraph

__all__ = ["EdgeDefinition", "GraphDefinition", "GraphFlowDefinition", "NodeDefinition"]


class EdgeDefinition(Part):
    """A way from one node of a graph to another."""

    target: MemberName
    condition: str | None = None
    """A text that the message of the node must contain."""
    activation_group: str | None = None
    activation_condition: Literal["all", "any"] = "all"


class NodeDefinition(Part):
    """An agent in a graph."""

    name: MemberName | None = None
    """The same as its key."""
    edges: tuple[EdgeDefinition, ...] = ()
    activation: Literal["all", "any"] = "all"
    """It has no effect, and AutoGen's files have it."""


class GraphDefinition(Part):
    """Which agent follows which."""

    nodes: dict[MemberName, NodeDefinition]
    default_start_node: MemberName | None = None

    def made(self) -> DiGraph:
        """The graph.

        Raises:
            ValueError: It cannot be executed.
        """
        data = self.model_dump(exclude_none=True)
        for name, node in data["nodes"].items():
            node.setdefault("name", name)
        graph = DiGraph.model_validate(data)
        graph.graph_validate()
        return graph


class GraphFlowDefinition(BaseTeamDefinition):
    """A team whose order of speakers is a graph."""

    type: Literal["graph_flow"] = "graph_flow"
    participants: Agents = Field(min_length=1)
    graph: GraphDefinition

    @field_validator("graph")
    @classmethod
    def _can_be_executed(cls, definition: GraphDefinition, info: ValidationInfo) -> GraphDefinition:
        graph = definition.made()
        known = {member.name for member in info.data.get("participants", ())}
        for node in graph.nodes if known else ():
            if node not in known:
                raise ValueError(f"the node {node!r} is no agent of this team")
        bounds = ("termination", "max_turns")
        if graph.get_has_cycles() and not any(info.data.get(name, True) for name in bounds):
            raise ValueError("it has a cycle, so the team needs 'termination' or 'max_turns'")
        return definition

    @property
    def links(self) -> tuple[Link, ...]:
        """The edges, with their conditions."""
        return tuple(
            Link("flow", name, edge.target, edge.condition)
            for name, node in self.graph.nodes.items()
            for edge in node.edges
        )
