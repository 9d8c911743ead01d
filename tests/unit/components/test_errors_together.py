"""All errors of a definition are reported together, and none that only follows from another."""

from typing import Any

import pytest

from teamrun.components.registry import Registry
from teamrun.testing import ScriptedModel

REGISTRY = Registry.of(teams={}, models={"m": ScriptedModel([])})
BAD = {"name": "c", "model": "nope"}
"""An agent with a problem; its name is known."""


def agents(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "model": "m"} for name in names]


def errors(**team: Any) -> dict[str, str]:
    found = REGISTRY.validate(team_spec=team).errors
    return {each.pointer.removeprefix("/team_spec"): each.detail for each in found}


CASES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a role and another field": (
        {"type": "debate", "agents": agents("a", "b", "c"), "judge": "x", "max_turns": 0},
        {"/judge": "'judge': names 'x', and the members are", "/max_turns": "at least 1"},
    ),
    "a role and a member": (
        {"type": "debate", "agents": [*agents("a", "b"), BAD], "judge": "x"},
        {"/judge": "names 'x'", "/agents/2/model": "nope"},
    ),
    "a role that is the member with the problem": (
        {"type": "debate", "agents": [*agents("a", "b", "d"), BAD], "judge": "c"},
        {"/agents/3/model": "nope"},
    ),
    "a role, and a member without a name": (
        {"type": "debate", "agents": [*agents("a", "b", "d"), {"model": "m"}], "judge": "c"},
        {"/agents/3/name": "is needed"},
    ),
    "too many competitors wanted, and a member": (
        {"type": "competitive", "agents": [*agents("a"), BAD], "enough": 3},
        {"/enough": "there are 2 competitors", "/agents/1/model": "nope"},
    ),
    "one name twice, once with a problem": (
        {"type": "sequential", "agents": [*agents("c"), BAD]},
        {"/agents/1/model": "nope", "/agents/1": "Two members are named 'c'"},
    ),
    "a reserved name, and a member": (
        {"type": "selector_group_chat", "model": "m", "agents": [*agents("selector"), BAD]},
        {"/agents/1/model": "nope", "/agents": "no member may be named 'selector'"},
    ),
    "a reserved name, and another field": (
        {"type": "magentic_one", "model": "m", "agents": agents("orchestrator"), "max_stalls": 0},
        {"/agents": "no member may be named 'orchestrator'", "/max_stalls": "at least 1"},
    ),
    "too few members, one with a problem": (
        {"type": "debate", "agents": [*agents("a"), BAD]},
        {"/agents/1/model": "nope", "/agents": "at least 3 items"},
    ),
    "an unknown source, and a member": (
        {
            "type": "round_robin_group_chat",
            "agents": [*agents("a"), BAD],
            "termination": {"type": "source_match", "sources": ["c", "x"]},
        },
        {"/termination/sources/1": "named 'x'", "/agents/1/model": "nope"},
    ),
    "an unknown output, and a member": (
        {"type": "round_robin_group_chat", "agents": [*agents("a"), BAD], "output": "x"},
        {"/output": "named 'x'", "/agents/1/model": "nope"},
    ),
    "a source that may be inside of the member with the problem": (
        {
            "type": "round_robin_group_chat",
            "agents": [{"type": "sequential", "name": "t", "agents": [BAD]}],
            "termination": {"type": "source_match", "sources": ["x"]},
        },
        {"/agents/0/agents/0/model": "nope"},
    ),
    "a tool that the member with the problem may have": (
        {
            "type": "round_robin_group_chat",
            "agents": [*agents("a"), BAD],
            "termination": {"type": "function_call", "function_name": "f"},
        },
        {"/agents/1/model": "nope"},
    ),
    "a node that is no agent, and a member": (
        {
            "type": "graph_flow",
            "agents": [*agents("a"), BAD],
            "graph": {"nodes": {"a": {"edges": [{"target": "x"}]}, "c": {}, "x": {}}},
        },
        {"/graph": "the node 'x' is no agent", "/agents/1/model": "nope"},
    ),
    "a format without a schema, and another field": (
        {
            "type": "sequential",
            "agents": [{"name": "a", "model": "m", "output_format": "{x}", "temperature": -1}],
        },
        {"/agents/0/output_format": "needs 'output_schema'", "/agents/0/temperature": "at least 0"},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_all_that_can_be_known_is_reported(case: tuple[dict[str, Any], dict[str, str]]) -> None:
    team, expected = case

    found = errors(**team)

    assert found.keys() == expected.keys()
    for place, text in expected.items():
        assert text in found[place]
