"""Requests of Ollama's client, its addresses, and its arguments."""

import base64
import json
from typing import Any

import pytest
from pydantic import BaseModel

from teamrun.errors import UsageError
from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from teamrun.models import OllamaChatCompletionClient
from teamrun.models.families import resolved_model_info
from teamrun.models.ollama.arguments import checked_arguments
from teamrun.models.ollama.host import host_fault, host_url
from teamrun.models.ollama.request import RequestBuilder
from teamrun.tools.schema import ToolSchema

ASK: list[LLMMessage] = [UserMessage(content="Hi", source="user")]
ADD = ToolSchema(name="add", description="Adds.")
TAKE = ToolSchema(name="take away", description="Takes.")
NO_VISION: Any = {
    "vision": False,
    "function_calling": False,
    "json_output": False,
    "structured_output": False,
    "family": "unknown",
}


class Verdict(BaseModel):
    approved: bool


def builder(info: Any = None, **arguments: Any) -> RequestBuilder:
    return RequestBuilder(
        model="llama3.2",
        info=resolved_model_info("llama3.2", info, own_server=True),
        arguments=checked_arguments(arguments),
        provider="server-1",
    )


def body_of(
    build: RequestBuilder | None = None, messages: list[LLMMessage] = ASK, **call: Any
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "tools": (),
        "tool_choice": "auto",
        "json_output": None,
        "extra": {},
    }
    return (build or builder()).build(messages, **{**options, **call}).body


ARGUMENTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"temperature": 0.0, "seed": 3}, {"options": {"temperature": 0.0, "seed": 3}}),
    ({"max_tokens": 9, "num_ctx": 64}, {"options": {"num_predict": 9, "num_ctx": 64}}),
    ({"num_predict": -1}, {"options": {"num_predict": -1}}),
    ({"stop": "END"}, {"options": {"stop": ["END"]}}),
    ({"stop": ["A", "B"], "top_k": 4}, {"options": {"stop": ["A", "B"], "top_k": 4}}),
    (
        {"options": {"min_p": 0.1, "seed": 1}, "seed": 2},
        {"options": {"min_p": 0.1, "seed": 2}},
    ),
    ({"think": False}, {"think": False}),
    ({"think": "high", "keep_alive": "10m"}, {"think": "high", "keep_alive": "10m"}),
    ({"keep_alive": 0}, {"keep_alive": 0}),
    ({"temperature": None}, {}),
    ({"response_format": "json"}, {"format": "json"}),
    ({"response_format": {"type": "object"}}, {"format": {"type": "object"}}),
    ({"response_format": Verdict}, {"format": Verdict.model_json_schema()}),
]


@pytest.mark.parametrize(("given", "sent"), ARGUMENTS)
def test_arguments_on_the_wire(given: dict[str, Any], sent: dict[str, Any]) -> None:
    plain = {"model": "llama3.2", "messages": [{"role": "user", "content": "Hi"}]}
    assert body_of(builder(**given)) == {**plain, **sent}
    assert body_of(extra=given) == {**plain, **sent}


def test_the_arguments_of_a_call_are_joined_with_those_of_the_client() -> None:
    client = builder(temperature=0.5, options={"min_p": 0.1, "num_gpu": 1})
    body = body_of(client, extra={"temperature": 1.0, "options": {"min_p": 0.2}})
    assert body["options"] == {"min_p": 0.2, "num_gpu": 1, "temperature": 1.0}


TOOLS: list[tuple[Any, list[str], str | None]] = [
    ("auto", ["add", "take_away"], None),
    ("none", [], None),
    ("required", ["add", "take_away"], "Call one of your tools now."),
    (TAKE, ["take_away"], "Call the tool take_away now."),
]


@pytest.mark.parametrize(("choice", "names", "told"), TOOLS)
def test_a_choice_of_tools_which_the_api_does_not_have(
    choice: Any, names: list[str], told: str | None
) -> None:
    body = body_of(tools=[ADD, TAKE], tool_choice=choice)
    assert [tool["function"]["name"] for tool in body.get("tools", [])] == names
    assert "tool_choice" not in body
    system = [part["content"] for part in body["messages"] if part["role"] == "system"]
    assert [text.startswith(told or "") for text in system] == ([] if told is None else [True])


def test_an_instruction_is_added_to_the_system_message_and_changes_no_history() -> None:
    messages: list[LLMMessage] = [SystemMessage(content="Be brief."), *ASK]
    body = body_of(messages=messages, tools=[ADD], tool_choice="required")
    assert [part["role"] for part in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"].startswith("Be brief.\n\nCall one of your tools now.")
    assert messages[0].content == "Be brief."


@pytest.mark.parametrize("wanted", [True, Verdict])
def test_a_format_beside_tools_is_an_instruction_since_it_would_forbid_calls(wanted: Any) -> None:
    body = body_of(tools=[ADD], json_output=wanted)
    assert "format" not in body and body["tools"]
    [system] = [part["content"] for part in body["messages"] if part["role"] == "system"]
    assert ("approved" in system) is (wanted is Verdict)
    assert body_of(tools=[ADD], tool_choice="none", json_output=wanted)["format"]


def test_messages_of_several_sources_are_prefixed() -> None:
    two: list[LLMMessage] = [*ASK, UserMessage(content="Ho", source="other")]
    texts = [part["content"] for part in body_of(messages=two)["messages"]]
    assert texts == ["user said:\nHi", "other said:\nHo"]


def test_an_image_is_sent_as_base64_beside_the_text() -> None:
    image = Image.from_bytes(b"\x89PNG\r\n\x1a\nx")
    asked: list[LLMMessage] = [UserMessage(content=["What", image, "is it?"], source="user")]
    [message] = body_of(messages=asked)["messages"]
    assert message["content"] == "What\nis it?"
    assert base64.b64decode(message["images"][0]) == image.data
    with pytest.raises(UsageError, match="does not accept images"):
        body_of(builder(NO_VISION), messages=asked)


def test_arguments_that_are_not_json_are_sent_as_none_with_a_hint() -> None:
    broken = FunctionCall(id="c", arguments='{"a": ', name="add")
    turn = AssistantMessage(content=[broken], source="a", thought="I add.")
    [_, sent] = body_of(messages=[*ASK, turn])["messages"]
    assert sent["content"] == "I add."
    assert sent["tool_calls"][0]["function"]["arguments"] == {}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"tools": [ADD]}, "cannot call tools"),
        ({"json_output": True}, "no JSON output"),
        ({"json_output": Verdict}, "no structured output"),
    ],
)
def test_what_the_model_cannot_do_is_an_error(call: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        body_of(builder(NO_VISION), **call)


def test_a_forced_tool_must_be_among_the_tools() -> None:
    with pytest.raises(UsageError, match="'take away', which is not among"):
        body_of(tools=[ADD], tool_choice=TAKE)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("gpu-1", "http://gpu-1:11434"),
        ("gpu-1:8000", "http://gpu-1:8000"),
        (":8000", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://0.0.0.0:11434/", "http://127.0.0.1:11434"),
        ("[::]:5", "http://[::1]:5"),
        ("[::1]", "http://[::1]:11434"),
        ("https://ollama.com", "https://ollama.com"),
        ("http://proxy.test/ollama/", "http://proxy.test/ollama"),
        (" http://u:p@host.test ", "http://u:p@host.test"),
    ],
)
def test_every_form_of_a_host(given: str, url: str) -> None:
    assert host_url(given) == url
    assert host_fault(given) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("http://127.0.0.1:11434/v1", "without /v1"),
        ("http://127.0.0.1:11434/v1/", "without /v1"),
        ("ftp://host", "http://"),
        ("http://", "malformed"),
        ("host:99999", "malformed"),
        ("a host", "malformed"),
    ],
)
def test_a_host_that_is_none_is_named(given: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        OllamaChatCompletionClient("m", host=given)
    assert raised.value.data["argument"] == "host"


def test_a_model_is_not_said_to_be_forced_to_call_a_tool() -> None:
    assert OllamaChatCompletionClient("m").model_info.get("forced_tool") is False


def test_the_window_is_that_of_the_options() -> None:
    free = OllamaChatCompletionClient("m").remaining_tokens(ASK)
    assert OllamaChatCompletionClient("m", num_ctx=8192).remaining_tokens(ASK) == free + 4096
    more = OllamaChatCompletionClient("m", options={"num_ctx": 16384})
    assert more.remaining_tokens(ASK) == free + 12288


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "OLLAMA_MODEL"),
        ({"model": "m", "low_vram": True}, "options="),
        ({"model": "m", "temprature": 1}, "'temperature'"),
        ({"model": "m", "think": "much"}, "think"),
        ({"model": "m", "temperature": "hot"}, "temperature"),
    ],
)
def test_a_wrong_argument_is_named(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], words: str
) -> None:
    monkeypatch.delenv("OLLAMA_MODEL", raising=False)
    with pytest.raises(UsageError, match=words):
        OllamaChatCompletionClient(**arguments)


@pytest.mark.behaviour("model.ollama")
def test_keys_and_headers_are_masked_in_a_component() -> None:
    client = OllamaChatCompletionClient(
        "m", base_url="https://h.test", api_key="key-1", default_headers={"x-own": "own-1"}
    )
    written = client.dump_component().model_dump_json()
    assert "key-1" not in written and "own-1" not in written
    assert json.loads(written)["config"]["host"] == "https://h.test"
    read = OllamaChatCompletionClient.load_component(json.loads(written))
    assert read.base_url == "https://h.test"
