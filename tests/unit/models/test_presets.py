"""Servers with OpenAI's protocol that are known by name: address, key, and how they differ."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from tests.support.pages import page

from teamrun.components.reading.problems import Problems
from teamrun.components.reading.profiles import implicit_profile, read_profiles
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError, UsageError
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ProviderData,
    SystemMessage,
    UserMessage,
)
from teamrun.models import OpenAIChatCompletionClient, model_client_from_env
from teamrun.models.create_args import checked
from teamrun.models.families import model_info_for
from teamrun.models.makers import KEY_VARIABLES, NO_KEY, PRESETS, provider_of, quirks_of
from teamrun.models.openai.request import RequestBuilder
from teamrun.models.openai.response import AnswerReader
from teamrun.tools.schema import ToolSchema

ASK: list[LLMMessage] = [UserMessage(content="Hi", source="user")]
ADD = ToolSchema(
    name="add",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    strict=True,
)
TAKE = ToolSchema(name="take")
LOCAL = ("vllm", "lm_studio", "llama_cpp", "sglang")
KEYS = {variable: f"key-of-{variable}" for variable in KEY_VARIABLES}


class Verdict(BaseModel):
    approved: bool


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def builder(name: str) -> RequestBuilder:
    server = PRESETS[name]
    info: Any = {**model_info_for("m", own_server=True), **server.quirks.switches}
    return RequestBuilder(
        model="m",
        info=info,
        create_args=checked({}),
        provider=provider_of(server.base_url),
        quirks=server.quirks,
    )


def body_of(name: str, messages: list[LLMMessage] = ASK, **call: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"tools": (), "tool_choice": "auto", "json_output": None, "extra": {}}
    return builder(name).build(messages, **{**given, **call}).body


SET = {"max_completion_tokens": 9, "seed": 3}
ARGUMENTS = {
    "mistral": {"max_tokens": 9, "random_seed": 3},
    "deepseek": {"max_tokens": 9, "seed": 3},
    "together": {"max_tokens": 9, "seed": 3},
}


@pytest.mark.parametrize("name", PRESETS)
def test_arguments_by_their_names_there(name: str) -> None:
    body = body_of(name, extra=SET)
    sent = {key: body[key] for key in body.keys() - {"model", "messages"}}
    assert sent == ARGUMENTS.get(name, SET)


@pytest.mark.parametrize("name", PRESETS)
def test_tools_and_the_choice_of_them(name: str) -> None:
    strict = body_of(name, tools=[ADD])["tools"][0]["function"].get("strict")
    assert strict is (None if name == "deepseek" else True)
    required = body_of(name, tools=[ADD, TAKE], tool_choice="required")
    assert required["tool_choice"] == ("any" if name == "mistral" else "required")
    forced = body_of(name, tools=[ADD, TAKE], tool_choice=TAKE)
    names = [tool["function"]["name"] for tool in forced["tools"]]
    if name in ("lm_studio", "llama_cpp"):  # they take no other choice than a word
        assert (names, forced["tool_choice"]) == (["take"], "required")
    else:
        assert names == ["add", "take"]
        assert forced["tool_choice"] == {"type": "function", "function": {"name": "take"}}


@pytest.mark.parametrize("with_tools", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_a_schema_is_sent_or_told(name: str, with_tools: bool) -> None:
    messages: list[LLMMessage] = [SystemMessage(content="Be brief."), *ASK]
    tools = [TAKE] if with_tools else []
    body = body_of(name, messages, tools=tools, json_output=Verdict)
    kind = body.get("response_format", {}).get("type")
    told = "approved" in body["messages"][0]["content"]
    if name == "deepseek":
        assert (kind, told) == ("json_object", True)
    elif name == "groq" and with_tools:
        assert (kind, told) == (None, True)
    else:
        assert (kind, told) == ("json_schema", False)
    assert body["messages"][0]["content"].startswith("Be brief.")
    assert [part["role"] for part in body["messages"]] == ["system", "user"]


def test_json_of_any_form_beside_tools_is_told_where_it_is_refused() -> None:
    body = body_of("groq", tools=[TAKE], json_output=True)
    assert "response_format" not in body
    assert "one JSON object" in body["messages"][0]["content"]
    after = body_of("groq", tools=[TAKE], tool_choice="none", json_output=True)
    assert after["response_format"] == {"type": "json_object"}


RETURNED = {"deepseek", "openrouter", "fireworks", "vllm", "llama_cpp", "sglang"}
KEPT_BACK = {"mistral", "groq", "xai", "together", "lm_studio"}


@pytest.mark.parametrize("name", sorted(RETURNED | KEPT_BACK))
def test_thoughts_go_back_with_tool_calls_where_they_are_wanted(name: str) -> None:
    request = builder(name).build(ASK, tools=[TAKE], tool_choice="auto", json_output=None, extra={})
    reader = AnswerReader(request, "unknown")
    call = {"id": "c00000001", "function": {"name": "take", "arguments": "{}"}}
    message = {"content": "", "reasoning_content": "Hm.", "tool_calls": [call]}
    reader.add({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    result = reader.result()
    assert result.thought == "Hm."
    assert isinstance(result.content, list)
    turn = AssistantMessage(
        content=result.content,
        source="a",
        thought=result.thought,
        provider_data=result.provider_data,
    )
    done = FunctionExecutionResult(content="1", name="take", call_id="c00000001")
    history = [*ASK, turn, FunctionExecutionResultMessage(content=[done])]
    sent = next(p for p in body_of(name, history)["messages"] if p["role"] == "assistant")
    assert sent.get("reasoning_content") == ("Hm." if name in RETURNED else None)
    assert not sent.get("content")  # a thought is no text
    assert sent["tool_calls"][0]["id"] == "c00000001"


def test_text_beside_tool_calls_goes_back_as_text_everywhere() -> None:
    call = FunctionCall(id="c", arguments="{}", name="take")
    data = ProviderData("groq", {"reasoning": "Hm."})
    turn = AssistantMessage(content=[call], source="a", thought="I take.", provider_data=data)
    [_, sent, *_] = body_of("groq", [*ASK, turn])["messages"]
    assert (sent["content"], "reasoning" in sent) == ("I take.", False)


def test_mistral_gets_the_sequence_the_ids_and_the_fields_that_it_takes() -> None:
    call = FunctionCall(id="call_of_another_provider", arguments="{}", name="take")
    done = FunctionExecutionResult(content="1", name="take", call_id=call.id)
    messages: list[LLMMessage] = [
        SystemMessage(content="One."),
        UserMessage(content="Hi", source="anna"),
        UserMessage(content="Ho", source="ben"),
        AssistantMessage(content=[call], source="a"),
        FunctionExecutionResultMessage(content=[done]),
        UserMessage(content="So?", source="anna"),
        SystemMessage(content="Two."),
    ]
    wire = body_of("mistral", messages, tools=[TAKE])["messages"]
    roles = [part["role"] for part in wire]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert wire[0]["content"] == "One.\nTwo."
    assert wire[1] == {"role": "user", "content": "anna said:\nHi\n\nben said:\nHo"}
    sent = wire[2]["tool_calls"][0]["id"]
    assert sent == wire[3]["tool_call_id"] and len(sent) == 9 and sent.isalnum()
    assert wire[5] == {"role": "user", "content": "anna said:\nSo?"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_an_address_with_its_key(name: str, tmp_path: Path) -> None:
    server = PRESETS[name]
    assert (server.variable == "") is (name in LOCAL)
    client = OpenAIChatCompletionClient("gpt-4o", preset=name)
    assert client.base_url == server.base_url
    text = {"m": {"type": "openai", "model": "m", "preset": name}}
    problems = Problems()
    profile = read_profiles(text, "/models", problems, folder=tmp_path, environ=KEYS)["m"]
    assert profile is not None and not problems.found
    arguments = profile.arguments(KEYS)
    key = KEYS.get(server.variable, NO_KEY)
    assert (arguments["base_url"], arguments["api_key"]) == (server.base_url, key)


@pytest.mark.parametrize("name", sorted(PRESETS.keys() - set(LOCAL)))
def test_the_key_of_a_company_goes_to_no_other_address(name: str, tmp_path: Path) -> None:
    given = {"type": "openai", "model": "m", "preset": name, "base_url": "http://proxy.test/v1"}
    problems = Problems()
    profile = read_profiles({"m": given}, "/models", problems, folder=tmp_path, environ=KEYS)["m"]
    assert profile is not None
    assert profile.arguments(KEYS)["api_key"] == NO_KEY


@pytest.mark.parametrize("name", sorted(PRESETS.keys() - set(LOCAL)))
def test_a_company_is_known_by_its_address(name: str) -> None:
    server = PRESETS[name]
    assert quirks_of(server.base_url, None) == server.quirks
    assert quirks_of("http://127.0.0.1:8000/v1", server) == server.quirks
    assert quirks_of("http://127.0.0.1:8000/v1", None) == PRESETS["openai"].quirks


def test_the_key_of_openai_is_not_sent_to_a_server_that_needs_none() -> None:
    problems: list[str] = []
    for name in LOCAL:
        client = OpenAIChatCompletionClient("m", preset=name)
        if "key-of-OPENAI" in repr(vars(client)):
            problems.append(name)
    assert problems == []


def test_a_preset_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'groq'") as raised:
        OpenAIChatCompletionClient("m", preset="grok")
    assert raised.value.data["argument"] == "preset"
    file = tmp_path / "teamrun.yaml"
    profile = {"type": "openai", "model": "m", "preset": "lmstudio"}
    file.write_text(yaml.safe_dump({"models": {"m": profile}}), encoding="utf-8")
    with pytest.raises(DefinitionError, match="lm_studio") as refused:
        load_registry(file, environ={})
    assert refused.value.data["problems"][0]["pointer"] == "/models/m/preset"


def test_the_type_mistral_is_that_preset(tmp_path: Path) -> None:
    file = tmp_path / "teamrun.yaml"
    file.write_text(
        yaml.safe_dump({"models": {"m": {"type": "mistral", "model": "magistral-medium"}}}),
        encoding="utf-8",
    )
    client = load_registry(file, environ=KEYS).model_client("m")
    assert client.model_info.get("alternate_roles") is True
    profile = implicit_profile("mistral:mistral-large-latest")
    assert profile is not None
    arguments = profile.arguments({"MISTRAL_API_KEY": "key-1"})
    assert arguments["api_key"] == "key-1"
    assert arguments["base_url"] == "https://api.mistral.ai/v1"
    made = model_client_from_env({"MISTRAL_API_KEY": "k", "MISTRAL_MODEL": "m"})
    assert isinstance(made, OpenAIChatCompletionClient)
    assert made.base_url == "https://api.mistral.ai/v1"
    assert made.model_info.get("multiple_system_messages") is False


def test_a_component_keeps_its_preset() -> None:
    client = OpenAIChatCompletionClient("m", preset="groq", api_key="k")
    written = client.dump_component()
    assert written.config["preset"] == "groq"
    read = OpenAIChatCompletionClient.load_component(
        {**written.model_dump(), "config": {"model": "m", "preset": "groq"}}
    )
    assert read.base_url == PRESETS["groq"].base_url


def test_the_page_lists_every_preset_with_its_address_and_variable() -> None:
    rows = page("docs/how-to/models.md").table("### Servers by name")
    listed = {name: (address, variable) for name, address, variable, *_ in rows}
    assert listed == {
        f"`{name}`": (f"`{server.base_url}`", f"`{server.variable}`" if server.variable else "")
        for name, server in PRESETS.items()
    }
