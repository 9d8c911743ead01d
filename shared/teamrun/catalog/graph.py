"""The members of a team as nodes, and who may follow whom as edges."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from teamrun.catalog.resources import GraphEdge, GraphNode, TeamGraph
from teamrun.components.definitions.agents import AssistantDefinition
from teamrun.components.definitions.base import (
    ParticipantDefinition,
    TeamDefinition,
)

__all__ = ["graph_of"]

_LEADERS: Final = {
    "selector_group_chat": "selector",
    "magentic_one": "orchestrator",
    "assistant_agent": "model",
}
"""What lets those inside speak, by the type of the team or agent."""

_ENTITIES: Final = str.maketrans(
    {"#": "#35;", '"': "#quot;", "`": "#96;", "<": "#lt;", ">": "#gt;"}
)
"""See https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters."""


def graph_of(definition: TeamDefinition, *, name: str, version: str) -> TeamGraph:
    """The graph of a definition.

    Args:
        definition: The definition.
        name: The name of the team, which the definition may not have.
        version: The version, as it is written in a response.
    """
    team = definition.model_copy(update={"name": name})
    nodes, edges = list(_nodes(team, name, None)), list(_edges(team, name))
    return TeamGraph(version=version, nodes=nodes, edges=edges, mermaid=_mermaid(nodes, edges))


def _nodes(part: ParticipantDefinition, here: str, parent: str | None) -> Iterator[GraphNode]:
    uses = part.uses
    yield GraphNode(
        id=here,
        name=part.name,
        type=part.type,
        parent=parent,
        description=getattr(part, "description", None),  # a message filter has none
        models=list(uses.models),
        tools=list(part.tool_names if isinstance(part, AssistantDefinition) else uses.tools),
    )
    for name, inner in zip(part.inner_names, part.inner, strict=True):
        yield from _nodes(inner, f"{here}/{name}", here)


def _edges(part: ParticipantDefinition, here: str) -> Iterator[GraphEdge]:
    for link in part.links:
        yield GraphEdge(
            source=here if link.source is None else f"{here}/{link.source}",
            target=f"{here}/{link.target}",
            kind=link.kind,
            label=link.label,
        )
    for name, inner in zip(part.inner_names, part.inner, strict=True):
        yield from _edges(inner, f"{here}/{name}")


def _mermaid(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> str:
    """A flowchart; see https://mermaid.js.org/syntax/flowchart.html."""
    numbers = {node.id: f"n{number}" for number, node in enumerate(nodes)}
    parents = {node.id: node.parent for node in nodes}
    inside: dict[str | None, list[GraphNode]] = {}
    for node in nodes:
        inside.setdefault(node.parent, []).append(node)
    # Mermaid lets an edge from a subgraph to its own node begin at another of its nodes.
    starts = {edge.source: f"{numbers[edge.source]}s" for edge in edges if _is_into(edge, parents)}

    def lines(node: GraphNode, indent: str) -> Iterator[str]:
        number, label = numbers[node.id], _quoted(f"{node.name} ({node.type})")
        if node.id not in inside:
            yield f"{indent}{number}[{label}]"
            return
        yield f"{indent}subgraph {number}[{label}]"
        if node.id in starts:
            yield f"{indent}  {starts[node.id]}([{_quoted(_LEADERS.get(node.type, 'task'))}])"
        for each in inside[node.id]:
            yield from lines(each, indent + "  ")
        yield f"{indent}end"

    arrows = [
        f"  {(starts if _is_into(edge, parents) else numbers)[edge.source]} -->"
        + (f"|{_quoted(edge.label)}|" if edge.label else "")
        + f" {numbers[edge.target]}"
        for edge in edges
    ]
    return "\n".join(["flowchart TD", *lines(nodes[0], "  "), *arrows]) + "\n"


def _is_into(edge: GraphEdge, parents: Mapping[str, str | None]) -> bool:
    """Whether an edge goes from a team or an agent to one inside of it."""
    return parents[edge.target] == edge.source


def _quoted(text: str) -> str:
    """A label, without what would end it or be taken for Markdown or HTML."""
    return f'"{" ".join(text.split()).translate(_ENTITIES)}"'
