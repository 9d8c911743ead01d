"""Agents and teams as tools, in requests and in the operator's file."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.components.test_component_json import (
    assistant,
    component,
    registry,
    team,
    tool,
    workbench,
)

from teamrun.catalog.graph import graph_of
from teamrun.components.definitions.agents import AssistantDefinition
from teamrun.components.definitions.base import BaseTeamDefinition, TeamDefinition
from teamrun.components.definitions.delegates import AgentToolDefinition, TeamToolDefinition
from teamrun.components.definitions.names import agents_of, models_of, tools_of
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError
from teamrun.testing import ScriptedModel

Json = dict[str, Any]
TOOLS = "autogen_agentchat.tools."
WRITER = {"name": "writer", "model": "main"}
DESK = {"type": "round_robin_group_chat", "name": "desk", "agents": [WRITER], "max_turns": 1}
AT = "/team_spec/agents/0/tools"


def outer(*tools: Any, **more: Any) -> Json:
    agent = {"name": "outer", "model": "main", "tools": list(tools), **more}
    return {"type": "round_robin_group_chat", "agents": [agent], "max_turns": 1}


def only_agent(definition: TeamDefinition) -> AssistantDefinition:
    agent = definition.participants[0]
    assert isinstance(agent, AssistantDefinition)
    return agent


@pytest.mark.behaviour("json.agent_tools")
def test_components_of_autogen_are_read() -> None:
    inner = assistant("inner", workbench=[workbench(tool(source_code="def look_up(): ..."))])
    boss = assistant(
        "boss",
        workbench=[
            workbench(
                component(
                    f"{TOOLS}AgentTool", {"agent": inner, "return_value_as_last_message": True}
                ),
                tool(),
                component(
                    f"{TOOLS}TeamTool",
                    {"team": team(assistant("deep")), "name": "crew", "description": "A crew."},
                ),
            )
        ],
    )

    resolved = registry().resolve(team_spec=team(boss))

    agent = only_agent(resolved.definition)
    first, second, third = agent.tools
    assert isinstance(first, AgentToolDefinition)
    assert isinstance(third, TeamToolDefinition)
    assert (first.agent.name, first.return_value_as_last_message) == ("inner", True)
    assert second == "look_up"
    assert (third.team.name, third.name, third.description) == ("desk", "crew", "A crew.")
    assert agent.tool_names == ("inner", "look_up", "crew")
    assert agents_of(resolved.definition) == ["boss", "inner", "deep"]
    assert tools_of(resolved.definition) == {"look_up"}
    assert list(resolved.models) == ["main"]
    [warning] = [
        each
        for each in registry().validate(team_spec=team(boss)).warnings
        if "source" in each.detail
    ]
    assert warning.pointer.endswith(
        "/tools/0/config/agent/config/workbench/0/config/tools/0/config/source_code"
    )


def test_the_canonical_form_is_read_again_and_is_the_same() -> None:
    written = outer("look_up", {"agent": WRITER}, {"team": DESK, "name": "crew"})
    definition = registry().resolve(team_spec=written).definition

    dumped = definition.model_dump(mode="json", exclude_none=True)

    assert type(definition).model_validate(dumped) == definition
    again: Any = registry().resolve(team_spec=dumped).definition
    assert again == definition


def test_a_team_gives_its_tool_its_name() -> None:
    definition = registry().resolve(team_spec=outer({"team": DESK})).definition

    assert only_agent(definition).tool_names == ("desk",)
    [node] = [
        each for each in graph_of(definition, name="x", version="1").nodes if each.name == "outer"
    ]
    assert node.tools == ["desk"]


def test_another_model_for_all_agents_is_that_of_those_inside_too() -> None:
    known = Registry.of(
        teams={"t": outer("look_up", {"agent": WRITER}, {"team": DESK})},
        models={"main": ScriptedModel([]), "other": ScriptedModel([])},
        tools=[registry().tool("look_up")],
    )
    definition = known.resolve(team="t").definition

    changed = known.overridden("t", definition, model="other", max_turns=None).definition

    assert models_of(definition) == {"main"}
    assert models_of(changed) == {"other"}
    assert tools_of(changed) == {"look_up"}


def test_names_inside_may_be_mentioned_by_conditions() -> None:
    inner = {**WRITER, "tools": ["look_up"], "handoffs": ["boss"]}
    conditions = [
        {"type": "source_match", "sources": ["writer"]},
        {"type": "function_call", "function_name": "look_up"},
        {"type": "function_call", "function_name": "desk"},
        {"type": "handoff", "target": "boss"},
    ]
    spec = outer({"team": {**DESK, "agents": [inner]}})

    checked = registry().validate(team_spec=spec | {"termination": conditions})

    assert checked.errors == []


REFUSED: list[tuple[Json, str, str, str]] = [
    (outer({"agent": "writer"}), "/0/agent", "invalid_definition", "written out here"),
    (outer({"agent": DESK}), "/0/agent", "invalid_definition", "'agent' must be an agent"),
    (outer({"team": WRITER}), "/0/team", "invalid_definition", "'team' must be a team"),
    (outer({"type": "agent_tool"}), "/0/agent", "invalid_definition", "'agent'"),
    (outer({"agent": WRITER, "name": "x"}), "/0/name", "unknown_field", "It takes"),
    (outer({"agent": WRITER, "team": DESK}), "/0/team", "unknown_field", "It takes"),
    (outer({"agent": {**WRITER, "model": "man"}}), "/0/agent/model", "unknown_model", "main"),
    (outer({"agent": WRITER}, {"agent": WRITER}), "/1", "invalid_definition", "occurs twice"),
    (outer({"name": "x", "code": "y"}), "/0", "source_not_allowed", "'agent' or 'team'"),
    (outer({"team": {**DESK, "name": "look_up"}}, "look_up"), "/1", "invalid_definition", "twice"),
]


@pytest.mark.parametrize(("spec", "at", "code", "says"), REFUSED)
def test_mistakes_are_refused_at_their_location(spec: Json, at: str, code: str, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        registry().resolve(team_spec=spec)

    assert (caught.value.pointer, caught.value.code) == (AT + at, code)
    assert says in caught.value.message


def test_a_registered_tool_that_a_component_has_twice_is_one_tool() -> None:
    spec = team(assistant(tools=[tool()], workbench=[workbench(tool())]))

    assert only_agent(registry().resolve(team_spec=spec).definition).tools == ("look_up",)
    assert "occurs twice" in registry().validate(team_spec=spec).warnings[-1].detail


def test_a_fault_inside_has_no_other_in_consequence(tmp_path: Path) -> None:
    (tmp_path / "teamrun.yaml").write_text(
        "version: 1\n"
        "agents: {w: {model: no}, a: {model: m, tools: [{agent: w}]}}\n"
        "models: {m: {type: scripted, script: [x]}}\n"
        "teams: {t: {type: round_robin_group_chat, agents: [a], max_turns: 1}}\n",
        encoding="utf-8",
    )
    with pytest.raises(DefinitionError) as caught:
        load_registry(tmp_path / "teamrun.yaml", environ={})

    assert [each["pointer"] for each in caught.value.data["problems"]] == ["/agents/w/model"]


def test_a_handoff_may_not_be_named_like_an_agent_as_a_tool() -> None:
    spec = outer({"agent": WRITER}, handoffs=[{"target": "x", "name": "writer"}])

    with pytest.raises(DefinitionError, match="already sees the tool 'writer'"):
        registry().resolve(team_spec=spec)


def test_they_nest_to_a_bounded_depth() -> None:
    def deep(levels: int) -> Json:
        agent: Json = {**WRITER}
        for level in range(levels):
            agent = {"name": f"a{level}", "model": "main", "tools": [{"agent": agent}]}
        return outer({"agent": agent})

    assert len(agents_of(registry().resolve(team_spec=deep(6)).definition)) == 8
    with pytest.raises(DefinitionError, match="nested more than 8 levels deep"):
        registry().resolve(team_spec=deep(9))


FILE = """
version: 1
models: {{main: {{type: scripted, script: [x]}}}}
agents:
  writer: {{model: main}}
  boss: {{model: main, role: {role}, tools: [{{agent: {inner}}}, {{team: pair}}]}}
roles: {{own: {{system_message: Lead.}}}}
teams:
  pair: {{type: round_robin_group_chat, agents: [writer], max_turns: 1}}
  desk: {{type: round_robin_group_chat, agents: [boss, writer], max_turns: 1}}
"""


def loaded(folder: Path, inner: str, role: str = "own") -> Registry:
    path = folder / "teamrun.yaml"
    path.write_text(FILE.format(inner=inner, role=role), encoding="utf-8")
    return load_registry(path, environ={})


@pytest.mark.behaviour("config.delegates")
def test_in_the_file_they_name_agents_and_teams(tmp_path: Path) -> None:
    definition = loaded(tmp_path, "writer").resolve(team="desk").definition

    assert only_agent(definition).tool_names == ("writer", "pair")
    assert isinstance(only_agent(definition).inner[1], BaseTeamDefinition)


def test_an_agent_as_a_tool_of_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="cannot be inside of itself: 'boss' in 'boss'"):
        loaded(tmp_path, "boss")
