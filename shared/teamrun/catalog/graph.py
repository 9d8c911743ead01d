"""The members of a team as nodes, and who may follow whom as edges."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from teamrun.catalog.resources import GraphEdge, GraphNode, TeamGraph
from teamrun.components.definitions.agents import AssistantDefinition
from teamrun.components.definitions.base import (
    BaseTeamDefinition,
    ParticipantDefinition,
    TeamDefinition,
)
from teamrun.components.definitions.teams import RoundRobinDefinition, SelectorDefinition

__all__ = ["graph_of"]


def graph_of(definition: TeamDefinition, *, version: str) -> TeamGraph:
    """The graph of a definition."""
    nodes = list(_nodes(definition, None))
    edges = list(_edges(definition, definition.name))
    return TeamGraph(version=version, nodes=nodes, edges=edges, mermaid=_mermaid(nodes, edges))


def _nodes(part: ParticipantDefinition, parent: str | None) -> Iterator[GraphNode]:
    here = part.name if parent is None else f"{parent}/{part.name}"
    uses = part.uses
    yield GraphNode(
        id=here,
        name=part.name,
        type=part.type,
        parent=parent,
        description=part.description,
        models=list(uses.models),
        tools=list(part.tool_names if isinstance(part, AssistantDefinition) else uses.tools),
    )
    for member in part.participants if isinstance(part, BaseTeamDefinition) else ():
        yield from _nodes(member, here)


def _edges(team: BaseTeamDefinition, here: str) -> Iterator[GraphEdge]:
    names = [member.name for member in team.participants]
    if isinstance(team, RoundRobinDefinition) and len(names) > 1:
        for first, second in pairwise([*names, names[0]]):
            yield GraphEdge(source=f"{here}/{first}", target=f"{here}/{second}", kind="next")
    if isinstance(team, SelectorDefinition):
        for name in names:
            yield GraphEdge(source=here, target=f"{here}/{name}", kind="selects")
    yield from _flow(team, here)
    for member in team.participants:
        if isinstance(member, AssistantDefinition):
            for handoff in member.handoffs:
                if handoff.target in names:  # else to a person
                    target = f"{here}/{handoff.target}"
                    yield GraphEdge(source=f"{here}/{member.name}", target=target, kind="handoff")
        elif isinstance(member, BaseTeamDefinition):
            yield from _edges(member, f"{here}/{member.name}")


def _flow(team: BaseTeamDefinition, here: str) -> Iterator[GraphEdge]:
    if team.type != "graph_flow":
        return
    from teamrun.components.definitions.graphs import GraphFlowDefinition  # few teams need it

    assert isinstance(team, GraphFlowDefinition)
    for name, node in team.graph.nodes.items():
        for edge in node.edges:
            yield GraphEdge(
                source=f"{here}/{name}",
                target=f"{here}/{edge.target}",
                kind="flow",
                label=edge.condition,
            )


def _mermaid(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> str:
    """A flowchart; see https://mermaid.js.org/syntax/flowchart.html."""
    numbers = {node.id: f"n{number}" for number, node in enumerate(nodes)}

    def lines(parent: str | None, depth: int) -> Iterator[str]:
        for node in nodes:
            if node.parent == parent:
                indent, number = "  " * depth, numbers[node.id]
                label = _quoted(f"{node.name} ({node.type})")
                if any(each.parent == node.id for each in nodes):
                    yield f"{indent}subgraph {number}[{label}]"
                    yield from lines(node.id, depth + 1)
                    yield f"{indent}end"
                else:
                    yield f"{indent}{number}[{label}]"

    arrows = [
        f"  {numbers[edge.source]} -->"
        + (f"|{_quoted(edge.label)}|" if edge.label else "")
        + f" {numbers[edge.target]}"
        for edge in edges
        if edge.source in numbers and edge.target in numbers
    ]
    return "\n".join(["flowchart TD", *lines(None, 1), *arrows]) + "\n"


def _quoted(text: str) -> str:
    """A label: quotes and line breaks would end it."""
    plain = " ".join(text.split()).replace("#", "#35;").replace('"', "#quot;")
    return f'"{plain}"'
