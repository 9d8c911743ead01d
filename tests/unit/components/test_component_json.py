"""AutoGen component JSON in a request: converted if everything in it exists here."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from teamrun.components.autogen.providers import UNSUPPORTED
from teamrun.components.building.custom_agents import CustomAgentTable
from teamrun.components.building.models import Profiles
from teamrun.components.building.tools import ToolTable
from teamrun.components.definitions.agents import AssistantDefinition
from teamrun.components.definitions.graphs import GraphFlowDefinition
from teamrun.components.definitions.magentic_one import MagenticOneDefinition
from teamrun.components.definitions.profiles import Profile
from teamrun.components.definitions.teams import (
    RoundRobinDefinition,
    SelectorDefinition,
    SwarmDefinition,
)
from teamrun.components.reading.problems import ProblemCode
from teamrun.components.registry import Registry
from teamrun.errors import DefinitionError
from teamrun.tools import FunctionTool

Json = dict[str, Any]


def look_up(word: str) -> str:
    """Look a word up."""
    return word


def registry() -> Registry:
    options = {"model": "gpt-4o-2024-08-06", "api_key": "sk-operator"}
    return Registry(
        models=Profiles({"main": Profile("main", "openai", options)}, environ={}),
        tools=ToolTable(tools=[FunctionTool(look_up, "Look a word up.")]),
        agents=CustomAgentTable(),
        teams={},
        environ={},
    )


def component(provider: str, config: Json, **rest: Any) -> Json:
    return {
        "provider": provider,
        "component_type": "any",
        "version": 1,
        "component_version": 1,
        "description": "as exported",
        "label": provider.rpartition(".")[2],
        "config": config,
        **rest,
    }


def model(**config: Any) -> Json:
    config = {"model": "gpt-4o-2024-08-06", "api_key": "**********", **config}
    return component("autogen_ext.models.openai.OpenAIChatCompletionClient", config)


def tool(**config: Any) -> Json:
    config = {"name": "look_up", "description": "Look a word up.", "global_imports": [], **config}
    return component("autogen_core.tools.FunctionTool", config)


def workbench(*tools: Json) -> Json:
    return component("autogen_core.tools.StaticStreamWorkbench", {"tools": list(tools)})


def assistant(name: str = "writer", **config: Any) -> Json:
    config = {
        "name": name,
        "model_client": model(),
        "model_context": component("autogen_core.model_context.UnboundedChatCompletionContext", {}),
        "description": "Writes.",
        "system_message": "Write.",
        "model_client_stream": False,
        "reflect_on_tool_use": False,
        "tool_call_summary_format": "{result}",
        "max_tool_iterations": 1,
        "metadata": {},
        **config,
    }
    return component("autogen_agentchat.agents.AssistantAgent", config, version=2)


def mention(text: str = "TERMINATE") -> Json:
    return component("autogen_agentchat.conditions.TextMentionTermination", {"text": text})


def any_of(*conditions: Json) -> Json:
    return component(
        "autogen_agentchat.base.OrTerminationCondition", {"conditions": list(conditions)}
    )


def team(*participants: Json, **config: Any) -> Json:
    return component(
        "autogen_agentchat.teams.RoundRobinGroupChat",
        {
            "name": "desk",
            "description": "Two at a desk.",
            "participants": list(participants) or [assistant()],
            "emit_team_events": False,
            **config,
        },
    )


@pytest.mark.behaviour("json.teams")
def test_an_exported_round_robin_team_becomes_the_canonical_form() -> None:
    tokens = component(
        "autogen_agentchat.conditions.TokenUsageTermination", {"max_total_token": 500}
    )
    exported = team(
        assistant("writer", workbench=[workbench(tool())]),
        assistant(
            "editor",
            handoffs=[
                {
                    "target": "writer",
                    "description": "Handoff to writer.",
                    "name": "transfer_to_writer",
                    "message": "Go on.",
                }
            ],
        ),
        termination_condition=any_of(mention(), any_of(tokens, mention("END"))),
        max_turns=6,
    )

    resolved = registry().resolve(team_spec=json.loads(json.dumps(exported)))

    read = resolved.definition
    assert isinstance(read, RoundRobinDefinition)
    writer, editor = read.participants
    assert isinstance(writer, AssistantDefinition) and isinstance(editor, AssistantDefinition)
    assert (resolved.name, read.description, read.max_turns) == ("desk", "Two at a desk.", 6)
    assert (writer.model, writer.tools, writer.system_message) == ("main", ("look_up",), "Write.")
    assert (editor.handoffs[0].target, editor.handoffs[0].message) == ("writer", "Go on.")
    assert read.termination is not None
    assert read.termination.model_dump(exclude_none=True) == {
        "type": "or",
        "conditions": (
            {"type": "text_mention", "text": "TERMINATE", "ignore_case": False},
            {
                "type": "or",
                "conditions": (
                    {"type": "token_usage", "max_total_token": 500},
                    {"type": "text_mention", "text": "END", "ignore_case": False},
                ),
            },
        ),
    }


@pytest.mark.behaviour("json.teams")
def test_an_exported_selector_team_becomes_the_canonical_form() -> None:
    exported = component(
        "autogen_agentchat.teams.SelectorGroupChat",
        {
            "participants": [assistant("writer"), assistant("editor")],
            "model_client": model(),
            "selector_prompt": "Choose: {participants}",
            "allow_repeated_speaker": True,
            "max_selector_attempts": 2,
            "model_context": component(
                "autogen_core.model_context.BufferedChatCompletionContext", {"buffer_size": 9}
            ),
        },
    )

    read = registry().resolve(team_spec=exported).definition

    assert isinstance(read, SelectorDefinition)
    assert (read.model, read.selector_prompt) == ("main", "Choose: {participants}")
    assert (read.allow_repeated_speaker, read.max_selector_attempts) == (True, 2)
    assert read.model_context is not None and read.model_context.buffer_size == 9


@pytest.mark.behaviour("json.teams")
def test_an_exported_swarm_becomes_the_canonical_form() -> None:
    handoffs = [
        {"target": "editor", "description": "d", "name": "transfer_to_editor", "message": "m"}
    ]
    config = {
        "name": "Swarm",
        "description": "A team of agents.",
        "participants": [assistant("writer", handoffs=handoffs), assistant("editor")],
        "termination_condition": mention(),
        "emit_team_events": False,
    }

    read = (
        registry().resolve(team_spec=component("autogen_agentchat.teams.Swarm", config)).definition
    )

    assert isinstance(read, SwarmDefinition)
    assert [member.name for member in read.participants] == ["writer", "editor"]


@pytest.mark.behaviour("json.teams")
def test_an_exported_graph_flow_becomes_the_canonical_form() -> None:
    edge = {"target": "editor", "activation_group": "editor", "activation_condition": "all"}
    exported = component(
        "autogen_agentchat.teams.GraphFlow",
        {
            "name": "GraphFlow",
            "description": "A team of agents",
            "participants": [assistant("writer"), assistant("editor")],
            "graph": {
                "nodes": {
                    "writer": {"name": "writer", "edges": [edge], "activation": "all"},
                    "editor": {"name": "editor", "edges": [], "activation": "all"},
                },
                "default_start_node": "writer",
            },
        },
    )

    read = registry().resolve(team_spec=exported).definition

    assert isinstance(read, GraphFlowDefinition)
    assert read.graph.nodes["writer"].edges[0].target == "editor"
    assert read.graph.made().starts() == ["writer"]


@pytest.mark.behaviour("json.teams")
def test_an_exported_magentic_one_becomes_the_canonical_form() -> None:
    exported = component(
        "autogen_agentchat.teams.MagenticOneGroupChat",
        {
            "name": "MagenticOneGroupChat",
            "description": "A team of agents.",
            "participants": [assistant("writer")],
            "model_client": model(),
            "max_turns": 30,
            "max_stalls": 2,
            "final_answer_prompt": "Answer: {task}",
            "emit_team_events": False,
        },
    )

    read = registry().resolve(team_spec=exported).definition

    assert isinstance(read, MagenticOneDefinition)
    assert (read.model, read.max_turns, read.max_stalls) == ("main", 30, 2)
    assert read.final_answer_prompt == "Answer: {task}"


@pytest.mark.behaviour("json.lost_functions")
def test_a_loop_whose_functions_autogen_left_out_is_refused_at_the_graph() -> None:
    ways = {"a": ["b"], "b": ["a", "c"], "c": []}
    nodes = {
        name: {"name": name, "edges": [{"target": target} for target in targets]}
        for name, targets in ways.items()
    }
    graph = {"nodes": nodes, "default_start_node": "a"}
    agents = [assistant(name) for name in ways]
    exported = component(
        "autogen_agentchat.teams.GraphFlow", {"participants": agents, "graph": graph}
    )

    with pytest.raises(DefinitionError, match="Cycle detected without exit condition") as caught:
        registry().resolve(team_spec=exported)
    assert caught.value.pointer == "/team_spec/config/graph"


@pytest.mark.behaviour("component.versions.assistant_1")
def test_a_file_of_component_version_1_keeps_its_tools_in_the_agent() -> None:
    old = assistant(tools=[tool()]) | {"version": 1}

    writer = registry().resolve(team_spec=team(old)).definition.participants[0]

    assert isinstance(writer, AssistantDefinition) and writer.tools == ("look_up",)


@pytest.mark.behaviour("component.versions.assistant_1")
def test_a_workbench_may_be_an_object_instead_of_a_list() -> None:
    exported = team(assistant(workbench=workbench(tool())))

    assert set(registry().resolve(team_spec=exported).tools) == {"look_up"}


def test_no_system_message_in_the_file_is_no_system_message_here() -> None:
    exported = assistant()
    del exported["config"]["system_message"]

    writer = registry().resolve(team_spec=team(exported)).definition.participants[0]

    assert isinstance(writer, AssistantDefinition) and writer.system_message == ""


def test_a_component_may_stand_in_a_team_of_the_native_form() -> None:
    native = {
        "type": "round_robin_group_chat",
        "agents": [assistant(), team(assistant("editor"))],
        "termination": mention(),
    }

    read = registry().resolve(team_spec=native).definition

    assert [member.name for member in read.participants] == ["writer", "desk"]
    assert read.termination is not None and read.termination.type == "text_mention"


@pytest.mark.behaviour("json.agents")
def test_a_person_and_a_handoff_to_one_are_taken() -> None:
    person = component("autogen_agentchat.agents.UserProxyAgent", {"name": "boss"})

    for each in (team(person), team(assistant(handoffs=[{"target": "user"}]))):
        assert registry().validate(team_spec=each).valid


@pytest.mark.behaviour("json.clients")
def test_options_of_the_profile_are_a_warning() -> None:
    validation = registry().validate(
        team_spec=team(assistant(model_client=model(temperature=0.3, model_info={"vision": True})))
    )

    assert validation.valid
    assert [note.pointer for note in validation.warnings] == [
        "/team_spec/config/participants/0/config/model_client/config/temperature"
    ]


@pytest.mark.behaviour("json.clients")
def test_the_address_and_the_key_of_a_client_are_ignored_with_a_warning() -> None:
    client = model(
        base_url="http://evil.example",
        api_key="sk-mine",
        default_headers={"x": "y"},
        organization=None,
    )

    resolved = registry().resolve(team_spec=team(assistant(model_client=client)))
    checked = registry().validate(team_spec=team(assistant(model_client=client)))

    assert resolved.models.keys() == {"main"}
    assert "evil" not in resolved.definition.model_dump_json()
    assert "sk-mine" not in resolved.definition.model_dump_json()
    assert [note.pointer.rpartition("/")[2] for note in checked.warnings] == [
        "api_key",
        "base_url",
        "default_headers",
    ]
    assert all("'main' decides it" in note.detail for note in checked.warnings)


@pytest.mark.behaviour("json.clients")
def test_a_client_of_azure_is_the_profile_of_azure_for_its_model() -> None:
    azure = {"model": "gpt-4o", "azure_endpoint": "https://r.openai.azure.com", "api_key": "k"}
    profiles = {
        "first": Profile("first", "openai", {"model": "gpt-4o", "api_key": "sk-operator"}),
        "azure": Profile("azure", "azure_openai", azure),
        "other": Profile("other", "openai", {"model": "gpt-4.1", "api_key": "sk-operator"}),
    }
    own = Registry(
        models=Profiles(profiles, environ={}),
        tools=ToolTable(),
        agents=CustomAgentTable(),
        teams={},
        environ={},
    )
    provider = "autogen_ext.models.openai.AzureOpenAIChatCompletionClient"

    def used(name: str) -> set[str]:
        client = component(provider, {"model": name, "azure_endpoint": "https://evil.example"})
        return set(own.resolve(team_spec=team(assistant(model_client=client))).models)

    assert used("gpt-4o") == {"azure"}
    assert used("gpt-4.1") == {"other"}


@pytest.mark.behaviour("json.tools")
def test_a_tool_with_source_is_the_registered_tool_of_its_name() -> None:
    spec = team(assistant(workbench=[workbench(tool(source_code="import os"))]))

    checked = registry().validate(team_spec=spec)

    assert checked.errors == []
    assert [note.pointer for note in checked.warnings] == [
        "/team_spec/config/participants/0/config/workbench/0/config/tools/0/config/source_code"
    ]
    assert set(registry().resolve(team_spec=spec).tools) == {"look_up"}


ADAPTERS = {
    "autogen_ext.tools.http.HttpTool": {"name": "look_up", "host": "evil.example"},
    "autogen_ext.tools.code_execution.PythonCodeExecutionTool": {"name": "look_up"},
    "autogen_ext.tools.mcp.StdioMcpToolAdapter": {
        "server_params": {"command": "rm"},
        "tool": {"name": "look_up"},
    },
}


@pytest.mark.behaviour("json.tools")
@pytest.mark.parametrize("provider", ADAPTERS)
def test_a_tool_that_is_not_converted_is_the_registered_tool_of_its_name(provider: str) -> None:
    spec = team(assistant(tools=[component(provider, ADAPTERS[provider])]))

    checked = registry().validate(team_spec=spec)

    assert checked.errors == []
    assert [note.pointer for note in checked.warnings] == [
        "/team_spec/config/participants/0/config/tools/0/config"
    ]
    assert set(registry().resolve(team_spec=spec).tools) == {"look_up"}


@dataclass(frozen=True)
class Case:
    id: str
    team_spec: Json
    code: ProblemCode
    pointer: str
    says: str


AGENT = "/config/participants/0"
CLIENT = f"{AGENT}/config/model_client/config"
BENCH = f"{AGENT}/config/workbench/0"


def other(provider: str) -> Json:
    return component(provider, {})


CASES = [
    Case("unknown team", other("autogen_agentchat.teams.RoundRobinGroupchat"), "unknown_provider",
         "/provider", "RoundRobinGroupChat"),
    Case("a module", other("os.system"), "unknown_provider", "/provider", "Known"),
    Case("an agent as team", assistant(), "unknown_provider", "/provider", "'participants'"),
    Case("an unknown agent", team(other("builtins.eval")), "unknown_provider",
         f"{AGENT}/provider", "no known agent"),
    Case("an agent not converted", team(other("autogen_ext.agents.file_surfer.FileSurfer")),
         "component_json_not_supported", f"{AGENT}/provider", "registered tool"),
    Case("an executor", team(component("autogen_agentchat.agents.CodeExecutorAgent", {
        "name": "coder", "code_executor": other("autogen_ext.code_executors.local.X")})),
         "component_json_not_supported", f"{AGENT}/config/code_executor", "by its name"),
    Case("an unknown version", team() | {"version": 4}, "unknown_version", "/version", "version 1"),
    Case("an unknown agent version", team(assistant() | {"component_version": 3}),
         "unknown_version", f"{AGENT}/component_version", "version 2"),
    Case("an unknown field", team(assistant(tols=[])), "unknown_field", f"{AGENT}/config/tols",
         "'tools'"),
    Case("an unknown model", team(assistant(model_client=model(model="gpt-9"))), "unknown_model",
         f"{CLIENT}/model", "'main'"),
    Case("an unknown client", team(assistant(model_client=other("subprocess.Popen"))),
         "unknown_provider", f"{AGENT}/config/model_client/provider", "Known"),
    Case("a replayed model",
         team(assistant(model_client=other("autogen_ext.models.replay.ReplayChatCompletionClient"))),
         "component_json_not_supported", f"{AGENT}/config/model_client/provider", "scripted"),
    Case("source", team(assistant(workbench=[workbench(tool(name="x", source_code="import os"))])),
         "unknown_tool", f"{BENCH}/config/tools/0/config/name", "Registered: 'look_up'"),
    Case("a name that is a module", team(assistant(tools=[tool(name="os:system")])),
         "source_not_allowed", f"{AGENT}/config/tools/0/config/name", "'look_up'"),
    Case("a tool that calls an address",
         team(assistant(tools=[component("autogen_ext.tools.http.HttpTool", {"name": "x"})])),
         "component_json_not_supported", f"{AGENT}/config/tools/0/provider", "registered tool"),
    Case("an unknown tool", team(assistant(workbench=[workbench(tool(name="look"))])),
         "unknown_tool", f"{BENCH}/config/tools/0/config/name", "'look_up'"),
    Case("a workbench that starts a process",
         team(assistant(workbench=[other("autogen_ext.tools.mcp.McpWorkbench")])),
         "component_json_not_supported", f"{BENCH}/provider", "registered tools"),
    Case("a memory", team(assistant(memory=[other("autogen_ext.memory.mem0.Mem0Memory")])),
         "component_json_not_supported", f"{AGENT}/config/memory/0/provider", "a ListMemory"),
    Case("a schema", team(assistant(structured_message_factory=component(
        "autogen_agentchat.messages.StructuredMessageFactory",
        {"json_schema": {"properties": {"a": {"type": "date"}}}, "content_model_name": "A"}))),
         "invalid_definition",
         f"{AGENT}/config/structured_message_factory/config/json_schema/properties/a/type", "date"),
    Case("an unknown condition", team(termination_condition=other("os.kill")), "unknown_provider",
         "/config/termination_condition/provider", "Known"),
    Case("an unknown condition inside", team(termination_condition=any_of(mention(), other("x"))),
         "unknown_provider", "/config/termination_condition/config/conditions/1/provider", "Known"),
    Case("a condition's field", team(termination_condition=component(
        "autogen_agentchat.conditions.MaxMessageTermination", {"max_messages": 0})),
         "invalid_definition", "/config/termination_condition/config/max_messages", "at least 1"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_unsupported_parts_are_refused_at_their_location(case: Case) -> None:
    with pytest.raises(DefinitionError) as caught:
        registry().resolve(team_spec=case.team_spec)

    error = caught.value
    assert (error.code, error.pointer) == (case.code, "/team_spec" + case.pointer)
    assert case.says in error.message


PIECES = [{"content": "Tea.", "mime_type": "text/plain"}]
LIST = component("autogen_core.memory.ListMemory", {"name": "notes", "memory_contents": PIECES})
REMEDIES: dict[str, Json] = {
    "tools.AgentTool": team(assistant("outer"), assistant("inner")),
    "tools.TeamTool": team(assistant("outer"), team(assistant("inner"), name="within")),
    "agents.web_surfer.MultimodalWebSurfer": team(assistant(tools=["look_up"])),
    "agents.file_surfer.FileSurfer": team(assistant(tools=["look_up"])),
    "agents.video_surfer.VideoSurfer": team(assistant(tools=["look_up"])),
    "agents.openai.OpenAIAgent": team(assistant(model_client="main")),
    "agents.openai.OpenAIAssistantAgent": team(assistant(model_client="main")),
    "agents.azure.AzureAIAgent": team(assistant(model_client="main")),
    "memory.canvas.TextCanvasMemory": team(assistant(memory=[LIST])),
    "memory.chromadb.ChromaDBVectorMemory": team(assistant(memory=[LIST])),
    "memory.redis.RedisMemory": team(assistant(tools=["look_up"])),
    "memory.mem0.Mem0Memory": team(assistant(memory=[LIST])),
    "tools.http.HttpTool": team(assistant(tools=["look_up"])),
    "tools.mcp.McpWorkbench": team(assistant(workbench=["look_up"])),
    "tools.mcp.StdioMcpToolAdapter": team(assistant(workbench=[workbench(), "look_up"])),
    "tools.mcp.SseMcpToolAdapter": team(assistant(workbench="look_up")),
    "tools.mcp.StreamableHttpMcpToolAdapter": team(assistant(tools=["look_up"])),
    "tools.code_execution.PythonCodeExecutionTool": team(assistant(tools=["look_up"])),
    "tools.azure.AzureAISearchTool": team(assistant(tools=["look_up"])),
    "tools.graphrag.GlobalSearchTool": team(assistant(tools=["look_up"])),
    "tools.graphrag.LocalSearchTool": team(assistant(tools=["look_up"])),
    "conditions.FunctionalTermination": team(termination_condition=mention()),
    "models.llama_cpp.LlamaCppChatCompletionClient": team(assistant(model_client="main")),
    "models.semantic_kernel.SKChatCompletionAdapter": team(assistant(model_client="main")),
    "models.replay.ReplayChatCompletionClient": team(assistant(model_client="main")),
    "models.cache.ChatCompletionCache": team(assistant(model_client="main")),
}  # fmt: skip
"""The result of following the remedy for each component that is not converted."""


@pytest.mark.behaviour("json.memory")
def test_memories_and_forms_of_answers_are_read() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    config = {"json_schema": schema, "content_model_name": "Figure", "format_string": "{a}"}
    factory = component("autogen_agentchat.messages.StructuredMessageFactory", config)
    spec = team(assistant(memory=[LIST], structured_message_factory=factory))

    agent = registry().resolve(team_spec=spec).definition.participants[0]

    assert isinstance(agent, AssistantDefinition)
    assert agent.output_schema == {**schema, "title": "Figure"}
    assert agent.output_format == "{a}"
    assert agent.memory is not None
    assert agent.memory[0].memory_contents[0].content == "Tea."


@pytest.mark.behaviour("json.remedies")
@pytest.mark.parametrize("provider", UNSUPPORTED)
def test_the_remedy_for_a_component_that_is_not_converted_works(provider: str) -> None:
    written = REMEDIES[provider.partition(".")[2]]

    assert registry().validate(team_spec=written).errors == []


@pytest.mark.behaviour("json.remedies")
def test_a_name_in_the_place_of_a_component_is_looked_up() -> None:
    spec = team(assistant(tools=["lookup"], model_client="man"))

    checked = registry().validate(team_spec=spec)

    assert [(fault.code, fault.pointer) for fault in checked.errors] == [
        ("unknown_model", f"/team_spec{AGENT}/config/model_client"),
        ("unknown_tool", f"/team_spec{AGENT}/config/tools/0"),
    ]
