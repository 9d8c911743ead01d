"""Components of other programs: what is taken from them, and what is never done."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.unit.component.examples import (
    MODEL,
    TOOL,
    Answer,
    Json,
    agent_component,
    component,
    look_up,
)

from teamrun.agents import AssistantAgent, UserProxyAgent
from teamrun.conditions import MaxMessageTermination
from teamrun.context import ChatCompletionContext
from teamrun.core import ComponentLoader, ComponentModel, ComponentWarning
from teamrun.errors import DefinitionError
from teamrun.messages import StructuredMessage
from teamrun.models import (
    AzureOpenAIChatCompletionClient,
    BedrockChatCompletionClient,
    ChatCompletionClient,
    OpenAIChatCompletionClient,
)
from teamrun.teams import BaseGroupChat, RoundRobinGroupChat
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool, Tool

OPENAI = "autogen_ext.models.openai.OpenAIChatCompletionClient"
AZURE = "autogen_ext.models.openai.AzureOpenAIChatCompletionClient"
MASK = "**********"


def replay(*answers: Any, **info: Any) -> Json:
    config: Json = {"chat_completions": list(answers)}
    if info:
        config["model_info"] = info
    return component(MODEL["provider"], MODEL["component_type"], config)


def team(*participants: Json, **config: Any) -> Json:
    provider = "autogen_agentchat.teams.RoundRobinGroupChat"
    return component(provider, "team", {"participants": list(participants), **config})


def openai(**config: Any) -> Json:
    return component(OPENAI, "model", {"model": "gpt-4o", "api_key": MASK, **config})


def azure(**config: Any) -> Json:
    config = {"model": "gpt-4o", "api_version": "2024-10-21", "api_key": MASK, **config}
    return component(AZURE, "model", {"azure_endpoint": "https://r.openai.azure.com", **config})


def with_tools(*tools: Json, version: int = 2) -> Json:
    if version == 1:
        return agent_component(tools=list(tools)) | {"version": 1, "component_version": 1}
    bench = component(
        "autogen_core.tools.StaticStreamWorkbench", "workbench", {"tools": list(tools)}
    )
    return agent_component(workbench=[bench])


async def test_a_team_is_loaded_with_one_argument_and_runs() -> None:
    data = team(agent_component(model_client=replay("one", "two")), max_turns=2)

    loaded = BaseGroupChat.load_component(data)

    assert isinstance(loaded, RoundRobinGroupChat)
    result = await loaded.run(task="go")
    assert [message.to_text() for message in result.messages] == ["go", "one", "two"]


async def test_a_tool_that_is_passed_is_the_tool_of_its_name() -> None:
    for version in (1, 2):
        loaded = AssistantAgent.load_component(with_tools(TOOL, version=version), tools=[look_up])
        assert [each.name for each in loaded._tools] == ["look_up"]  # pyright: ignore[reportPrivateUsage]
        assert await loaded._tools[0].run_json({"word": "tea"}) == "tea"  # pyright: ignore[reportPrivateUsage]


def test_other_source_than_that_of_the_tool_is_a_warning() -> None:
    other = TOOL | {"config": TOOL["config"] | {"source_code": "def look_up(): ..."}}

    with pytest.warns(ComponentWarning, match="'look_up' is the one that was passed"):
        Tool.load_component(other, tools=[look_up])


@pytest.mark.behaviour("component.safety.import")
def test_source_is_never_executed(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    source = f"open({str(trace)!r}, 'w')\ndef evil() -> str:\n    return ''\n"
    config = {"source_code": source, "name": "evil", "description": "", "global_imports": ["this"]}
    data = component(TOOL["provider"], "tool", config)

    with pytest.raises(DefinitionError, match=r"'evil' is Python source.*tools=") as caught:
        Tool.load_component(data, tools=[look_up])

    assert caught.value.code == "source_not_allowed"
    assert not trace.exists()
    assert "this" not in sys.modules


@pytest.mark.behaviour("component.safety.import")
@pytest.mark.parametrize("provider", ["this.Zen", "os.system", "builtins.eval", ""])
def test_a_provider_is_never_imported(provider: str) -> None:
    with pytest.raises(DefinitionError, match="no component") as caught:
        ComponentLoader.load_component(component(provider, "agent", {}))

    assert (caught.value.code, caught.value.pointer) == ("unknown_provider", "/provider")
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    ("provider", "kind", "remedy"),
    [
        ("autogen_ext.tools.http.HttpTool", "tool", "Pass a tool of the same name in 'tools'"),
        ("autogen_ext.tools.mcp.McpWorkbench", "workbench", "components of tools in 'tools'"),
        ("autogen_ext.agents.file_surfer.FileSurfer", "agent", "Write an assistant_agent"),
    ],
)
def test_a_component_of_autogen_that_is_not_here_has_a_remedy_of_its_own(
    provider: str, kind: str, remedy: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        ComponentLoader.load_component(component(provider, kind, {"name": "x"}))

    assert (caught.value.code, caught.value.pointer) == (
        "component_json_not_supported",
        "/provider",
    )
    assert remedy in caught.value.message
    assert "Did you mean" not in caught.value.message


def test_a_misspelt_provider_is_corrected() -> None:
    with pytest.raises(DefinitionError, match=r"Did you mean 'autogen_agentchat\.teams\.Round"):
        BaseGroupChat.load_component(
            component("autogen_agentchat.teams.RoundRobinGroupchat", "team", {})
        )


def test_a_tool_of_any_kind_is_the_one_that_is_passed() -> None:
    http = component("autogen_ext.tools.http.HttpTool", "tool", {"name": "look_up", "host": "h"})

    assert isinstance(Tool.load_component(http, tools=[look_up]), FunctionTool)


def test_one_client_replaces_all_and_a_mapping_those_that_it_names() -> None:
    mine = ScriptedModel([])
    data = team(agent_component(model_client=openai(base_url="https://h.example")))

    for given in (mine, {"gpt-4o": mine}):
        loaded = BaseGroupChat.load_component(data, model_client=given)
        assert loaded.participants[0]._model_client is mine  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    with pytest.raises(DefinitionError, match="'gpt-4o': client"):
        BaseGroupChat.load_component(data, model_client={"gpt-4.1": mine})


@pytest.mark.behaviour("component.keys.masked")
def test_a_masked_key_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")

    written = OpenAIChatCompletionClient.load_component(openai()).dump_component()

    assert "api_key" not in written.config


def test_the_key_of_the_object_is_kept_in_the_process() -> None:
    written = OpenAIChatCompletionClient(
        "gpt-4o", api_key="sk-mine", base_url="https://h.example/v1"
    ).dump_component()

    read = ChatCompletionClient.load_component(written)

    assert read.dump_component().config["api_key"] == SecretStr("sk-mine")


FOREIGN: list[tuple[str, Json, str]] = [
    ("an address", openai(base_url="https://evil.example/v1"), "base_url"),
    ("a company's name", openai(base_url="https://api.openai.com.evil.example/v1"), "base_url"),
    ("plain text", openai(base_url="http://api.openai.com/v1"), "base_url"),
    ("a local server", openai(base_url="http://127.0.0.1:1/v1"), "base_url"),
    ("a resource", azure(), "azure_endpoint"),
    ("a resource and tokens", azure(azure_ad_token_provider=component(
        "autogen_ext.auth.azure.AzureTokenProvider", "token_provider",
        {"provider_kind": "DefaultAzureCredential", "scopes": ["s"]})), "azure_endpoint"),
]  # fmt: skip


@pytest.mark.behaviour("component.safety.keys")
@pytest.mark.parametrize(
    ("data", "field"), [row[1:] for row in FOREIGN], ids=[row[0] for row in FOREIGN]
)
def test_the_key_of_the_environment_goes_to_no_address_of_a_component(
    data: Json, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"):
        monkeypatch.setenv(variable, "sk-environment")

    with pytest.raises(DefinitionError, match="key is not sent there") as caught:
        ChatCompletionClient.load_component(data)

    assert (caught.value.code, caught.value.pointer) == ("unknown_field", f"/config/{field}")
    assert "sk-" not in str(caught.value)
    mine = ScriptedModel([])
    assert ChatCompletionClient.load_component(data, model_client={"gpt-4o": mine}) is mine


def test_the_address_of_a_company_and_the_program_s_own_resource_take_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/")

    ChatCompletionClient.load_component(openai(base_url="https://api.openai.com/v1"))
    loaded = ChatCompletionClient.load_component(azure())

    assert isinstance(loaded, AzureOpenAIChatCompletionClient)


def test_a_client_of_bedrock_keeps_its_credentials_to_itself() -> None:
    provider = "autogen_ext.models.anthropic.AnthropicBedrockChatCompletionClient"
    config: Json = {
        "model": "anthropic.claude-3-5-sonnet-20240620-v1:0",
        "max_tokens": 4096,
        "temperature": 1.0,
        "stop_sequences": ["END"],
        "bedrock_info": {
            "aws_access_key": MASK,
            "aws_secret_key": MASK,
            "aws_session_token": MASK,
            "aws_region": "eu-central-1",
        },
    }

    loaded = ChatCompletionClient.load_component(component(provider, "model", config))

    assert isinstance(loaded, BedrockChatCompletionClient)
    assert loaded.dump_component().config == {
        "model": config["model"],
        "region": "eu-central-1",
        "max_tokens": 4096,
        "temperature": 1.0,
        "stop": ["END"],
        "prompt_caching": False,
    }
    config["bedrock_info"]["aws_access_key"] = "AKIA"
    with pytest.raises(DefinitionError, match="AWS SDK") as caught:
        ChatCompletionClient.load_component(component(provider, "model", config))
    assert caught.value.pointer == "/config/bedrock_info/aws_access_key"


@pytest.mark.parametrize("field", ["base_url", "profile"])
def test_the_program_decides_where_bedrock_is_called(field: str) -> None:
    data = component(
        "teamrun.models.BedrockChatCompletionClient", "model", {"model": "m", field: "x"}
    )

    with pytest.raises(DefinitionError, match="pass the client") as caught:
        ChatCompletionClient.load_component(data)

    assert caught.value.pointer == f"/config/{field}"


@pytest.mark.behaviour("component.loss.input_func")
def test_a_person_is_asked_with_the_function_that_is_passed() -> None:
    data = component("autogen_agentchat.agents.UserProxyAgent", "agent", {"name": "boss"})

    loaded = UserProxyAgent.load_component(data, input_func=str.upper)

    assert loaded._input_func is str.upper  # pyright: ignore[reportPrivateUsage]
    data["config"]["input_func"] = "import os"
    with pytest.raises(DefinitionError, match="'input_func' is code"):
        UserProxyAgent.load_component(data)


@pytest.mark.behaviour("component.versions.assistant_1", "component.token_usage")
def test_files_that_autogen_writes_and_does_not_read_are_read() -> None:
    tokens = component(
        "autogen_agentchat.conditions.TokenUsageTermination", "termination", {"max_total_token": 9}
    )
    old = with_tools(TOOL, version=1)

    loaded = BaseGroupChat.load_component(team(old, termination_condition=tokens), tools=[look_up])

    assert loaded.dump_component().config["termination_condition"]["config"] == {
        "max_total_token": 9,
        "max_prompt_token": None,
        "max_completion_token": None,
    }


@pytest.mark.behaviour("component.versions")
def test_a_component_without_version_and_type_is_the_current_one() -> None:
    data: Json = {"provider": "autogen_agentchat.conditions.MaxMessageTermination", "config": {}}

    assert isinstance(ComponentLoader.load_component(data, object), MaxMessageTermination)


@pytest.mark.behaviour("component.versions.assistant_1")
def test_a_workbench_may_be_an_object_instead_of_a_list() -> None:
    data = with_tools(TOOL)
    data["config"]["workbench"] = data["config"]["workbench"][0]

    AssistantAgent.load_component(data, tools=[look_up])


def test_an_object_of_another_class_is_refused() -> None:
    with pytest.raises(TypeError, match=r"'autogen_core\.memory\.ListMemory' is a ListMemory, not"):
        BaseGroupChat.load_component(component("autogen_core.memory.ListMemory", "memory", {}))
    with pytest.raises(TypeError, match="not a ChatCompletionContext"):
        ComponentLoader.load_component(MODEL, ChatCompletionContext)


@pytest.mark.behaviour("component.structured")
def test_a_class_of_answers_is_made_of_its_schema_or_passed() -> None:
    given = component(
        "autogen_agentchat.messages.StructuredMessageFactory",
        "structured_message",
        {"json_schema": Answer.model_json_schema(), "content_model_name": "Answer"},
    )
    agent = agent_component(structured_message_factory=given)

    for classes, expected in ((None, False), ([Answer], True)):
        read = AssistantAgent.load_component(agent, classes=classes)
        written = read.dump_component().config["structured_message_factory"]["config"]
        [announced] = read.produced_message_types
        assert (announced is StructuredMessage[Answer]) is expected
        assert written["json_schema"] == Answer.model_json_schema()


def test_a_schema_that_cannot_be_used_is_an_error_with_a_remedy() -> None:
    factory = component(
        "autogen_agentchat.messages.StructuredMessageFactory",
        "structured_message",
        {"json_schema": {}, "content_model_name": "Answer"},
    )

    with pytest.raises(DefinitionError, match=r"classes=\[Answer\]"):
        AssistantAgent.load_component(agent_component(structured_message_factory=factory))


AGENT = "/config/participants/0"
FAULTS: list[tuple[str, Any, str, str]] = [
    ("no object", "text", "", "must be an object"),
    ("no configuration", {"provider": "x"}, "/config", "'config' is needed"),
    ("an unknown field", team(agent_component(tols=[])), f"{AGENT}/config/tols", "'tools'"),
    ("a field that cannot be expressed", team(agent_component(), stalls=3), "/config/stalls",
     "cannot be expressed here"),
    ("a missing field", team(component("autogen_agentchat.agents.AssistantAgent", "agent",
     {"name": "a"}) | {"version": 2}), f"{AGENT}/config/model_client", "is needed"),
    ("a later version", team(agent_component() | {"component_version": 3}),
     f"{AGENT}/component_version", "up to version 2"),
    ("an argument", team(agent_component(max_tool_iterations=0)), f"{AGENT}/config",
     "at least 1"),
    ("no participants", team(), "/config", "At least one participant"),
    ("a part that is no component", team(agent_component(model_client="main")),
     f"{AGENT}/config/model_client", "must be an object"),
    ("an unknown part", team(agent_component(model_client=component("x.Y", "model", {}))),
     f"{AGENT}/config/model_client/provider", "no component 'x.Y'"),
    ("a handoff", team(agent_component(handoffs=[{"name": "x"}])), f"{AGENT}/config/handoffs",
     "'handoffs'"),
    ("a graph", component("autogen_agentchat.teams.GraphFlow", "team",
     {"participants": [], "graph": {"nodes": 3}}), "/config/graph", "'graph'"),
    ("handoffs", team(agent_component(handoffs="editor")), f"{AGENT}/config/handoffs",
     "must be a list"),
]  # fmt: skip


@pytest.mark.behaviour("component.versions")
@pytest.mark.parametrize(
    ("data", "pointer", "says"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_a_fault_is_reported_at_its_place(data: Any, pointer: str, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        BaseGroupChat.load_component(data)

    assert caught.value.pointer == pointer
    assert says in str(caught.value)


def test_components_that_are_nested_without_end_are_refused() -> None:
    data = team(agent_component())
    for _ in range(200):
        data = team(data)

    with pytest.raises(DefinitionError, match="nested too deeply"):
        BaseGroupChat.load_component(data)


@pytest.mark.parametrize("wrong", ["look_up", 3])
def test_wrong_arguments_are_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="tools must be"):
        BaseGroupChat.load_component(team(agent_component()), tools=wrong)
    with pytest.raises(TypeError, match="classes must be"):
        BaseGroupChat.load_component(team(agent_component()), classes=wrong)


def test_the_model_of_a_component_is_taken_as_it_is() -> None:
    data = ComponentModel.model_validate(json.loads(json.dumps(team(agent_component()))))

    assert BaseGroupChat.load_component(data).name == "RoundRobinGroupChat"
