"""Structured answers of any model: natively, by a forced tool, by an instruction."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from teamrun.messages.llm import (
    CreateResult,
    FunctionCall,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from teamrun.models.base import ModelInfo
from teamrun.models.bedrock.traits import model_info_of
from teamrun.models.structured import response_format
from teamrun.models.structured_call import answer_class, repair_messages, structured_call
from teamrun.tools.schema import ToolSchema

SCHEMA: dict[str, Any] = {
    "title": "Price",
    "type": "object",
    "properties": {"euros": {"type": "integer"}},
    "required": ["euros"],
}
FORM = answer_class(SCHEMA)
SAID: list[LLMMessage] = [SystemMessage(content="Sell."), UserMessage(content="Tea?", source="u")]
PAY = ToolSchema(name="pay")


def info(**able: Any) -> ModelInfo:
    usual: dict[str, Any] = {
        "vision": False,
        "function_calling": True,
        "json_output": True,
        "family": "unknown",
        "structured_output": False,
    }
    return ModelInfo(**(usual | able))


def answered(*names: str) -> CreateResult:
    calls = [FunctionCall(id=name, name=name, arguments='{"euros": 3}') for name in names]
    usage = RequestUsage(1, 1)
    return CreateResult(finish_reason="function_calls", content=calls, usage=usage, cached=False)


def test_a_native_model_gets_the_class_and_nothing_else_changes() -> None:
    call = structured_call(FORM, info(structured_output=True), SAID, {"tools": [PAY]})
    assert call.messages == SAID
    assert call.arguments == {"tools": [PAY], "json_output": FORM}
    assert call.read(answered("pay")) == answered("pay")


def test_a_model_with_tools_is_forced_to_call_one_whose_arguments_are_the_answer() -> None:
    call = structured_call(FORM, info(), SAID, {})
    [tool] = call.arguments["tools"]
    assert call.arguments == {"tools": [tool], "tool_choice": tool}
    assert tool["parameters"] == SCHEMA
    read = call.read(answered(tool["name"]))
    assert (read.content, read.finish_reason) == ('{"euros": 3}', "stop")


def test_beside_other_tools_one_of_them_is_required_and_they_come_first() -> None:
    call = structured_call(FORM, info(), SAID, {"tools": [PAY], "tool_choice": "auto"})
    assert call.arguments["tool_choice"] == "required"
    assert [tool["name"] for tool in call.arguments["tools"]] == ["pay", "structured_answer"]
    assert call.read(answered("pay")) == answered("pay")
    assert call.read(answered("structured_answer", "pay")).content == answered("pay").content
    assert call.read(answered("structured_answer")).content == '{"euros": 3}'


def test_without_further_calls_only_the_answer_is_taken() -> None:
    call = structured_call(FORM, info(), SAID, {"tools": [PAY], "tool_choice": "none"})
    assert call.arguments["tool_choice"]["name"] == "structured_answer"
    assert call.read(answered("pay", "structured_answer")).content == '{"euros": 3}'
    assert call.read(answered("pay")) == answered("pay")


@pytest.mark.parametrize("choice", ["required", PAY])
def test_while_a_tool_has_to_be_called_the_answer_comes_later(choice: Any) -> None:
    arguments = {"tools": [PAY], "tool_choice": choice}
    call = structured_call(FORM, info(), SAID, arguments)
    assert (call.messages, call.arguments, call.tool) == (SAID, arguments, None)


def test_the_name_of_the_tool_is_free() -> None:
    taken = ToolSchema(name="structured_answer")
    call = structured_call(FORM, info(), SAID, {"tools": [taken]})
    assert call.tool == "structured_answer_"


@pytest.mark.parametrize(
    ("able", "mode"),
    [
        ({"function_calling": False}, {"json_output": True}),
        ({"function_calling": False, "json_output": False}, {}),
        ({"forced_tool": False}, {"json_output": True}),
    ],
)
def test_any_other_model_is_instructed_behind_its_system_message(
    able: dict[str, Any], mode: dict[str, Any]
) -> None:
    call = structured_call(FORM, info(**able), SAID, {})
    first, instruction, last = call.messages
    assert (first, last) == (SAID[0], SAID[1])
    assert isinstance(instruction, SystemMessage)
    assert instruction.content.endswith(json.dumps(SCHEMA))
    assert call.arguments == mode


def test_a_model_that_cannot_be_forced_says_so() -> None:
    llama = model_info_of("meta.llama3-1-70b-instruct-v1:0")
    assert (llama["function_calling"], llama.get("forced_tool")) == (True, False)
    assert "forced_tool" not in model_info_of("anthropic.claude-sonnet-4-20250514-v1:0")


def test_a_class_of_a_schema_has_that_schema() -> None:
    assert answer_class({**SCHEMA}) is FORM
    assert (FORM.__name__, FORM.model_json_schema()) == ("Price", SCHEMA)
    assert answer_class({**SCHEMA, "title": "Price of tea"}).__name__ == "Answer"
    assert issubclass(FORM, BaseModel)
    made = response_format(FORM)["json_schema"]
    assert made == {
        "name": "Price",
        "schema": {**SCHEMA, "additionalProperties": False},
        "strict": True,
    }
    free = answer_class({"type": "object"})
    assert response_format(free)["json_schema"]["strict"] is False
    empty: dict[str, Any] = {"type": "object", "properties": {}}
    choice = {**empty, "anyOf": [empty]}
    assert response_format(answer_class(choice))["json_schema"]["strict"] is False


def test_a_repair_has_the_answer_and_what_is_wrong() -> None:
    answer, request = repair_messages("{}", ["/euros: missing.", "/x: wrong."], source="a")
    assert (answer.content, getattr(answer, "source", "")) == ("{}", "a")
    assert "- /euros: missing.\n- /x: wrong.\n" in str(request.content)
