"""Requests for conversations, tools and options."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel

from teamrun.errors import UsageError
from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from teamrun.models.base import ModelInfo
from teamrun.models.create_args import checked
from teamrun.models.openai.request import RequestBuilder
from teamrun.models.tool_names import normalize_name
from teamrun.tools.schema import ToolSchema

ABLE = ModelInfo(
    vision=True, function_calling=True, json_output=True, family="gpt-4o", structured_output=True
)
UNABLE = ModelInfo(
    vision=False, function_calling=False, json_output=False, family="x", structured_output=False
)
PNG = Image.from_bytes(b"\x89PNG\r\n\x1a\n....")
ASK = UserMessage(content="Hi", source="user")
LOAD = ToolSchema(name="load", description="Loads.")
SAVE = ToolSchema(name="save", description="Saves.", strict=True)


class Answer(BaseModel):
    text: str


def build(
    messages: list[LLMMessage] | None = None,
    *,
    info: ModelInfo = ABLE,
    tools: Any = (),
    tool_choice: Any = "auto",
    json_output: Any = None,
    extra: dict[str, Any] | None = None,
    create_args: Any = None,
    **options: Any,
) -> dict[str, Any]:
    builder = RequestBuilder(model="m", info=info, create_args=create_args or {}, **options)
    return builder.build(
        messages or [ASK],
        tools=tools,
        tool_choice=tool_choice,
        json_output=json_output,
        extra=extra or {},
    ).body


@dataclass(frozen=True)
class Case:
    id: str
    message: LLMMessage
    wire: list[dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict[str, Any])


CASES = [
    Case(
        id="system",
        message=SystemMessage(content="Be short."),
        wire=[{"role": "system", "content": "Be short."}],
    ),
    Case(
        id="user with the name of its source",
        message=UserMessage(content="Hi", source="a critic!"),
        wire=[{"role": "user", "content": "Hi", "name": "a_critic_"}],
    ),
    Case(
        id="user with a prefix and no name",
        message=UserMessage(content="Hi", source="critic"),
        options={"add_name_prefixes": True, "include_name_in_message": False},
        wire=[{"role": "user", "content": "critic said:\nHi"}],
    ),
    Case(
        id="image",
        message=UserMessage(content=["Look:", PNG], source="u"),
        wire=[
            {
                "role": "user",
                "name": "u",
                "content": [
                    {"type": "text", "text": "Look:"},
                    {"type": "image_url", "image_url": {"url": PNG.data_uri, "detail": "auto"}},
                ],
            }
        ],
    ),
    Case(
        id="assistant",
        message=AssistantMessage(content="Hello", thought="hm", source="a"),
        wire=[{"role": "assistant", "content": "Hello"}],
    ),
    Case(
        id="tool calls",
        message=AssistantMessage(
            content=[FunctionCall(id="c", arguments="{}", name="load it")],
            thought="hm",
            source="a",
        ),
        wire=[
            {
                "role": "assistant",
                "content": "hm",
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "function": {"name": "load_it", "arguments": "{}"},
                    }
                ],
            }
        ],
    ),
    Case(
        id="tool results",
        message=FunctionExecutionResultMessage(
            content=[
                FunctionExecutionResult(content="1", name="load", call_id="c"),
                FunctionExecutionResult(content="2", name="load", call_id="d", is_error=True),
            ]
        ),
        wire=[
            {"role": "tool", "tool_call_id": "c", "content": "1"},
            {"role": "tool", "tool_call_id": "d", "content": "2"},
        ],
    ),
]


@pytest.mark.behaviour("model.openai.names")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_message_is_written_as_the_api_has_it(case: Case) -> None:
    assert build([case.message], **case.options)["messages"] == case.wire


@pytest.mark.behaviour("model.info.gemini")
def test_system_messages_are_joined_where_the_model_takes_only_one() -> None:
    messages: list[LLMMessage] = [
        SystemMessage(content="One."),
        ASK,
        SystemMessage(content="Two."),
    ]
    info: ModelInfo = {**ABLE, "multiple_system_messages": False}
    assert [m["content"] for m in build(messages, info=info)["messages"]] == ["One.\nTwo.", "Hi"]


def test_tools_are_described_and_the_choice_is_sent() -> None:
    body = build(tools=[LOAD, SAVE], tool_choice=SAVE)
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "load",
                "description": "Loads.",
                "parameters": {"type": "object", "properties": {}},
            },
        },
        {
            "type": "function",
            "function": {
                "name": "save",
                "description": "Saves.",
                "parameters": {
                    "type": "object",
                    "properties": {},
                    "required": [],
                    "additionalProperties": False,
                },
                "strict": True,
            },
        },
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "save"}}
    assert build(tools=[LOAD], tool_choice="required")["tool_choice"] == "required"


def test_without_tools_nothing_about_tools_is_sent() -> None:
    body = build(tool_choice="none", create_args={"parallel_tool_calls": False})
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(body)
    with_tools = build(tools=[LOAD], create_args={"parallel_tool_calls": False})
    assert with_tools["parallel_tool_calls"] is False


def test_a_name_that_was_changed_for_the_model_is_changed_back() -> None:
    builder = RequestBuilder(model="m", info=ABLE, create_args={})
    request = builder.build(
        [ASK],
        tools=[ToolSchema(name="load it")],
        tool_choice="auto",
        json_output=None,
        extra={},
    )
    assert request.body["tools"][0]["function"]["name"] == "load_it"
    assert request.names.ours("load_it") == "load it"
    assert request.names.ours("never heard of!") == "never_heard_of_"


@pytest.mark.behaviour("model.openai.names")
def test_names_have_letters_digits_underscores_dashes_and_at_most_64() -> None:
    assert normalize_name("änd-1 x") == "_nd-1_x"
    assert normalize_name("x" * 65) == "x" * 64


@pytest.mark.parametrize(
    ("json_output", "sent"),
    [
        (True, {"type": "json_object"}),
        (False, {"type": "text"}),
        (
            Answer,
            {
                "type": "json_schema",
                "json_schema": {
                    "name": "Answer",
                    "strict": True,
                    "schema": {
                        "type": "object",
                        "title": "Answer",
                        "properties": {"text": {"type": "string", "title": "Text"}},
                        "required": ["text"],
                        "additionalProperties": False,
                    },
                },
            },
        ),
    ],
)
def test_json_output_is_a_response_format(json_output: Any, sent: dict[str, Any]) -> None:
    assert build(json_output=json_output)["response_format"] == sent
    if json_output is Answer:
        assert build(create_args={"response_format": Answer})["response_format"] == sent
        assert build(extra={"response_format": Answer})["response_format"] == sent


@pytest.mark.behaviour("model.openai.arguments")
def test_arguments_of_the_call_win_over_those_of_the_client_and_none_is_not_sent() -> None:
    body = build(create_args={"temperature": 0.1, "seed": None}, extra={"temperature": 0.9})
    assert body["temperature"] == 0.9
    assert "seed" not in body


def test_a_reasoning_model_gets_its_own_name_for_the_longest_answer() -> None:
    body = build(create_args={"max_tokens": 7}, rename_max_tokens=True)
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    "arguments",
    [
        {"messages": [UserMessage(content=[PNG], source="u")], "info": UNABLE},
        {"tools": [LOAD], "info": UNABLE},
        {"json_output": True, "info": UNABLE},
        {"json_output": Answer, "info": UNABLE},
        {"tools": [LOAD], "tool_choice": SAVE},
        {"tools": [ToolSchema(name="a b"), ToolSchema(name="a_b")]},
        {"extra": {"temprature": 1}},
    ],
)
def test_unsupported_features_are_refused_before_the_call(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        build(**arguments)


def test_an_unknown_argument_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError) as misspelt:
        checked({"temprature": 1})
    with pytest.raises(UsageError) as unknown:
        checked({"zzz": 1})
    with pytest.raises(UsageError) as unfit:
        checked({"max_tokens": "many"})
    arguments = [caught.value.data["argument"] for caught in (misspelt, unknown, unfit)]
    assert arguments == ["temprature", "zzz", "max_tokens"]
    assert "'temperature'" in misspelt.value.message
