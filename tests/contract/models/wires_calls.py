"""Tool calls of the wire suite, in every way in which servers send and cut them."""

from typing import Any

from tests.contract.models.wires import AnswerCase, Said, chunk, completion, sse

__all__ = ["CALLS"]

Json = dict[str, Any]

TWO = [("add", {"a": 2, "b": 3}), ("add", {"a": 4, "b": 5})]


def call(arguments: object = None, **rest: Any) -> Json:
    """A tool call, or a part of one; `name=` is that of its function, `at=` its index."""
    function: Json = {} if arguments is None else {"arguments": arguments}
    if "name" in rest:
        function["name"] = rest.pop("name")
    if "at" in rest:
        rest["index"] = rest.pop("at")
    return {**rest, "function": function} if function else rest


def calls(*parts: Json) -> str:
    """A stream with these parts of tool calls, one in each chunk."""
    chunks = [chunk({"tool_calls": [part]}) for part in parts]
    return sse(*chunks, chunk(finish="tool_calls"))


CALLS = [
    AnswerCase(
        id="calls",
        whole=completion(
            {
                "tool_calls": [
                    call('{"a": 2, "b": 3}', name="add", id="c1", type="function"),
                    call('{"a": 4, "b": 5}', name="add", id="c2", type="function"),
                ]
            }
        ),
        stream=calls(
            call("", name="add", id="c1", at=0),
            call('{"a": 2,', at=0),
            call('"b": 3}', at=0),
            call("", name="add", id="c2", at=1),
            call('{"a": 4, "b": 5}', at=1),
        ),
        right=Said(calls=TWO, call_ids=["c1", "c2"], finish_reason="function_calls", pieces=[]),
    ),
    AnswerCase(
        id="a_name_with_the_mark_of_a_format_behind_it",
        whole=completion(
            {"tool_calls": [call('{"a": 2}', name="add<|channel|>commentary", id="c1")]}
        ),
        stream=calls(call('{"a": 2}', name="add<|channel|>commentary", id="c1", at=0)),
        right=Said(calls=[("add", {"a": 2})]),
    ),
    AnswerCase(
        id="calls_at_one_index",
        stream=calls(
            call('{"a": 2, "b": 3}', name="add", id="c1", at=0),
            call('{"a": 4, "b": 5}', name="add", id="c2", at=0),
        ),
        right=Said(calls=TWO, call_ids=["c1", "c2"]),
    ),
    AnswerCase(
        id="calls_at_one_index_in_parts",
        stream=calls(
            call('{"a": 2', name="add", id="c1", at=0),
            call(', "b": 3}', at=0, id=""),
            call("", name="add", id="c2", at=0),
            call('{"a": 4, ', at=0),
            call('"b": 5}', at=0),
        ),
        right=Said(calls=TWO, call_ids=["c1", "c2"]),
    ),
    AnswerCase(
        id="calls_without_index",
        stream=calls(
            call('{"a": 2, ', name="add", id="c1"),
            call('"b": 3}'),
            call('{"a": 4, ', name="add", id="c2"),
            call('"b": 5}', id="c2"),
        ),
        right=Said(calls=TWO, call_ids=["c1", "c2"]),
    ),
    AnswerCase(
        id="calls_without_index_in_one_chunk",
        stream=sse(
            chunk(
                {
                    "tool_calls": [
                        call('{"a": 2, "b": 3}', name="add", id="c1"),
                        call('{"a": 4, "b": 5}', name="add", id="c2"),
                    ]
                }
            ),
            chunk(finish="stop"),
        ),
        right=Said(calls=TWO, call_ids=["c1", "c2"]),
    ),
    AnswerCase(
        id="calls_without_index_and_ids",
        stream=calls(
            call('{"a": 2, "b": 3}', name="add"),
            call('{"a": 4, "b": 5}', name="add"),
        ),
        right=Said(calls=TWO),
    ),
    AnswerCase(
        id="calls_with_empty_ids_at_one_index",
        stream=calls(
            call('{"a": 2, ', name="add", id="", at=0),
            call('"b": 3}', name="", id="", at=0),
            call('{"x": 1}', name="sub", id="", at=0),
        ),
        right=Said(calls=[TWO[0], ("sub", {"x": 1})]),
    ),
    AnswerCase(
        id="calls_without_arguments_and_ids",
        stream=calls(call("{}", name="now", at=0), call("{}", name="today", at=0)),
        right=Said(calls=[("now", {}), ("today", {})]),
    ),
    AnswerCase(
        id="the_name_on_each_part",
        stream=calls(
            call('{"a": 2, ', name="add", id="c1", at=0),
            call('"b": 3}', name="add", id="c1", at=0),
            call("", name="add", id="c1", at=0),
        ),
        right=Said(calls=TWO[:1], call_ids=["c1"]),
    ),
    AnswerCase(
        id="another_id_on_each_part",
        stream=calls(
            call("", name="add", id="c1", at=0),
            call('{"a": 2, ', id="c2", at=0),
            call('"b": 3}', id="c3", at=0),
        ),
        right=Said(calls=TWO[:1], call_ids=["c1"]),
    ),
    AnswerCase(
        id="the_whole_call_once_more_at_the_end",
        stream=calls(
            call('{"a": 2, ', name="add", id="c1", at=0),
            call('"b": 3}', at=0),
            call('{"a": 2, "b": 3}', name="add", id="c1", at=0),
        ),
        right=Said(calls=TWO[:1], call_ids=["c1"]),
    ),
    AnswerCase(
        id="a_placeholder_before_the_arguments",
        stream=calls(
            call("{}", name="add", id="c1", at=0),
            call('{"a": 2, ', at=0),
            call('"b": 3}', at=0),
        ),
        right=Said(calls=TWO[:1], call_ids=["c1"]),
    ),
    AnswerCase(
        id="parts_of_interleaved_calls",
        stream=calls(
            call("", name="add", id="c2", at=1),
            call('{"a": 2, ', name="add", id="c1", at=0),
            call('{"a": 4, "b": 5}', at=1),
            call('"b": 3}', at=0),
        ),
        right=Said(calls=TWO, call_ids=["c1", "c2"]),
    ),
    AnswerCase(
        id="a_call_without_type",
        whole=completion({"tool_calls": [call('{"a": 2, "b": 3}', name="add", id="c1")]}),
        stream=calls(call('{"a": 2, "b": 3}', name="add", id="c1", at=0, type=None)),
        right=Said(calls=TWO[:1], call_ids=["c1"], finish_reason="function_calls"),
    ),
    AnswerCase(
        id="arguments_as_an_object",
        whole=completion(
            {"tool_calls": [call({"a": 2, "b": 3}, name="add", id="c1", type="function")]}
        ),
        stream=calls(
            call({"a": 2, "b": 3}, name="add", id="c1", at=0),
        ),
        right=Said(calls=TWO[:1], call_ids=["c1"]),
    ),
    AnswerCase(
        id="one_call_without_a_list",
        whole=completion({"tool_calls": call('{"a": 2, "b": 3}', name="add", id="c1")}),
        stream=sse(
            chunk({"tool_calls": call('{"a": 2, ', name="add", id="c1", at=0)}),
            chunk({"tool_calls": call('"b": 3}', at=0)}),
            chunk(finish="tool_calls"),
        ),
        right=Said(calls=TWO[:1], call_ids=["c1"], finish_reason="function_calls"),
    ),
    AnswerCase(
        id="a_function_call",
        whole=completion(
            {"content": None, "function_call": {"name": "add", "arguments": '{"a": 2, "b": 3}'}},
            finish="function_call",
        ),
        stream=sse(
            chunk({"function_call": {"name": "add", "arguments": ""}}),
            chunk({"function_call": {"arguments": '{"a": 2, '}}),
            chunk({"function_call": {"arguments": '"b": 3}'}}),
            chunk(finish="function_call"),
        ),
        right=Said(calls=TWO[:1], finish_reason="function_calls"),
    ),
    AnswerCase(
        id="a_call_in_the_second_choice",
        whole=completion(
            {"content": "I add."},
            {
                "index": 1,
                "finish_reason": "tool_calls",
                "message": {
                    "content": None,
                    "tool_calls": [call('{"a": 2, "b": 3}', name="add", id="c1", type="function")],
                },
            },
        ),
        stream=sse(
            chunk({"content": "I add."}),
            chunk({"tool_calls": [call('{"a": 2, "b": 3}', name="add", id="c1", at=0)]}, index=1),
            chunk(finish="tool_calls", index=1),
        ),
        right=Said(
            calls=TWO[:1], call_ids=["c1"], thought="I add.", finish_reason="function_calls"
        ),
    ),
    AnswerCase(
        id="the_first_of_several_choices_that_were_asked_for",
        whole=completion(
            {"content": "Three."},
            {"index": 1, "finish_reason": "stop", "message": {"content": "Four."}},
        ),
        stream=sse(
            chunk({"content": "Three."}),
            chunk({"content": "Four."}, index=1),
            chunk(finish="stop"),
            chunk(finish="length", index=1),
        ),
        options={"n": 2},
        right=Said(content="Three.", finish_reason="stop"),
    ),
    AnswerCase(
        id="empty_ids",
        whole=completion(
            {
                "tool_calls": [
                    call('{"a": 2, "b": 3}', name="add", id="", type="function"),
                    call('{"a": 4, "b": 5}', name="add", type="function"),
                ]
            }
        ),
        stream=calls(
            call('{"a": 2, "b": 3}', name="add", id="", at=0),
            call('{"a": 4, "b": 5}', name="add", at=1),
        ),
        right=Said(calls=TWO),
    ),
    AnswerCase(
        id="doubled_ids",
        whole=completion(
            {
                "tool_calls": [
                    call('{"a": 2, "b": 3}', name="add", id="c1", type="function"),
                    call('{"a": 4, "b": 5}', name="add", id="c1", type="function"),
                ]
            }
        ),
        stream=calls(
            call('{"a": 2, "b": 3}', name="add", id="c1", at=0),
            call('{"a": 4, "b": 5}', name="add", id="c1", at=1),
        ),
        right=Said(calls=TWO),
    ),
    AnswerCase(
        id="an_empty_call_beside_text",
        stream=sse(
            chunk(
                {"content": "Three.", "tool_calls": [{"index": 0, "function": {"arguments": ""}}]}
            ),
            chunk(finish="stop"),
        ),
        right=Said(content="Three.", finish_reason="stop"),
    ),
]
