"""The graph of a `GraphFlow` and its builder; the texts of errors are those of AutoGen 0.7.5."""

import itertools
import json
from typing import Any

import pytest
from pydantic_core import PydanticSerializationError
from tests.support.talkers import Talker

from teamrun.messages import BaseChatMessage
from teamrun.teams import DiGraph, DiGraphBuilder, DiGraphEdge, DiGraphNode


def builder(names: str, *ways: tuple[str, str, dict[str, Any]], start: str = "") -> DiGraphBuilder:
    made = DiGraphBuilder()
    for name in names:
        made.add_node(Talker(name))
    for source, target, options in ways:
        made.add_edge(source, target, **options)
    return made.set_entry_point(start) if start else made


ANY = {"activation_condition": "any"}


@pytest.mark.behaviour("team.graph.validation")
@pytest.mark.parametrize(
    ("made", "says"),
    [
        (builder(""), "Graph has no nodes."),
        (builder("ab", ("a", "b", {}), ("b", "a", {})), "must have at least one start node"),
        (
            builder("ab", ("a", "b", {}), ("b", "a", {}), start="a"),
            "must have at least one leaf node",
        ),
        (
            builder("abcd", ("a", "b", {}), ("b", "c", {}), ("c", "b", {}), ("a", "d", {})),
            "Cycle detected without exit condition: b -> c -> b",
        ),
        (
            builder("abc", ("a", "b", {}), ("a", "c", {"condition": "x"})),
            "Node 'a' has a mix of conditional and unconditional edges.",
        ),
        (
            builder("abc", ("a", "c", {}), ("b", "c", ANY)),
            "Conflicting activation conditions for target 'c' group 'c': 'all' (from node 'a') and "
            "'any' (from node 'b')",
        ),
    ],
)
def test_a_graph_that_cannot_be_executed_is_refused(made: DiGraphBuilder, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        made.build()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        (
            DiGraph(nodes={"a": DiGraphNode(name="a", edges=[DiGraphEdge(target="z")])}),
            "from 'a' to 'z', which is not a node",
        ),
        (DiGraph(nodes={"a": DiGraphNode(name="b")}), "'a' has the name 'b'"),
        (
            DiGraph(nodes={"a": DiGraphNode(name="a")}, default_start_node="z"),
            "The start node 'z' is not a node",
        ),
    ],
)
def test_names_that_are_no_nodes_are_refused(graph: DiGraph, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        graph.graph_validate()


@pytest.mark.behaviour("team.graph.builder")
@pytest.mark.parametrize(
    ("step", "given", "says"),
    [
        (DiGraphBuilder.add_edge, ("z", "a"), "Source node 'z' must be added before adding"),
        (DiGraphBuilder.add_edge, ("a", "z"), "Target node 'z' must be added before adding"),
        (DiGraphBuilder.set_entry_point, ("z",), "Start node 'z' must be added before setting"),
    ],
)
def test_the_builder_refuses_nodes_that_were_not_added(
    step: Any, given: tuple[str, ...], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        step(builder("a"), *given)


@pytest.mark.behaviour("team.graph.json")
def test_a_graph_is_autogens_json_and_is_read_from_it() -> None:
    made = builder("ab")
    with pytest.deprecated_call():
        made.add_conditional_edges("a", {"yes": "b"})
    graph = made.build()

    data = graph.model_dump(mode="json", exclude_none=True)
    edge = {
        "target": "b",
        "condition": "yes",
        "activation_group": "b",
        "activation_condition": "all",
    }
    assert data == {
        "nodes": {
            "a": {"name": "a", "edges": [edge], "activation": "all"},
            "b": {"name": "b", "edges": [], "activation": "all"},
        }
    }
    assert DiGraph.model_validate(json.loads(json.dumps(data))) == graph


@pytest.mark.behaviour("team.graph.json.functions")
def test_a_function_is_not_left_out_of_the_json() -> None:
    def always(message: BaseChatMessage) -> bool:
        return True

    graph = builder("ab", ("a", "b", {"condition": always})).build()
    with pytest.raises(PydanticSerializationError, match="edge to 'b' is a function"):
        graph.model_dump_json()


@pytest.mark.behaviour("team.graph.builder")
def test_the_parts_of_a_graph_can_be_asked_for() -> None:
    made = builder(
        "abc", ("a", "b", {}), ("b", "c", {"condition": "x"}), ("b", "a", {"condition": "y"})
    )
    made.set_entry_point("a")
    graph = made.build()

    assert graph.get_parents() == {"a": ["b"], "b": ["a"], "c": ["b"]}
    assert (graph.get_start_nodes(), graph.get_leaf_nodes()) == ({"a"}, {"c"})
    assert graph.get_has_cycles()
    assert graph.get_remaining_map() == {"a": {"a": 1}, "b": {"b": 1}, "c": {"c": 1}}
    assert [agent.name for agent in made.get_participants()] == ["a", "b", "c"]


def test_a_long_chain_is_no_recursion() -> None:
    names = [f"n{k}" for k in range(5000)]
    nodes = {
        name: DiGraphNode(name=name, edges=[DiGraphEdge(target=after)])
        for name, after in itertools.pairwise(names)
    }
    graph = DiGraph(nodes=nodes | {names[-1]: DiGraphNode(name=names[-1])})
    graph.graph_validate()
    assert not graph.get_has_cycles()
