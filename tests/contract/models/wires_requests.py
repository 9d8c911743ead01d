"""Requests of the wire suite."""

from typing import Any

from tests.contract.models.wires import ADD, ASK, RequestCase

from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from teamrun.tools.schema import ToolSchema

__all__ = ["REQUESTS"]


def said(text: str, source: str = "user") -> UserMessage:
    return UserMessage(content=text, source=source)


def called(arguments: str, *, call_id: str = "c1", thought: str | None = None) -> AssistantMessage:
    call = FunctionCall(id=call_id, arguments=arguments, name="add")
    return AssistantMessage(content=[call], source="helper", thought=thought)


def resulted(text: str, *, call_id: str = "c1") -> FunctionExecutionResultMessage:
    result = FunctionExecutionResult(content=text, name="add", call_id=call_id, is_error=False)
    return FunctionExecutionResultMessage(content=[result])


def call_on_wire(arguments: str, **rest: Any) -> dict[str, Any]:
    function = {"name": "add", "arguments": arguments}
    calls = [{"id": "c1", "type": "function", "function": function}]
    return {"role": "assistant", "tool_calls": calls, **rest}


def result_on_wire(text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c1", "content": text}


USER = {"role": "user", "content": "How many?", "name": "user"}
HISTORY: list[LLMMessage] = [*ASK, called('{"a": 1}'), resulted("1")]
NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
STRICT = {
    "model_info": {
        "alternate_roles": True,
        "multiple_system_messages": False,
        "empty_content": False,
    }
}
INNER = ToolSchema(
    name="add",
    strict=True,
    parameters={
        "type": "object",
        "properties": {
            "who": {
                "oneOf": [{"$ref": "#/$defs/A"}, {"type": "null"}],
                "discriminator": {"propertyName": "kind", "mapping": {"a": "#/$defs/A"}},
                "default": None,
            }
        },
        "$defs": {"A": {"type": "object", "properties": {"x": {"type": "integer", "default": 1}}}},
    },
)


DEEP = f'{{"a": {"[" * 300}{"]" * 300}}}'


def broken(id: str, arguments: str) -> RequestCase:
    """Arguments that are no JSON object are sent back as `{}`, and the model is informed."""
    hint = (
        "\nThe arguments of this call could not be read as a JSON object, so they are shown as {}"
        f" above. You wrote: {arguments}\nTo try again, call the tool with a complete JSON object."
    )
    return RequestCase(
        id=id,
        messages=[*ASK, called(arguments), resulted("Error: bad")],
        call={"tools": [ADD]},
        sent={
            "messages": [
                USER,
                call_on_wire("{}", content=None),
                result_on_wire(f"Error: bad{hint if arguments.strip() else ''}"),
            ]
        },
    )


def rewritten(id: str, arguments: str, sent: str) -> RequestCase:
    """Arguments that a tool was called with, but that are not strict JSON."""
    return RequestCase(
        id=id,
        messages=[*ASK, called(arguments), resulted("5")],
        call={"tools": [ADD]},
        sent={"messages": [USER, call_on_wire(sent, content=None), result_on_wire("5")]},
    )


REQUESTS = [
    rewritten("half_a_surrogate_pair", '{"a": "half \\ud83d"}', '{"a": "half \ufffd"}'),
    rewritten(
        "numbers_that_json_does_not_have",
        '{"a": [NaN, 1e999], "b": {"c": -Infinity}}',
        '{"a": ["NaN", "Infinity"], "b": {"c": "-Infinity"}}',
    ),
    RequestCase(
        id="arguments_that_are_too_deep",
        messages=[*ASK, called(DEEP), resulted("5")],
        call={"tools": [ADD]},
        sent={
            "messages": [
                USER,
                call_on_wire("{}", content=None),
                result_on_wire(
                    "5\nThe arguments of this call are too large or nested too deeply to be"
                    f" repeated, so they are shown as {{}} above. You wrote: {DEEP[:300]}..."
                ),
            ]
        },
    ),
    RequestCase(
        id="a_question",
        sent={
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "How many?", "name": "user"}],
            "tools": ...,
            "stream_options": ...,
        },
    ),
    RequestCase(
        id="extra_body_is_part_of_the_body",
        options={"extra_body": {"top_k": 4}},
        call={"tools": [ADD], "tool_choice": "required"},
        sent={"top_k": 4, "extra_body": ..., "tool_choice": "required"},
    ),
    broken("arguments_that_were_cut", '{"a": '),
    broken("arguments_that_are_a_list", "[1]"),
    broken("arguments_that_are_two_objects", '{"a": 1}{"a": 2}'),
    broken("no_arguments_at_all", ""),
    RequestCase(
        id="whole_arguments_go_back_as_they_were_written",
        messages=HISTORY,
        call={"tools": [ADD]},
        sent={
            "messages": [USER, call_on_wire('{"a": 1}', content=None), result_on_wire("1")],
            "tool_choice": "auto",
        },
    ),
    RequestCase(
        id="calls_in_the_history_bring_their_tools_along",
        messages=HISTORY,
        sent={
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "add",
                        "description": "",
                        "parameters": NOTHING,
                    },
                }
            ],
            "tool_choice": "none",
        },
    ),
    RequestCase(
        id="a_strict_tool",
        call={"tools": [INNER]},
        sent={
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "add",
                        "description": "",
                        "strict": True,
                        "parameters": {
                            "type": "object",
                            "properties": {
                                "who": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}
                            },
                            "required": ["who"],
                            "additionalProperties": False,
                            "$defs": {
                                "A": {
                                    "type": "object",
                                    "properties": {"x": {"type": "integer"}},
                                    "required": ["x"],
                                    "additionalProperties": False,
                                }
                            },
                        },
                    },
                }
            ]
        },
    ),
    RequestCase(
        id="a_strict_template",
        options=STRICT,
        messages=[
            SystemMessage(content="Be short."),
            AssistantMessage(content="Hello.", source="helper"),
            said("One.", "ann"),
            said("Two.", "bob"),
            SystemMessage(content=" "),
            SystemMessage(content="Be kind."),
            called('{"a": 1}'),
            resulted(""),
            said("", "ann"),
            AssistantMessage(content="Three.", source="helper"),
            AssistantMessage(content="Four.", source="helper"),
        ],
        call={"tools": [ADD]},
        sent={
            "messages": [
                {"role": "system", "content": "Be short.\nBe kind."},
                {"role": "user", "content": "Continue."},
                {"role": "assistant", "content": "Hello."},
                {"role": "user", "content": "ann said:\nOne.\n\nbob said:\nTwo."},
                call_on_wire('{"a": 1}'),
                result_on_wire("(empty)"),
                {"role": "assistant", "content": "Done."},
                {"role": "user", "content": "(empty)", "name": "ann"},
                {"role": "assistant", "content": "Three.\n\nFour."},
                {"role": "user", "content": "Continue."},
            ]
        },
    ),
]
