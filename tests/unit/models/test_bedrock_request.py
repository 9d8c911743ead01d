"""Requests to Converse: tools, forms of answers, arguments, caches."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from tests.support.converse_rules import faults_of

from teamrun.errors import ModelError, UsageError
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from teamrun.models.bedrock.arguments import checked_arguments
from teamrun.models.bedrock.guardrails import Guardrail
from teamrun.models.bedrock.request import Request, RequestBuilder
from teamrun.models.bedrock.traits import OPAQUE, model_info_of, traits_of
from teamrun.tools.schema import ToolSchema

CLAUDE = "us.anthropic.claude-sonnet-4-20250514-v1:0"
CLAUDE_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
CLAUDE_5 = "anthropic.claude-sonnet-5-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
LARGE = "mistral.mistral-large-2407-v1:0"
COMMAND = "cohere.command-r-v1:0"
TITAN = "amazon.titan-text-express-v1"
GPT = "openai.gpt-oss-20b-1:0"
NOVA = "amazon.nova-lite-v1:0"

ASK: list[LLMMessage] = [UserMessage(content="How many?", source="user")]
HISTORY: list[LLMMessage] = [
    *ASK,
    AssistantMessage(
        content=[FunctionCall(id="c1", arguments='{"a": 1}', name="add")], source="helper"
    ),
    FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="1", name="add", call_id="c1")]
    ),
]
ADD = ToolSchema(
    name="add",
    description="Adds.",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}},
)
SUB = ToolSchema(name="sub two")
ADD_SPEC: dict[str, Any] = {
    "toolSpec": {
        "name": "add",
        "description": "Adds.",
        "inputSchema": {"json": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    }
}
SUB_SPEC: dict[str, Any] = {
    "toolSpec": {
        "name": "sub_two",
        "inputSchema": {"json": {"type": "object", "properties": {}}},
    }
}


class Verdict(BaseModel):
    approved: bool
    score: int = Field(default=0, ge=0, le=10)


class Tree(BaseModel):
    children: list["Tree"]


class Free(BaseModel):
    values: dict[str, int]


def builder(model: str = CLAUDE, **options: Any) -> RequestBuilder:
    arguments = checked_arguments(options.pop("arguments", {}))
    return RequestBuilder(
        model=model,
        info=model_info_of(model),
        traits=traits_of(model) or OPAQUE,
        provider="bedrock-x",
        arguments=arguments,
        has_schemas=options.pop("has_schemas", True),
        **options,
    )


def built(
    model: str = CLAUDE,
    messages: Sequence[LLMMessage] = ASK,
    *,
    tools: Sequence[ToolSchema] = (),
    tool_choice: ToolSchema | Literal["auto", "required", "none"] = "auto",
    json_output: bool | type[BaseModel] | None = None,
    extra: dict[str, Any] | None = None,
    **options: Any,
) -> Request:
    request = builder(model, **options).build(
        messages, tools=tools, tool_choice=tool_choice, json_output=json_output, extra=extra or {}
    )
    body = {name: value for name, value in request.body.items() if name != "modelId"}
    assert faults_of(model, body, streamed=request.streams) == []
    return request


def test_a_request_has_nothing_that_was_not_asked_for() -> None:
    request = built()
    assert request.body == {
        "modelId": CLAUDE,
        "messages": [{"role": "user", "content": [{"text": "How many?"}]}],
    }
    assert request.streams and request.answer_tool is None


def test_arguments_have_the_names_of_converse_and_those_of_the_call_come_first() -> None:
    arguments = {"temperature": 0.5, "max_tokens": 9, "top_p": 0.9, "stop": "X"}
    rest = {
        "reasoning_effort": "low",
        "latency": "optimized",
        "service_tier": "flex",
        "request_metadata": {"team": "a"},
        "additional_model_request_fields": {"top_k": 5},
    }
    body = built(arguments={**arguments, **rest}, extra={"temperature": 0, "stop": ["Y"]}).body
    assert body["inferenceConfig"] == {
        "temperature": 0,
        "maxTokens": 9,
        "topP": 0.9,
        "stopSequences": ["Y"],
    }
    assert body["outputConfig"] == {"effort": "low"}
    assert body["performanceConfig"] == {"latency": "optimized"}
    assert body["serviceTier"] == {"type": "flex"}
    assert body["requestMetadata"] == {"team": "a"}
    assert body["additionalModelRequestFields"] == {"top_k": 5}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"seed": 1}, "additional_model_request_fields"),
        ({"max_token": 1}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"latency": "fast"}, "latency"),
    ],
)
def test_an_argument_that_is_unknown_or_of_another_type_is_an_error(
    arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        built(extra=arguments)


@pytest.mark.parametrize(
    ("model", "choice", "config"),
    [
        (CLAUDE, "auto", {"tools": [ADD_SPEC, SUB_SPEC]}),
        (CLAUDE, "required", {"tools": [ADD_SPEC, SUB_SPEC], "toolChoice": {"any": {}}}),
        (CLAUDE, SUB, {"tools": [ADD_SPEC, SUB_SPEC], "toolChoice": {"tool": {"name": "sub_two"}}}),
        (LARGE, SUB, {"tools": [SUB_SPEC], "toolChoice": {"any": {}}}),
        (CLAUDE, "none", None),
        (LLAMA, "auto", {"tools": [ADD_SPEC, SUB_SPEC]}),
    ],
)
def test_tools_and_which_of_them_the_model_must_call(model: str, choice: Any, config: Any) -> None:
    request = built(model, tools=[ADD, SUB], tool_choice=choice)
    assert request.body.get("toolConfig") == config
    if config is not None:
        assert request.names.ours("sub_two") == "sub two"


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (TITAN, {"tools": [ADD]}, "cannot call tools"),
        (LLAMA, {"tools": [ADD], "tool_choice": "required"}, "cannot be forced"),
        (COMMAND, {"tools": [ADD], "tool_choice": ADD}, "cannot be forced"),
        (CLAUDE, {"tools": [ADD], "tool_choice": SUB}, "not among the tools"),
        (CLAUDE, {"tools": [SUB, ToolSchema(name="sub_two")]}, "rename one"),
        (LLAMA, {"json_output": Verdict}, "structured output"),
    ],
)
def test_what_the_model_cannot_do_is_an_error_before_the_call(
    model: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        built(model, **options)


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_calls_in_the_history_bring_their_tools_along(choice: Any) -> None:
    tools = [ADD] if choice == "none" else []
    body = built(messages=HISTORY, tools=tools, tool_choice=choice).body
    [spec] = body["toolConfig"]["tools"]
    assert spec["toolSpec"]["name"] == "add"
    assert "No tool can be called" in body["system"][-1]["text"]


def test_system_prompts_go_into_the_first_message_where_the_model_has_none() -> None:
    body = built(TITAN, [SystemMessage(content="Be short."), *ASK]).body
    assert "system" not in body
    assert body["messages"][0]["content"] == [{"text": "Be short."}, {"text": "How many?"}]


@pytest.mark.parametrize("model", [LLAMA, LARGE])
def test_a_request_that_cannot_be_streamed_is_known(model: str) -> None:
    assert built(model).streams
    assert not built(model, tools=[ADD]).streams


def test_json_without_a_schema_is_an_instruction() -> None:
    assert "JSON object" in built(json_output=True).body["system"][-1]["text"]
    assert built(json_output=False).body == built().body


@pytest.mark.parametrize("model", [CLAUDE, CLAUDE_45, NOVA])
def test_an_answer_with_a_type_is_the_call_of_a_tool(model: str) -> None:
    request = built(model, json_output=Verdict)
    config = request.body["toolConfig"]
    assert config["toolChoice"] == {"tool": {"name": request.answer_tool}}
    [spec] = config["tools"]
    assert spec["toolSpec"]["inputSchema"]["json"] == Verdict.model_json_schema()


def test_an_answer_with_a_type_beside_tools_is_one_of_the_calls() -> None:
    request = built(json_output=Verdict, tools=[ADD])
    config = request.body["toolConfig"]
    assert config["toolChoice"] == {"any": {}}
    names = [tool["toolSpec"]["name"] for tool in config["tools"]]
    assert names == ["add", request.answer_tool]


def test_a_call_that_must_be_one_of_a_tool_has_no_form_yet() -> None:
    request = built(json_output=Verdict, tools=[ADD], tool_choice="required")
    assert request.answer_tool is None
    assert request.body["toolConfig"] == {"tools": [ADD_SPEC], "toolChoice": {"any": {}}}


@pytest.mark.parametrize("model", [CLAUDE_5, GPT])
def test_models_that_take_a_schema_get_it_without_limits(model: str) -> None:
    request = built(model, json_output=Verdict)
    assert request.answer_tool is None and "toolConfig" not in request.body
    form = request.body["outputConfig"]["textFormat"]
    assert (form["type"], form["structure"]["jsonSchema"]["name"]) == ("json_schema", "Verdict")
    schema = json.loads(form["structure"]["jsonSchema"]["schema"])
    assert schema["required"] == ["approved", "score"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["score"] == {"title": "Score", "type": "integer"}


@pytest.mark.parametrize("form", [Tree, Free])
@pytest.mark.parametrize("model", [CLAUDE_5, GPT])
def test_a_type_that_no_schema_expresses_is_the_call_of_a_tool(
    model: str, form: type[BaseModel]
) -> None:
    request = built(model, json_output=form)
    assert "outputConfig" not in request.body and request.answer_tool is not None


def test_an_sdk_without_schemas_gets_none() -> None:
    request = built(CLAUDE_5, json_output=Verdict, has_schemas=False)
    assert "outputConfig" not in request.body and request.answer_tool is not None


@pytest.mark.parametrize(("model", "has_schema"), [(CLAUDE, False), (CLAUDE_45, True)])
def test_a_model_that_thinks_is_not_forced(model: str, has_schema: bool) -> None:
    thinking = {"additional_model_request_fields": {"thinking": {"type": "enabled"}}}
    request = built(model, json_output=Verdict, arguments=thinking)
    assert ("outputConfig" in request.body) is has_schema
    assert "toolChoice" not in request.body.get("toolConfig", {})


@pytest.mark.parametrize(("model", "after_tools"), [(CLAUDE, True), (NOVA, False)])
def test_cache_points_are_at_the_ends_of_what_is_sent_again(model: str, after_tools: bool) -> None:
    point = {"cachePoint": {"type": "default"}}
    messages = [SystemMessage(content="Be short."), *ASK]
    body = built(model, messages, tools=[ADD], prompt_caching=True).body
    assert body["system"][-1] == point
    assert body["messages"][-1]["content"][-1] == point
    assert (body["toolConfig"]["tools"][-1] == point) is after_tools
    assert point not in built(LLAMA, messages, prompt_caching=True).body["system"]


def test_a_guardrail_is_part_of_each_request() -> None:
    guardrail = Guardrail("abc123", "DRAFT", "enabled")
    assert built(guardrail=guardrail).body["guardrailConfig"] == {
        "guardrailIdentifier": "abc123",
        "guardrailVersion": "DRAFT",
        "trace": "enabled",
    }
    assert "trace" not in Guardrail("abc123", "1").on_wire()


@pytest.mark.parametrize(
    "options",
    [
        {"extra": {"temperature": float("nan")}},
        {"extra": {"additional_model_request_fields": {"x": [float("inf")]}}},
        {
            "tools": [
                ToolSchema(
                    name="t",
                    parameters={"type": "object", "properties": {"a": {"const": float("inf")}}},
                )
            ]
        },
    ],
)
def test_what_json_cannot_express_is_an_error_that_is_not_retried(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as raised:
        built(**options)
    assert not raised.value.retryable
