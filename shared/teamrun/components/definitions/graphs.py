"""Teams whose order of speakers is a graph, as data; a module of its own, because few teams are."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from teamrun.components.definitions.base import (
    BaseTeamDefinition,
    FunctionName,
    Link,
    MemberName,
    Part,
    Uses,
)
from teamrun.components.definitions.teams import Agents
from teamrun.teams.digraph import DiGraph

__all__ = [
    "EdgeDefinition",
    "FunctionDefinition",
    "GraphDefinition",
    "GraphFlowDefinition",
    "NodeDefinition",
]


class FunctionDefinition(Part):
    """A registered function of the message of a node."""

    function: FunctionName


class EdgeDefinition(Part):
    """A way from one node of a graph to another."""

    target: MemberName
    condition: str | FunctionDefinition | None = None
    """A text that the message of the node must contain, or a function that returns true for it."""
    activation_group: str | None = None
    activation_condition: Literal["all", "any"] = "all"

    @property
    def label(self) -> str | None:
        """The condition in a drawing."""
        if isinstance(self.condition, FunctionDefinition):
            return f"{self.condition.function}()"
        return self.condition


class NodeDefinition(Part):
    """An agent in a graph."""

    name: MemberName | None = None
    """The same as its key."""
    edges: tuple[EdgeDefinition, ...] = ()
    activation: Literal["all", "any"] = "all"
    """It has no effect, and AutoGen's files have it."""


def _unknown(_name: str) -> Callable[..., bool]:
    """Stands for a function where the form of a graph alone is checked."""
    return bool


class GraphDefinition(Part):
    """Which agent follows which."""

    nodes: dict[MemberName, NodeDefinition]
    default_start_node: MemberName | None = None

    @property
    def functions(self) -> tuple[str, ...]:
        """The registered functions among the conditions of its edges."""
        conditions = [edge.condition for node in self.nodes.values() for edge in node.edges]
        return tuple(each.function for each in conditions if isinstance(each, FunctionDefinition))

    def made(self, function: Callable[[str], Any] = _unknown) -> DiGraph:
        """The graph, which is not checked.

        Args:
            function: Looks up registered functions; by default none of them can be called.
        """
        data = self.model_dump(exclude_none=True)
        for name, node in data["nodes"].items():
            node.setdefault("name", name)
            for edge in node.get("edges", ()):
                if isinstance(edge.get("condition"), dict):
                    edge["condition"] = function(edge["condition"]["function"])
        return DiGraph.model_validate(data)


def _named(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))


def _faults(graph: DiGraph) -> tuple[bool, list[str]]:
    """Whether a graph has a cycle, and each reason why it cannot be executed, with the remedy."""
    if not graph.nodes:
        return False, ["it has no nodes: 'nodes' has one for each agent"]
    nodes = graph.nodes.items()
    faults = [
        f"the node {name!r} has the 'name' {node.name!r}: use one of them, or leave 'name' out"
        for name, node in nodes
        if node.name != name
    ]
    faults += [
        f"an edge leads from {source!r} to {edge.target!r}, which is not a node: correct its"
        " 'target', or add the node"
        for source, edge in graph.edges()
        if edge.target not in graph.nodes
    ]
    start = graph.default_start_node
    if start is not None and start not in graph.nodes:
        faults.append(
            f"'default_start_node' is {start!r}, which is not a node: {_named(graph.nodes)}"
        )
    if faults:
        return False, faults
    if not graph.starts():
        faults.append(
            "an edge leads to each node: name the one that begins in 'default_start_node'"
        )
    if not graph.get_leaf_nodes():
        faults.append(
            "an edge leads from each node: one without 'edges' is needed, at which it ends"
        )
    faults += [
        f"the node {name!r} has edges with and without 'condition': give each of them one, or none"
        for name, node in nodes
        if len({edge.is_conditional for edge in node.edges}) > 1
    ]
    try:
        has_cycles = graph.has_cycles_with_exit()
        if not faults:
            graph.graph_validate()
    except ValueError as error:
        return True, [*faults, str(error)]
    return has_cycles, faults


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
        faults = [
            f"the node {node!r} is no agent of this team: there are {_named(known)}"
            for node in (graph.nodes if known else ())
            if node not in known
        ]
        has_cycles, others = _faults(graph)
        faults += others
        bounds = ("termination", "max_turns")
        if has_cycles and not any(info.data.get(name, True) for name in bounds):
            faults.append("it has a cycle, so the team needs 'termination' or 'max_turns'")
        if faults:
            raise ValueError("; ".join(faults))
        return definition

    @property
    def silent(self) -> list[str]:
        """The names of those of its participants that are no nodes."""
        return [name for name in self.names if name not in self.graph.nodes]

    @property
    def uses(self) -> Uses:
        """The functions of its edges."""
        return Uses(functions=self.graph.functions)

    @property
    def links(self) -> tuple[Link, ...]:
        """The edges, with their conditions."""
        return tuple(
            Link("flow", name, edge.target, edge.label)
            for name, node in self.graph.nodes.items()
            for edge in node.edges
        )
