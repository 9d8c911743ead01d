"""Checks of the functions that a graph names, before its form is known to be valid."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from teamrun.components.reading.problems import Problems, pointer
from teamrun.components.reading.scope import Scope
from teamrun.json_types import JsonMapping

__all__ = ["check_edges"]


def check_edges(graph: Any, where: str, scope: Scope, problems: Problems) -> None:
    """Note the functions of edges that are not registered; `where` points to the graph."""
    nodes: Any = _part(graph, "nodes")
    for name, node in cast("JsonMapping", nodes if isinstance(nodes, Mapping) else {}).items():
        edges: Any = _part(node, "edges")
        several = cast("Sequence[Any]", edges if isinstance(edges, (list, tuple)) else ())
        for index, edge in enumerate(several):
            place = pointer(where, "nodes", name, "edges", index, "condition", "function")
            function = _part(_part(edge, "condition"), "function")
            scope.check_function(function, place, problems)


def _part(value: Any, name: str) -> Any:
    return cast("JsonMapping", value).get(name) if isinstance(value, Mapping) else None
