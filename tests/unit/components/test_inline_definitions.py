"""Accepted and refused values of `team_spec`, with the pointer and code of each problem."""

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from teamrun.components.definitions.agents import AssistantDefinition, UserProxyDefinition
from teamrun.components.definitions.teams import SelectorDefinition
from teamrun.components.reading.problems import ProblemCode
from teamrun.components.registry import Registry
from teamrun.errors import DefinitionError
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool


def look_up(word: str) -> str:
    """Look a word up."""
    return word


def registry() -> Registry:
    return Registry.of(
        models={"main": ScriptedModel([]), "small": ScriptedModel([])},
        tools=[FunctionTool(look_up, "Look a word up.")],
        teams={"pair": spec()},
        functions={"pick": bool},
    )


def agent(**fields: Any) -> dict[str, Any]:
    return {"name": "writer", "model": "main", **fields}


def spec(*agents: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "round_robin_group_chat", "agents": list(agents) or [agent()], **fields}


def refused(team_spec: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        registry().resolve(team_spec=team_spec)
    return caught.value


@pytest.mark.behaviour("config.tenant")
def test_an_inline_team_is_read_with_all_its_fields() -> None:
    resolved = registry().resolve(
        team_spec={
            "version": 1,
            "type": "selector_group_chat",
            "name": "desk",
            "agents": [
                agent(
                    tools=["look_up"],
                    system_message="Write.",
                    max_tool_use_attempts=3,
                    handoffs=["editor"],
                    model_context={"type": "buffered", "buffer_size": 5},
                ),
                {"name": "editor", "model": "small"},
            ],
            "model_for_selection": "small",
            "termination": [{"type": "text_mention", "text": "END"}, {"type": "max_messages"}],
            "max_rounds": 7,
        }
    )

    team = resolved.definition
    assert isinstance(team, SelectorDefinition)
    writer = team.participants[0]
    assert isinstance(writer, AssistantDefinition)
    assert (resolved.name, team.model, team.max_turns) == ("desk", "small", 7)
    assert (writer.tools, writer.max_tool_iterations) == (("look_up",), 3)
    assert writer.handoffs[0].target == "editor"
    assert writer.model_context is not None and writer.model_context.buffer_size == 5
    assert team.termination is not None and team.termination.type == "or"
    assert set(resolved.models) == {"main", "small"}
    assert set(resolved.tools) == {"look_up"}


def test_both_names_of_a_field_mean_the_same_team() -> None:
    one = registry().resolve(team_spec=spec(max_rounds=3))
    other = registry().resolve(
        team_spec={
            "type": "RoundRobinGroupChat",
            "participants": [agent(type="AssistantAgent")],
            "max_turns": 3,
        }
    )

    assert one.digest == other.digest


def test_an_inline_team_may_contain_a_team() -> None:
    resolved = registry().resolve(team_spec=spec(agent(), spec(agent(), name="inner")))

    assert [member.name for member in resolved.definition.participants] == ["writer", "inner"]


@dataclass(frozen=True)
class Case:
    id: str
    team_spec: Any
    code: ProblemCode
    pointer: str
    says: str
    """A part of the remedy."""


def assistant_component(**config: Any) -> dict[str, Any]:
    return {
        "provider": "autogen_agentchat.agents.AssistantAgent",
        "component_type": "agent",
        "version": 1,
        "config": config,
    }


def nested_teams(levels: int) -> dict[str, Any]:
    team = spec(agent())
    for level in range(levels):
        team = spec(team | {"name": f"t{level}"})
    return team


OK = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


def person(**fields: Any) -> dict[str, Any]:
    return {"type": "user_proxy_agent", "name": "boss", **fields}


def nested_items(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def nested_conditions(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"type": "max_messages"}
    for _ in range(levels):
        condition = {"type": "or", "conditions": [condition]}
    return condition


def graph(**targets: list[str]) -> dict[str, Any]:
    nodes = {name: {"edges": [{"target": each} for each in to]} for name, to in targets.items()}
    return {"nodes": nodes}


def flow(graph: Any) -> dict[str, Any]:
    return {"type": "graph_flow", "agents": [agent(), agent(name="editor")], "graph": graph}


MANY: tuple[tuple[str, dict[str, Any]], ...] = (
    ("values", {"enum": list(range(200))}),
    ("objects", {"anyOf": [{"properties": {}}] * 20}),
)
CASES = [
    Case("no type", {"agents": [agent()]}, "invalid_definition", "/type", "round_robin"),
    Case("no agents", {"type": "round_robin_group_chat"}, "invalid_definition", "/agents",
         "needed"),
    Case("empty", spec() | {"agents": []}, "invalid_definition", "/agents", "empty"),
    Case("one to select", {"type": "selector_group_chat", "model": "main", "agents": [agent()]},
         "invalid_definition", "/agents", "at least 2"),
    Case("agents no list", spec() | {"agents": "writer"}, "invalid_definition", "/agents", "list"),
    Case("a name for an agent", spec("writer"), "invalid_definition", "/agents/0", "object"),
    Case("a number for an agent", spec(7), "invalid_definition", "/agents/0", "object"),
    Case("unknown team type", spec(type="swrm"), "invalid_definition", "/type", "'swarm'"),
    Case("a role of no member", spec(type="concurrent", synthesizer="z"), "invalid_definition",
         "/synthesizer", "'synthesizer': names 'z'"),
    Case("a role alone", spec(type="concurrent", synthesizer="writer"), "invalid_definition",
         "/synthesizer", "the only member"),
    Case("a manager alone", spec(type="hierarchical"), "invalid_definition", "/agents",
         "at least 2"),
    Case("a debate of two", spec(agent(), agent(name="editor"), type="debate"),
         "invalid_definition", "/agents", "at least 3"),
    Case("too few competitors", spec(type="competitive", enough=2), "invalid_definition",
         "/enough", "'enough': is 2"),
    Case("unknown agent type", spec(agent(type="assistent_agent")), "invalid_definition",
         "/agents/0/type", "'assistant_agent'"),
    Case("unknown field", spec(max_round=3), "unknown_field", "/max_round", "'max_rounds'"),
    Case("unknown agent field", spec(agent(sytem_message="x")), "unknown_field",
         "/agents/0/sytem_message", "'system_message'"),
    Case("a selector's field elsewhere", spec(model_for_selection="main"), "unknown_field",
         "/model_for_selection", "It takes"),
    Case("both spellings", spec(max_rounds=3, max_turns=3), "invalid_definition", "/max_turns",
         "max_rounds"),
    Case("no name", spec({"model": "main"}), "invalid_definition", "/agents/0/name", "needed"),
    Case("no model", spec({"name": "a"}), "invalid_definition", "/agents/0/model", "needed"),
    Case("a name with a slash", spec(agent(name="a/b")), "invalid_definition", "/agents/0/name",
         "letters, digits"),
    Case("a team name with a slash", spec(name="a/b"), "invalid_definition", "/name", "A-Z"),
    Case("two of a name", spec(agent(), agent()), "invalid_definition", "/agents/1",
         "another name"),
    Case("a member named selector",
         {"type": "selector_group_chat", "model": "main",
          "agents": [agent(name="selector"), agent()]},
         "invalid_definition", "/agents", "'selector'"),
    Case("a swarm that cannot begin", {"type": "swarm", "agents": [agent()]},
         "invalid_definition", "/agents", "'writer', which needs 'handoffs'"),
    Case("a team in a swarm",
         {"type": "swarm", "agents": [agent(handoffs=["pair"]), spec(name="pair")]},
         "invalid_definition", "/agents", "'pair' is a team"),
    Case("an orchestrator without a model", {"type": "magentic_one", "agents": [agent()]},
         "invalid_definition", "/model", "needed"),
    Case("a member named orchestrator",
         {"type": "magentic_one", "model": "main", "agents": [agent(name="orchestrator")]},
         "invalid_definition", "/agents", "'orchestrator'"),
    Case("a team with an orchestrator",
         {"type": "magentic_one", "model": "main", "agents": [spec(name="pair")]},
         "invalid_definition", "/agents", "'pair' is a team"),
    Case("no stalls", {"type": "magentic_one", "model": "main", "agents": [agent()],
                       "max_stalls": 0}, "invalid_definition", "/max_stalls", "at least 1"),
    Case("a graph flow without a graph", {"type": "graph_flow", "agents": [agent()]},
         "invalid_definition", "/graph", "needed"),
    Case("a team in a graph", {"type": "graph_flow", "agents": [spec(name="pair")],
         "graph": graph(pair=[])}, "invalid_definition", "/agents", "'pair' is a team"),
    Case("a node that is no agent", flow(graph(writer=["z"], z=[])), "invalid_definition", "/graph",
         "'z' is no agent of this team"),
    Case("an edge to nowhere", flow(graph(writer=["z"])), "invalid_definition", "/graph",
         "'z', which is not a node"),
    Case("a graph without a start", flow(graph(writer=["editor"], editor=["writer"])),
         "invalid_definition", "/graph", "default_start_node"),
    Case("an endless graph",
         flow({"default_start_node": "writer", "nodes": {
             "writer": {"edges": [{"target": "writer", "condition": "x"},
                                  {"target": "editor", "condition": "y"}]}, "editor": {}}}),
         "invalid_definition", "/graph", "'termination' or 'max_turns'"),
    Case("an unknown field of an edge",
         flow({"nodes": {"writer": {"edges": [{"target": "editor", "when": "x"}]}, "editor": {}}}),
         "invalid_definition", "/graph/nodes/writer/edges/0/when", "not known"),
    Case("a condition that is no text",
         flow({"nodes": {"writer": {"edges": [{"target": "editor", "condition": 5}]},
                         "editor": {}}}),
         "invalid_definition", "/graph/nodes/writer/edges/0/condition", "a text"),
    Case("wrong type of value", spec(max_rounds="many"), "invalid_definition", "/max_rounds",
         "whole number"),
    Case("wrong bound", spec(max_rounds=0), "invalid_definition", "/max_rounds", "at least 1"),
    Case("wrong value in an agent", spec(agent(max_tool_use_attempts=0)), "invalid_definition",
         "/agents/0/max_tool_use_attempts", "at least 1"),
    Case("unknown model", spec(agent(model="mian")), "unknown_model", "/agents/0/model", "'main'"),
    Case("unknown selecting model",
         {"type": "selector_group_chat", "model_for_selection": "x", "agents": [agent()]},
         "unknown_model", "/model_for_selection", "Registered: 'main', 'small'"),
    Case("provider and model", spec(agent(model="openai:gpt-4o")), "unknown_model",
         "/agents/0/model", "Registered"),
    Case("unknown tool", spec(agent(tools=["look_upp"])), "unknown_tool", "/agents/0/tools/0",
         "'look_up'"),
    Case("a module as a tool", spec(agent(tools=["os:system"])), "source_not_allowed",
         "/agents/0/tools/0", "names a module"),
    Case("a dotted path as a tool", spec(agent(tools=["os.system"])), "source_not_allowed",
         "/agents/0/tools/0", "names a module"),
    Case("a tool with source",
         spec(agent(tools=[{"name": "x", "source_code": "def x(): ..."}])), "source_not_allowed",
         "/agents/0/tools/0", "'look_up'"),
    Case("a tool twice", spec(agent(tools=["look_up", "look_up"])), "invalid_definition",
         "/agents/0/tools/1", "twice"),
    Case("source in an agent", spec(agent(source_code="import os")), "source_not_allowed",
         "/agents/0/source_code", "registered"),
    Case("a function in an agent", spec(agent(function="os:system")), "source_not_allowed",
         "/agents/0/function", "registered"),
    Case("a provider in an agent", spec(agent(provider="os.system")), "unknown_provider",
         "/agents/0/provider", "'model'"),
    Case("a provider in a team", spec(provider="os.system"), "unknown_provider", "/provider",
         "type"),
    Case("a foreign address", spec(agent(base_url="http://evil.example")), "unknown_field",
         "/agents/0/base_url", "operator's model profiles"),
    Case("a key", spec(agent(api_key="sk-1")), "unknown_field", "/agents/0/api_key",
         "operator's model profiles"),
    Case("a model client", spec(agent(model_client={"provider": "x"})), "unknown_field",
         "/agents/0/model_client", "profile"),
    Case("the environment", spec(agent(system_message="Key: ${OPENAI_API_KEY}")),
         "environment_not_allowed", "/agents/0/system_message", "$${OPENAI_API_KEY}"),
    Case("the environment with a default", spec(description="${HOME:-x}"),
         "environment_not_allowed", "/description", "$${HOME}"),
    Case("a version", spec(version=2), "unknown_version", "/version", "version: 1"),
    Case("an unknown role", spec(agent(role="analist")), "invalid_definition", "/agents/0/role",
         "'analyst'"),
    Case("a schema that is none", spec(person(input_schema={"type": "objekt"})),
         "invalid_definition", "/agents/0/input_schema/type", "No JSON Schema"),
    Case("a schema that is a list", spec(person(input_schema=[])), "invalid_definition",
         "/agents/0/input_schema", "object"),
    Case("a schema deep inside",
         spec(person(input_schema={"properties": {"a": {"minimum": "x"}}})), "invalid_definition",
         "/agents/0/input_schema/properties/a/minimum", "number"),
    Case("a schema of an unknown draft", spec(person(input_schema={"$schema": "urn:x"})),
         "invalid_definition", "/agents/0/input_schema/$schema", "unknown draft"),
    Case("a schema whose draft is no text", spec(person(input_schema={"$schema": []})),
         "invalid_definition", "/agents/0/input_schema/$schema", "unknown draft"),
    Case("a schema that lies elsewhere",
         spec(person(input_schema={"$ref": "http://169.254.169.254/"})), "invalid_definition",
         "/agents/0/input_schema/$ref", "in its place"),
    Case("a schema that refers to itself",
         spec(person(input_schema={"items": {"anyOf": [{"$ref": "#"}]}})), "invalid_definition",
         "/agents/0/input_schema/items/anyOf/0/$ref", "in its place"),
    Case("a schema with a slow pattern",
         spec(person(input_schema={"properties": {"pattern": {"pattern": "(a+)+$"}}})),
         "invalid_definition", "/agents/0/input_schema/properties/pattern/pattern", "remove it"),
    Case("too large a schema", spec(person(input_schema={"enum": list(range(600))})), "too_large",
         "/agents/0/input_schema", "500"),
    Case("too deep a schema", spec(person(input_schema=nested_items(20))), "too_large",
         "/agents/0/input_schema", "16 levels"),
    Case("no time to answer", spec(person(expires_in_seconds=0)), "invalid_definition",
         "/agents/0/expires_in_seconds", "greater"),
    Case("a time that is none", spec(person(expires_in_seconds="soon")), "invalid_definition",
         "/agents/0/expires_in_seconds", "number"),
    Case("a default that never comes", spec(person(default_answer="no")), "invalid_definition",
         "/agents/0/default_answer", "expires_in_seconds"),
    Case("a default that is no text", spec(person(default_answer=1, expires_in_seconds=5)),
         "invalid_definition", "/agents/0/default_answer", "a text"),
    Case("a default that does not fit",
         spec(person(default_answer={"ok": 1}, expires_in_seconds=5, input_schema=OK)),
         "invalid_definition", "/agents/0/default_answer/ok", "boolean"),
    Case("a person's model", spec(person(model="main")), "unknown_field", "/agents/0/model",
         "input_schema"),
    Case("an unknown condition", spec(termination=[{"type": "max_message"}]), "invalid_definition",
         "/termination/0/type", "'max_messages'"),
    Case("a condition without type", spec(termination={}), "invalid_definition",
         "/termination/type", "needed"),
    Case("a functional condition", spec(termination={"type": "functional"}), "invalid_definition",
         "/termination/function", "needed"),
    Case("an unknown function", spec(termination={"type": "functional", "function": "pik"}),
         "unknown_function", "/termination/function", "Did you mean 'pick'?"),
    Case("a function of a module", spec(termination={"type": "functional", "function": "os:abort"}),
         "source_not_allowed", "/termination/function", "registered under 'functions' are taken"),
    Case("the function of a selector", spec(type="selector_group_chat", model="main",
         selector_func="os:abort"), "source_not_allowed", "/selector_func", "names a module"),
    Case("the candidates of a selector", spec(type="selector_group_chat", model="main",
         candidate_func="pik"), "unknown_function", "/candidate_func", "'pick'"),
    Case("the function of an edge", spec(type="graph_flow", graph={"nodes": {"a": {"edges": [
         {"target": "b", "condition": {"function": "pik"}}]}, "b": {}}}), "unknown_function",
         "/graph/nodes/a/edges/0/condition/function", "'pick'"),
    Case("a team of a module", {"type": "custom_team", "function": "os:abort"},
         "source_not_allowed", "/function", "names a module"),
    Case("an unknown team of Python", {"function": "pik"}, "unknown_function", "/function",
         "'pick'"),
    Case("a field that the code decides", {"function": "pick", "termination": "external"},
         "unknown_field", "/termination", "custom_team has no field"),
    Case("options in a request", {"function": "pick", "options": {}}, "unknown_field", "/options",
         "custom_team has no field"),
    Case("no condition", spec(termination=[]), "invalid_definition", "/termination",
         "At least one"),
    Case("a condition's unknown field", spec(termination={"type": "text_mention", "txt": "x"}),
         "unknown_field", "/termination/txt", "'text'"),
    Case("a condition's missing field", spec(termination={"type": "source_match"}),
         "invalid_definition", "/termination/sources", "needed"),
    Case("tokens without a bound", spec(termination={"type": "token_usage"}), "invalid_definition",
         "/termination", "max_total_token"),
    Case("inside an and",
         spec(termination={"type": "and", "conditions": [{"type": "timeout", "seconds": -1}]}),
         "invalid_definition", "/termination/conditions/0/seconds", "greater"),
    Case("a context with a size too many",
         spec(agent(model_context={"type": "unbounded", "buffer_size": 3})), "invalid_definition",
         "/agents/0/model_context", "no size"),
    Case("a summary that could fill the memory",
         spec(agent(tool_call_summary_format="{result:>999999999}")), "invalid_definition",
         "/agents/0/tool_call_summary_format", "{result}"),
    Case("a summary that reaches into objects",
         spec(agent(tool_call_summary_format="{result.__class__}")), "invalid_definition",
         "/agents/0/tool_call_summary_format", "{result}"),
    Case("teams too deep", nested_teams(8), "too_large", "/agents/0" * 8, "nested"),
    Case("conditions too deep", spec(termination=nested_conditions(17)), "too_large",
         "/termination" + "/conditions/0" * 17, "nested"),
    Case("a text too long", spec(agent(system_message="x" * 300_000)), "too_large", "", "262144"),
    Case("too many values", spec(agent(tools=["x"] * 20_000)), "too_large", "", "10000"),
    *(
        Case(f"many schemas with {what}", spec(*(
            agent(name=f"a{n}", output_schema={"properties": {f"b{n}": schema}})
            for n in range(6)
        )), "too_large", "", "1000 values and 100 objects")
        for what, schema in MANY
    ),
    Case("a schema with a negative length",
         spec(agent(output_schema={"properties": {"a": {"type": "string", "minLength": -1}}})),
         "invalid_definition", "/agents/0/output_schema", "(at /properties/a/minLength)."),
    Case("a key with a slash", spec(**{"a/b~c": 1}), "unknown_field", "/a~1b~0c", "It takes"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_an_invalid_part_is_refused_at_its_location(case: Case) -> None:
    error = refused(case.team_spec)

    assert (error.code, error.pointer) == (case.code, "/team_spec" + case.pointer)
    assert case.says in error.message


def test_all_problems_are_reported_at_once() -> None:
    bad = spec(agent(model="x", tools=["y"]), agent(name="b", api_key="k"), max_rounds=-1)

    validation = registry().validate(team_spec=bad)

    assert not validation.valid
    assert [(fault.code, fault.pointer) for fault in validation.errors] == [
        ("unknown_model", "/team_spec/agents/0/model"),
        ("unknown_tool", "/team_spec/agents/0/tools/0"),
        ("unknown_field", "/team_spec/agents/1/api_key"),
        ("invalid_definition", "/team_spec/max_rounds"),
    ]
    assert refused(bad).data["problems"] == [
        {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail}
        for fault in validation.errors
    ]


def test_a_literal_dollar_brace_is_kept_escaped() -> None:
    resolved = registry().resolve(team_spec=spec(agent(system_message="echo $${HOME}")))

    writer = resolved.definition.participants[0]
    assert isinstance(writer, AssistantDefinition) and writer.system_message == "echo $${HOME}"


@pytest.mark.parametrize("levels", [50, 1_000, 100_000])
def test_a_deep_nesting_is_refused_without_recursion(levels: int) -> None:
    deep: Any = "deep"
    for _ in range(levels):
        deep = [deep]

    assert refused(spec(description=deep)).code == "too_large"


def test_equal_schemas_count_once() -> None:
    schema = {"properties": {"a": {"enum": list(range(200))}}}

    registry().resolve(
        team_spec=spec(*(agent(name=f"a{n}", output_schema=schema) for n in range(6)))
    )


@pytest.mark.parametrize("levels", [50, 1_000, 100_000])
def test_a_deep_schema_is_refused_without_recursion(levels: int) -> None:
    deep: Any = {}
    for _ in range(levels):
        deep = {"output_schema": deep}

    assert refused(spec(agent(output_schema=deep))).code == "too_large"


@pytest.mark.behaviour("config.tenant")
def test_nothing_is_imported_from_a_definition() -> None:
    name = "xml.sax.expatreader"
    sys.modules.pop(name, None)

    refused(spec(agent(tools=[f"{name}:create_parser"])))
    refused(spec(agent(model=f"{name}:create_parser")))
    refused({"provider": f"{name}.ExpatParser", "component_type": "team", "config": {}})

    assert name not in sys.modules


@pytest.mark.parametrize(
    ("team", "team_spec", "code", "pointer"),
    [
        (None, None, "invalid_definition", "/team"),
        ("pair", {"type": "x"}, "invalid_definition", "/team_spec"),
        ("par", None, "unknown_team", "/team"),
        ("pair@7", None, "unknown_version", "/team"),
    ],
)
def test_a_team_is_named_once_and_known(
    team: str | None, team_spec: dict[str, Any] | None, code: str, pointer: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        registry().resolve(team=team, team_spec=team_spec)

    assert (caught.value.code, caught.value.pointer) == (code, pointer)


def test_the_latest_version_is_the_registered_team() -> None:
    known = registry()

    assert known.resolve(team="pair@latest") == known.resolve(team="pair")


def test_a_resolution_is_kept_for_the_next_request_and_their_number_is_bounded() -> None:
    known = registry()
    first = known.resolve(team_spec=spec(agent(name="first")))
    assert known.resolve(team_spec=spec(agent(name="first"))) is first
    assert known.resolve(team="pair") is known.resolve(team="pair")
    for number in range(100):
        known.resolve(team_spec=spec(agent(name=f"agent_{number}")))
    again = known.resolve(team_spec=spec(agent(name="first")))
    assert again is not first and again == first


def test_a_resolution_is_kept_for_exactly_the_same_definition() -> None:
    known, one, two = registry(), agent(name="one"), agent(name="two")
    resolved = [known.resolve(team_spec=spec(*agents)) for agents in ((one, two), (two, one))]
    assert resolved[0].digest != resolved[1].digest
    with pytest.raises(DefinitionError) as caught:  # the text of a definition is no name
        known.resolve(team=json.dumps(spec(one, two)))
    assert caught.value.code == "unknown_team"


PERSONS = {
    "a person": spec(agent(), person()),
    "a person in an inner team": spec(agent(), spec(person(), name="inner")),
    "a handoff": spec(agent(handoffs=["user"])),
    "a handoff that ends the team": spec(
        agent(handoffs=["user"]), termination={"type": "handoff", "target": "user"}
    ),
    "an answer of a form": spec(
        agent(), person(input_schema=OK, expires_in_seconds=60, default_answer={"ok": False})
    ),
    "a form of any draft": spec(
        person(input_schema={"$schema": "http://json-schema.org/draft-07/schema#"})
    ),
    "words that are no keywords": spec(
        person(input_schema={"properties": {"pattern": {"enum": ["$ref"], "default": "$ref"}}})
    ),
}


@pytest.mark.parametrize("name", PERSONS)
def test_a_team_may_have_persons(name: str) -> None:
    checked = registry().validate(team_spec=PERSONS[name])

    assert (checked.valid, checked.errors, checked.warnings) == (True, [], [])


def test_the_question_to_a_person_is_part_of_the_definition() -> None:
    team = registry().resolve(team_spec=PERSONS["an answer of a form"]).definition

    assert team.participants[1] == UserProxyDefinition(
        name="boss", input_schema=OK, expires_in_seconds=60, default_answer={"ok": False}
    )


def test_a_person_whose_name_is_nearly_a_members_is_a_warning() -> None:
    checked = registry().validate(team_spec=spec(agent(handoffs=["writr"])))

    (warning,) = checked.warnings
    assert (checked.valid, warning.pointer) == (True, "/team_spec/agents/0/handoffs/0")
    assert "Did you mean 'writer'?" in warning.detail
