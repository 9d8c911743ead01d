"""The graph of a `GraphFlow`: which node follows which, and when.

A graph without functions is JSON data in AutoGen's layout; definitions are checked with it.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from teamrun.core.protocols import ChatAgent
from teamrun.json_types import JsonObject

if TYPE_CHECKING:  # so that a process that only checks definitions imports no messages
    from teamrun.messages import BaseChatMessage

__all__ = ["DiGraph", "DiGraphBuilder", "DiGraphEdge", "DiGraphNode"]

Activation: TypeAlias = Literal["all", "any"]
EdgeCondition: TypeAlias = "str | Callable[[BaseChatMessage], bool]"


class DiGraphEdge(BaseModel):
    """A way from one node to another.

    Args:
        target: The name of the node to which it leads.
        condition: When it is followed: a text that the node's message must contain, or a function
            of the message; None always follows it.
        activation_group: Edges to one node are counted together if they have the same group; by
            default the name of the node.
        activation_condition: Whether all edges of the group must be followed before the node
            speaks, or any one.
    """

    model_config = ConfigDict(defer_build=True)

    target: str
    condition: str | Callable[..., bool] | None = None
    condition_function: Callable[..., bool] | None = Field(default=None, exclude=True)
    """The condition if it is a function; `condition` is None then."""
    activation_group: str = ""
    activation_condition: Activation = "all"

    def model_post_init(self, context: object) -> None:
        """Fill in the group, and keep a function apart from the data."""
        if callable(self.condition):
            self.condition, self.condition_function = None, self.condition
        self.activation_group = self.activation_group or self.target

    @property
    def is_conditional(self) -> bool:
        """Whether it has a condition."""
        return self.condition is not None or self.condition_function is not None

    def check_condition(self, message: "BaseChatMessage") -> bool:
        """Whether the edge is followed after the message."""
        if self.condition_function is not None:
            return self.condition_function(message)
        return not isinstance(self.condition, str) or self.condition in message.to_model_text()

    @model_serializer(mode="wrap")
    def _as_data(self, handler: SerializerFunctionWrapHandler) -> JsonObject:
        if self.condition_function is not None:
            raise ValueError(
                f"The condition of the edge to {self.target!r} is a function, which is no data; "
                "use a text, which the message must contain."
            )
        return handler(self)


class DiGraphNode(BaseModel):
    """A participant, and the edges that lead from it.

    `activation` has no effect; the edges that lead to a node decide.
    """

    model_config = ConfigDict(defer_build=True)

    name: str
    edges: list[DiGraphEdge] = []
    activation: Activation = "all"


class DiGraph(BaseModel):
    """Nodes by name; those to which no edge leads begin, or `default_start_node` alone."""

    model_config = ConfigDict(defer_build=True)

    nodes: dict[str, DiGraphNode]
    default_start_node: str | None = None

    def edges(self) -> Iterator[tuple[str, DiGraphEdge]]:
        """All edges, each with the name of the node from which it leads."""
        for node in self.nodes.values():
            name = node.name
            for edge in node.edges:
                yield name, edge

    def get_parents(self) -> dict[str, list[str]]:
        """The nodes from which edges lead to each node."""
        parents: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, edge in self.edges():
            parents[edge.target].append(source)
        return parents

    def starts(self) -> list[str]:
        """The nodes that begin, in the order of the graph."""
        if self.default_start_node:
            return [self.default_start_node]
        led_to = {edge.target for node in self.nodes.values() for edge in node.edges}
        return [name for name in self.nodes if name not in led_to]

    def get_start_nodes(self) -> set[str]:
        """The nodes that begin."""
        return set(self.starts())

    def get_leaf_nodes(self) -> set[str]:
        """The nodes from which no edge leads."""
        return {name for name, node in self.nodes.items() if not node.edges}

    def get_has_cycles(self) -> bool:
        """Whether there is a cycle."""
        return self.has_cycles_with_exit()

    def has_cycles_with_exit(self) -> bool:
        """Whether there is a cycle.

        Raises:
            ValueError: No node of a cycle has a conditional edge.
        """
        found, visited = False, set[str]()
        for start in self.nodes:
            if start not in visited:
                found |= self._walk(start, visited)
        return found

    def _walk(self, start: str, visited: set[str]) -> bool:
        # Not recursive: a graph may come from a client.
        found, path = False, [start]
        stack = [iter(self.nodes[start].edges)]
        visited.add(start)
        while stack:
            edge = next(stack[-1], None)
            if edge is None:
                stack.pop()
                path.pop()
            elif edge.target not in visited:
                visited.add(edge.target)
                path.append(edge.target)
                stack.append(iter(self.nodes[edge.target].edges))
            elif edge.target in path:
                found = True
                self._require_exit(path[path.index(edge.target) :])
        return found

    def _require_exit(self, cycle: list[str]) -> None:
        if not any(edge.is_conditional for name in cycle for edge in self.nodes[name].edges):
            raise ValueError(
                f"Cycle detected without exit condition: {' -> '.join([*cycle, cycle[0]])}"
            )

    def get_remaining_map(self) -> dict[str, dict[str, int]]:
        """The number of edges that lead to each node, by group."""
        remaining: dict[str, dict[str, int]] = {}
        for _, edge in self.edges():
            groups = remaining.setdefault(edge.target, {})
            groups[edge.activation_group] = groups.get(edge.activation_group, 0) + 1
        return remaining

    def graph_validate(self) -> None:
        """Check that the graph can be executed.

        Raises:
            ValueError: It cannot; the text says why.
        """
        self.checked_for_cycles()

    def checked_for_cycles(self) -> bool:
        """Check that the graph can be executed, and whether it has a cycle.

        Raises:
            ValueError: It cannot; the text says why.
        """
        if not self.nodes:
            raise ValueError("Graph has no nodes.")
        self._require_known_names()
        if not self.starts():
            raise ValueError("Graph must have at least one start node")
        if not self.get_leaf_nodes():
            raise ValueError("Graph must have at least one leaf node")
        for node in self.nodes.values():
            if len({edge.is_conditional for edge in node.edges}) > 1:
                raise ValueError(
                    f"Node '{node.name}' has a mix of conditional and unconditional edges."
                )
        self._require_one_activation()
        return self.has_cycles_with_exit()

    def _require_known_names(self) -> None:
        for name, node in self.nodes.items():
            if node.name != name:
                raise ValueError(f"Node {name!r} has the name {node.name!r}; use one of them.")
        for source, edge in self.edges():
            if edge.target not in self.nodes:
                raise ValueError(
                    f"An edge leads from {source!r} to {edge.target!r}, which is not a node."
                )
        start = self.default_start_node
        if start and start not in self.nodes:
            raise ValueError(f"The start node {start!r} is not a node of the graph.")

    def _require_one_activation(self) -> None:
        known: dict[tuple[str, str], tuple[str, Activation]] = {}
        for source, edge in self.edges():
            key = (edge.target, edge.activation_group)
            first, activation = known.setdefault(key, (source, edge.activation_condition))
            if activation != edge.activation_condition:
                raise ValueError(
                    f"Conflicting activation conditions for target '{edge.target}' group "
                    f"'{edge.activation_group}': '{activation}' (from node '{first}') and "
                    f"'{edge.activation_condition}' (from node '{source}')"
                )


class DiGraphBuilder:
    """Makes a `DiGraph` of agents step by step."""

    def __init__(self) -> None:
        self.nodes: dict[str, DiGraphNode] = {}
        self.agents: dict[str, ChatAgent] = {}
        self._default_start_node: str | None = None

    def add_node(self, agent: ChatAgent, activation: Activation = "all") -> Self:
        """Add an agent; one whose name is known already is not added again."""
        if agent.name not in self.nodes:
            self.nodes[agent.name] = DiGraphNode(name=agent.name, activation=activation)
            self.agents[agent.name] = agent
        return self

    def add_edge(
        self,
        source: str | ChatAgent,
        target: str | ChatAgent,
        condition: "EdgeCondition | None" = None,
        activation_group: str | None = None,
        activation_condition: Activation | None = None,
    ) -> Self:
        """Add an edge between two nodes, given by agent or name; see `DiGraphEdge`.

        Raises:
            ValueError: A node was not added.
        """
        start, end = _name(source), _name(target)
        for what, name in (("Source", start), ("Target", end)):
            if name not in self.nodes:
                raise ValueError(f"{what} node '{name}' must be added before adding an edge.")
        self.nodes[start].edges.append(
            DiGraphEdge(
                target=end,
                condition=condition,
                activation_group=activation_group or end,
                activation_condition=activation_condition or "all",
            )
        )
        return self

    def add_conditional_edges(
        self, source: str | ChatAgent, condition_to_target: Mapping[str, str | ChatAgent]
    ) -> Self:
        """Add an edge for each text that the message may contain.

        Raises:
            ValueError: A node was not added.
        """
        warnings.warn(
            "add_conditional_edges is deprecated, as in AutoGen; use add_edge.",
            DeprecationWarning,
            stacklevel=2,
        )
        for text, target in condition_to_target.items():
            self.add_edge(source, target, condition=text)
        return self

    def set_entry_point(self, name: str | ChatAgent) -> Self:
        """Let that node alone begin.

        Raises:
            ValueError: The node was not added.
        """
        node = _name(name)
        if node not in self.nodes:
            raise ValueError(f"Start node '{node}' must be added before setting as entry point.")
        self._default_start_node = node
        return self

    def build(self) -> DiGraph:
        """The graph.

        Raises:
            ValueError: It cannot be executed.
        """
        graph = DiGraph(nodes=self.nodes, default_start_node=self._default_start_node)
        graph.graph_validate()
        return graph

    def get_participants(self) -> list[ChatAgent]:
        """The agents, in the order in which they were added."""
        return list(self.agents.values())


def _name(node: str | ChatAgent) -> str:
    return node if isinstance(node, str) else node.name
