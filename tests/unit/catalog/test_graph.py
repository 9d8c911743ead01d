"""The graph of every type of team: who may speak after whom, and as a Mermaid flowchart."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from teamrun.catalog.graph import graph_of
from teamrun.catalog.resources import TeamGraph
from teamrun.components.definitions.kinds import TEAMS
from teamrun.components.registry import Registry
from teamrun.testing import ScriptedModel

REGISTRY = Registry.of(teams={}, models={"m": ScriptedModel([])}, functions={"made": bool})


def agent(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "model": "m", **more}


def team(type: str, *names: str, **more: Any) -> dict[str, Any]:
    return {"type": type, "participants": [agent(name) for name in names], **more}


def graph(spec: dict[str, Any]) -> TeamGraph:
    resolved = REGISTRY.resolve(team_spec=spec)
    return graph_of(resolved.definition, name="crew", version="1")


def edges(found: TeamGraph) -> list[str]:
    """Each edge as `source kind target`, without the name of the outermost team."""
    return [
        f"{edge.source.removeprefix('crew/')} {edge.kind} {edge.target.removeprefix('crew/')}"
        + (f" ({edge.label})" if edge.label else "")
        for edge in found.edges
    ]


@dataclass(frozen=True)
class Case:
    spec: dict[str, Any]
    edges: list[str]
    drawn: list[str] = field(default_factory=list[str])
    """Lines of the flowchart."""


FLOW = {"nodes": {"a": {"edges": [{"target": "b", "condition": 'say "go" <now>'}]}, "b": {}}}
INNER = team("selector_group_chat", "c", "d", model="m", name="inner")
WITH_TEAM = team("round_robin_group_chat", "a")
WITH_TEAM["participants"].append(INNER)

CASES = {
    "round robin": Case(
        team("round_robin_group_chat", "a", "b", "c"),
        ["a next b", "b next c", "c next a"],
        ['  subgraph n0["crew (round_robin_group_chat)"]', "  n3 --> n1"],
    ),
    "round robin of one": Case(team("round_robin_group_chat", "a"), []),
    "selector": Case(
        team("selector_group_chat", "a", "b", model="m"),
        ["crew selects a", "crew selects b"],
        ['    n0s(["selector"])', "  n0s --> n1"],
    ),
    "swarm": Case(
        {
            "type": "swarm",
            "participants": [agent("a", handoffs=["b", "user"]), agent("b", handoffs=["a"])],
        },
        ["a handoff b", "b handoff a"],
    ),
    "swarm with a filter": Case(
        {
            "type": "swarm",
            "participants": [
                {
                    "type": "message_filter_agent",
                    "name": "a",
                    "agent": agent("x", handoffs=["b"]),
                    "filter": {"per_source": [{"source": "user"}]},
                },
                agent("b"),
            ],
        },
        ["a handoff b"],
        ['    subgraph n1["a (message_filter_agent)"]', '      n2["x (assistant_agent)"]'],
    ),
    "graph": Case(
        team("graph_flow", "a", "b", graph=FLOW),
        ['a flow b (say "go" <now>)'],
        ['  n1 -->|"say #quot;go#quot; #lt;now#gt;"| n2'],
    ),
    "magentic": Case(
        team("magentic_one", "a", "b", model="m"),
        ["crew selects a", "crew selects b"],
        ['    n0s(["orchestrator"])'],
    ),
    "sequential": Case(team("sequential", "a", "b", "c"), ["a next b", "b next c"]),
    "concurrent": Case(
        team("concurrent", "a", "b"),
        ["crew starts a", "crew starts b"],
        ['    n0s(["task"])', "  n0s --> n1"],
    ),
    "concurrent with a synthesizer": Case(
        team("concurrent", "a", "b", "c", synthesizer="b"),
        ["crew starts a", "crew starts c", "a next b", "c next b"],
    ),
    "hierarchical": Case(
        team("hierarchical", "a", "b", "c"),
        ["a assigns b", "a assigns c", "b next a", "c next a"],
    ),
    "hierarchical with a named manager": Case(
        team("hierarchical", "a", "b", manager="b"), ["b assigns a", "a next b"]
    ),
    "debate": Case(
        team("debate", "a", "b", "c"),
        ["crew starts a (2 rounds)", "crew starts b (2 rounds)", "a next c", "b next c"],
        ['  n0s -->|"2 rounds"| n1'],
    ),
    "debate of one round with a named judge": Case(
        team("debate", "a", "b", "c", judge="a", rounds=1),
        ["crew starts b", "crew starts c", "b next a", "c next a"],
    ),
    "competitive": Case(team("competitive", "a", "b"), ["crew starts a", "crew starts b"]),
    "competitive with a judge": Case(
        team("competitive", "a", "b", judge="b"), ["crew starts a", "a next b"]
    ),
    "nested": Case(
        WITH_TEAM,
        ["a next inner", "inner next a", "inner selects inner/c", "inner selects inner/d"],
        ["  n1 --> n2", "  n2 --> n1", '      n2s(["selector"])', "  n2s --> n3"],
    ),
    "agents and teams as tools": Case(
        {
            "type": "round_robin_group_chat",
            "participants": [
                agent("a", tools=[{"agent": agent("x")}, {"team": INNER, "name": "ask"}]),
                agent("b"),
            ],
        },
        [
            "a next b",
            "b next a",
            "a tool a/x",
            "a tool a/ask",
            "a/ask selects a/ask/c",
            "a/ask selects a/ask/d",
        ],
        ['      n1s(["model"])', "  n1 --> n6", "  n1s --> n2", "  n1s --> n3", "  n3s --> n4"],
    ),
    "a team in Python": Case(
        {"type": "custom_team", "function": "made"},
        [],
        ['  n0["crew (custom_team)"]'],
    ),
    "society of mind": Case(
        {
            "type": "round_robin_group_chat",
            "participants": [
                {"type": "society_of_mind_agent", "name": "s", "model": "m", "team": INNER}
            ],
        },
        ["s/inner selects s/inner/c", "s/inner selects s/inner/d"],
        ['    subgraph n1["s (society_of_mind_agent)"]', '      subgraph n2["inner (selector_gro'],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_edges_say_who_may_speak_after_whom(case: Case) -> None:
    found = graph(case.spec)

    assert edges(found) == case.edges
    for line in case.drawn:
        assert line in found.mermaid
    ids = {node.id for node in found.nodes}
    assert ids >= {end for edge in found.edges for end in (edge.source, edge.target)}


def test_every_type_of_team_has_a_case() -> None:
    assert {case.spec["type"] for case in CASES.values()} == set(TEAMS.types)


def test_a_node_has_the_name_of_the_team_and_what_it_uses() -> None:
    first, second, *_ = graph(team("selector_group_chat", "a", "b", model="m")).nodes

    assert (first.id, first.name, first.parent, first.models) == ("crew", "crew", None, ["m"])
    assert (second.id, second.name, second.parent) == ("crew/a", "a", "crew")


def test_a_label_ends_no_string_and_begins_no_markdown() -> None:
    nodes = {"a": {"edges": [{"target": "b", "condition": "`#1`"}]}, "b": {}}

    assert (
        '|"#96;#35;1#96;"|' in graph(team("graph_flow", "a", "b", graph={"nodes": nodes})).mermaid
    )
