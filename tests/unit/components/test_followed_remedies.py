"""Remedies in errors and warnings of teams, each followed."""

import json
import re
from typing import Any

import pytest

from teamrun.components.catalog import Teams
from teamrun.components.registry import Registry
from teamrun.components.resources import Validation
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool

Json = dict[str, Any]
CHAT = "autogen_agentchat"


def registry() -> Registry:
    return Registry.of(teams={}, models={"main": ScriptedModel([])})


async def validated(spec: Json) -> Validation:
    return await Teams(registry()).validate("default", team=None, team_spec=spec)


def agents(names: str = "ab", **fields: Any) -> list[Json]:
    return [{"name": name, "model": "main", **fields} for name in names]


def team(termination: Any) -> Json:
    return {"type": "round_robin_group_chat", "agents": agents(), "termination": termination}


def component(provider: str, **config: Any) -> Json:
    return {"provider": f"{CHAT}.{provider}", "component_type": "any", "config": config}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("TERMINATE", {"type": "text_mention", "text": "TERMINATE"}),
        ({"text_mention": "APPROVE"}, {"type": "text_mention", "text": "APPROVE"}),
        ({"text_mention": {"text": "x"}}, {"type": "text_mention", "text": "x"}),
        ({"max_messages": 3}, {"type": "max_messages", "max_messages": 3}),
        ({"MaxMessageTermination": 3}, {"type": "max_messages", "max_messages": 3}),
        ({"timeout": 3}, {"type": "timeout", "timeout_seconds": 3}),
        ({"stop_message": None}, {"type": "stop_message"}),
        ({"text": "TERMINATE"}, {"type": "text_mention", "text": "TERMINATE"}),
    ],
)
def test_the_form_of_a_condition_is_shown(written: Any, meant: Json) -> None:
    for termination in (written, [written]):
        (fault,) = registry().validate(team_spec=team(termination)).errors
        (shown,) = re.findall(r"\{.*\}", fault.detail)
        assert json.loads(shown) == meant
        assert registry().validate(team_spec=team(json.loads(shown))).errors == []


@pytest.mark.parametrize(
    "written", [5, {"text_mention": "x" * 200}, {"or": []}, {"a": 1, "b": 2}, {"unknown": 1}]
)
def test_other_wrong_conditions_are_faults_too(written: Any) -> None:
    assert registry().validate(team_spec=team(written)).errors != []


@pytest.mark.parametrize(
    ("graph", "remedies"),
    [
        (
            {"nodes": {"a": {"edges": [{"target": "b"}]}, "b": {"edges": [{"target": "a"}]}}},
            ["default_start_node", "one without 'edges'", "a -> b -> a"],
        ),
        (
            {
                "default_start_node": "a",
                "nodes": {
                    "a": {"edges": [{"target": "b"}]},
                    "b": {"edges": [{"target": "a", "condition": "x"}, {"target": "c"}]},
                    "c": {},
                },
            },
            ["'b' has edges with and without 'condition'", "'termination' or 'max_turns'"],
        ),
        (
            {"default_start_node": "z", "nodes": {"a": {"edges": [{"target": "y"}]}, "x": {}}},
            ["'x' is no agent", "'a' to 'y'", "'default_start_node' is 'z'"],
        ),
        ({"nodes": {"a": {"name": "b"}, "b": {}}}, ["'a' has the 'name' 'b'"]),
        ({"nodes": {}}, ["'nodes' has one for each agent"]),
    ],
)
def test_the_faults_of_a_graph_are_reported_together(graph: Json, remedies: list[str]) -> None:
    spec = {"type": "graph_flow", "agents": agents("abc"), "graph": graph}

    (fault,) = registry().validate(team_spec=spec).errors

    assert (fault.pointer, fault.code) == ("/team_spec/graph", "invalid_definition")
    assert [remedy for remedy in remedies if remedy not in fault.detail] == []


def test_the_remedies_of_a_graph_can_be_followed() -> None:
    nodes = {
        "a": {"edges": [{"target": "b"}]},
        "b": {"edges": [{"target": "a", "condition": "x"}, {"target": "c", "condition": "y"}]},
        "c": {},
    }
    graph = {"default_start_node": "a", "nodes": nodes}
    spec = {"type": "graph_flow", "agents": agents("abc"), "graph": graph, "max_turns": 5}

    assert registry().validate(team_spec=spec).errors == []


LACKING: list[tuple[Json, str]] = [
    ({"type": "round_robin_group_chat", "agents": [{"name": "a"}]}, "/agents/0/model"),
    ({"type": "selector_group_chat", "agents": agents()}, "/model"),
    (component("teams.SelectorGroupChat", participants=agents()), "/config/model_client"),
    (component("teams.MagenticOneGroupChat", participants=agents()), "/config/model_client"),
]


@pytest.mark.parametrize(("spec", "place"), LACKING)
def test_a_model_that_is_lacking_is_asked_for_with_those_that_there_are(
    spec: Json, place: str
) -> None:
    (fault,) = registry().validate(team_spec=spec).errors

    assert (fault.pointer, fault.code) == (f"/team_spec{place}", "invalid_definition")
    assert all(part in fault.detail for part in (repr(place.split("/")[-1]), "'main'"))
    misspelt = {**spec, "agents": [{"name": "a", "modle": "main"}]} if "agents" in spec else spec
    found = registry().validate(team_spec=misspelt).errors
    assert not any(each.pointer.endswith("/agents/0/model") for each in found)


WAYS: list[Json] = [
    {"type": "round_robin_group_chat", "agents": agents()},
    {"type": "selector_group_chat", "model": "main", "agents": agents()},
    {"type": "swarm", "agents": agents(handoffs=["c"])},
    component("teams.RoundRobinGroupChat", participants=agents()),
]


@pytest.mark.parametrize("spec", WAYS)
async def test_a_team_that_never_ends_is_a_warning_whose_remedies_can_be_followed(
    spec: Json,
) -> None:
    checked = await validated(spec)

    assert checked.valid
    (note,) = checked.warnings
    assert (note.pointer, "'max_turns'" in note.detail) == ("/team_spec", True)
    is_component = "config" in spec
    condition = component("conditions.MaxMessageTermination", max_messages=3)
    field = "termination_condition" if is_component else "termination"
    for end in ({"max_turns": 3}, {field: condition}):
        ended = {**spec, "config": {**spec["config"], **end}} if is_component else {**spec, **end}
        assert (await validated(ended)).warnings == []


async def test_inner_teams_that_never_end_are_named() -> None:
    inner = {"type": "round_robin_group_chat", "name": "inner", "agents": agents()}
    outer = {"type": "sequential", "agents": [inner, {"name": "c", "model": "main"}]}

    (note,) = (await validated(outer)).warnings

    assert "'inner'" in note.detail


async def test_an_agent_that_is_no_node_of_its_graph_is_a_warning() -> None:
    nodes: Json = {"a": {"edges": [{"target": "b"}]}, "b": {}}
    spec = {"type": "graph_flow", "agents": agents("abc"), "graph": {"nodes": nodes}}

    (note,) = (await validated(spec)).warnings

    assert "'c' is no node" in note.detail
    nodes["c"] = {}
    assert (await validated(spec)).warnings == []


async def test_a_team_that_ends_by_itself_needs_no_condition() -> None:
    for kind in ("sequential", "concurrent"):
        checked = await validated({"type": kind, "agents": agents()})
        assert (checked.errors, checked.warnings) == ([], [])


def test_a_name_in_a_condition_that_autogen_takes_is_a_warning() -> None:
    condition = component("conditions.HandoffTermination", target="user")
    members = agents(handoffs=["c"])
    exported = component("teams.Swarm", participants=members, termination_condition=condition)
    ours = {"type": "swarm", "agents": members, "termination": condition}
    pointer = "/team_spec/config/termination_condition/config/target"

    checked = registry().validate(team_spec=exported)
    assert (checked.errors, [note.pointer for note in checked.warnings]) == ([], [pointer])
    assert [fault.pointer for fault in registry().validate(team_spec=ours).errors] == [
        "/team_spec/termination/config/target"
    ]


LONE: dict[str, Json] = {
    "participants": component("agents.AssistantAgent", name="a", model_client="main"),
    "termination_condition": component("conditions.MaxMessageTermination", max_messages=3),
}


@pytest.mark.parametrize("field", LONE)
def test_a_component_that_is_no_team_has_its_place_in_one(field: str) -> None:
    part = LONE[field]

    (fault,) = registry().validate(team_spec=part).errors
    assert (fault.pointer, fault.code) == ("/team_spec/provider", "unknown_provider")
    assert f"'{field}' of a team" in fault.detail

    team = component("teams.RoundRobinGroupChat", participants=agents(), max_turns=3)
    team["config"][field] = [part] if field == "participants" else part
    assert registry().validate(team_spec=team).errors == []


def test_a_tool_that_is_not_converted_can_be_registered_under_its_name() -> None:
    def look_up(word: str) -> str:
        return word

    provider = "autogen_ext.tools.http.HttpTool"
    tool = {"provider": provider, "component_type": "tool", "config": {"name": "look_up"}}
    agent = component("agents.AssistantAgent", name="a", model_client="main", tools=[tool])
    spec = component("teams.RoundRobinGroupChat", participants=[agent], max_turns=3)

    (fault,) = registry().validate(team_spec=spec).errors
    assert "register one named 'look_up'" in fault.detail

    tools = [FunctionTool(look_up, "Look a word up.")]
    having = Registry.of(teams={}, models={"main": ScriptedModel([])}, tools=tools)
    assert having.validate(team_spec=spec).errors == []
