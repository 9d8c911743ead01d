"""Answers of the wire suite: text, thoughts, usage and streams as servers send them."""

import json
from typing import Any

from tests.contract.models.wires import AnswerCase, Said, chunk, completion, sse

__all__ = ["ANSWERS"]

Json = dict[str, Any]

USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
OWN = {
    "model": "qwen3",
    "model_info": {
        "vision": False,
        "function_calling": True,
        "json_output": True,
        "family": "unknown",
        "structured_output": False,
    },
}
R1 = {"model": "deepseek-r1"}
CALL = {"index": 0, "id": "c1", "function": {"name": "add", "arguments": '{"a": 2}'}}


def text(case: str, stream: str, content: str = "Three.", **right: Any) -> AnswerCase:
    """A streamed text in a special form."""
    return AnswerCase(id=case, stream=stream, right=Said(content=content, **right))


def frame(chunk: Json) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


TEXTS = [
    AnswerCase(
        id="text",
        whole=completion({"content": "Three."}, usage=USAGE),
        stream=sse(
            chunk({"content": "Thr"}),
            chunk({"content": "ee."}),
            chunk(finish="stop"),
            chunk(usage=USAGE),
        ),
        right=Said(content="Three.", finish_reason="stop", usage=(5, 3), pieces=["Thr", "ee."]),
    ),
    AnswerCase(
        id="content_of_text_parts",
        whole=completion(
            {"content": [{"type": "text", "text": "Thr"}, {"type": "text", "text": "ee."}]}
        ),
        stream=sse(
            chunk({"content": [{"type": "text", "text": "Thr"}]}),
            chunk({"content": [{"type": "text", "text": "ee."}]}),
            chunk(finish="stop"),
        ),
        right=Said(content="Three.", pieces=["Thr", "ee."]),
    ),
    AnswerCase(
        id="mistral_thinks_in_parts",
        whole=completion(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                    {"type": "text", "text": "Three."},
                ]
            }
        ),
        stream=sse(
            chunk(
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]}
            ),
            chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "."}]}]}),
            chunk({"content": "Three."}),
            chunk(finish="stop"),
        ),
        right=Said(
            content="Three.", thought="Hm.", pieces=["<think>Hm", ".", "</think>", "Three."]
        ),
    ),
    AnswerCase(
        id="claude_on_databricks_thinks_in_parts",
        whole=completion(
            {
                "content": [
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
                    {"type": "text", "text": "Three."},
                ]
            }
        ),
        right=Said(content="Three.", thought="Hm."),
    ),
    AnswerCase(
        id="parts_that_are_texts_and_references",
        whole=completion({"content": ["Three", {"type": "reference", "reference_ids": [1]}, "."]}),
        right=Said(content="Three."),
    ),
    AnswerCase(
        id="content_that_is_the_json_asked_for",
        whole=completion({"content": {"answer": "Zwölf"}}),
        stream=sse(chunk({"content": {"answer": "Zwölf"}}), chunk(finish="stop")),
        right=Said(content='{"answer": "Zwölf"}'),
    ),
    AnswerCase(
        id="a_text_in_place_of_the_message",
        whole=json.dumps({"choices": [{"text": "Three.", "index": 0, "finish_reason": "stop"}]}),
        stream=sse(
            {"choices": [{"text": "Thr", "index": 0, "finish_reason": None}]},
            {"choices": [{"text": "ee.", "index": 0, "finish_reason": "stop"}]},
        ),
        right=Said(content="Three.", finish_reason="stop"),
    ),
    AnswerCase(
        id="an_empty_answer",
        whole=completion({"content": [{"type": "text", "text": ""}], "tool_calls": []}),
        stream=sse(chunk({"content": ""}), chunk({"tool_calls": None}, finish="stop")),
        right=Said(content="", finish_reason="stop"),
    ),
    AnswerCase(
        id="a_part_whose_type_is_no_text",
        whole=completion({"content": [{"type": ["x"], "text": "Three."}]}),
        right=Said(content="Three."),
    ),
    AnswerCase(
        id="refusal_as_a_part",
        whole=completion({"content": [{"type": "refusal", "refusal": "I will not."}]}),
        right=Said(content="I will not.", finish_reason="content_filter"),
    ),
    AnswerCase(
        id="finish_reason_in_capitals",
        whole=completion({"content": "Three."}, finish="STOP"),
        stream=sse(chunk({"content": "Three."}), chunk(finish="STOP")),
        right=Said(content="Three.", finish_reason="stop"),
    ),
    AnswerCase(
        id="an_sse_body_where_no_stream_was_asked_for",
        whole=sse(chunk({"content": "Three."}), chunk(finish="stop")),
        whole_type="text/event-stream",
        right=Said(content="Three."),
    ),
    AnswerCase(
        id="error_is_null",
        whole=completion({"content": "Three."}, error=None),
        stream=sse(chunk({"content": "Three."}, error=None), chunk(finish="stop", error={})),
        right=Said(content="Three."),
    ),
]

THOUGHTS = [
    AnswerCase(
        id=name,
        whole=completion({"content": "Three.", name: "Hm. So."}),
        stream=sse(
            chunk({"role": "assistant", "content": "", name: None}),
            chunk({"content": "", name: "Hm."}),
            chunk({"content": None, name: " So."}),
            chunk({"content": "Three.", name: ""}),
            chunk(finish="stop"),
        ),
        right=Said(
            content="Three.",
            thought="Hm. So.",
            pieces=["<think>Hm.", " So.", "</think>", "Three."],
        ),
    )
    for name in ("reasoning_content", "reasoning")
] + [
    AnswerCase(
        id="thoughts_before_a_tool_call",
        whole=completion({"content": None, "reasoning_content": "Hm.", "tool_calls": [CALL]}),
        stream=sse(
            chunk({"reasoning_content": "Hm."}),
            chunk({"tool_calls": [CALL]}),
            chunk(finish="tool_calls"),
        ),
        right=Said(calls=[("add", {"a": 2})], thought="Hm.", pieces=["<think>Hm.", "</think>"]),
    ),
    AnswerCase(
        id="thoughts_alone",
        stream=sse(chunk({"reasoning_content": "Hm."}), chunk(finish="length")),
        right=Said(thought="Hm.", finish_reason="length", pieces=["<think>Hm.", "</think>"]),
    ),
    *(
        AnswerCase(
            id=f"thoughts_in_the_text_{name}",
            whole=completion({"content": written}),
            stream=sse(chunk({"content": written}), chunk(finish="stop")),
            options=options,
            right=Said(content="Three.", thought="Hm."),
        )
        for name, options, written in (
            ("r1", R1, "<think>\nHm.\n</think>\n\nThree."),
            ("r1_without_a_beginning", R1, "Hm.\n</think>\n\nThree."),
            ("own_server", OWN, "<think>\nHm.\n</think>\n\nThree."),
            ("own_server_without_a_beginning", OWN, "Hm.\n</think>\n\nThree."),
        )
    ),
    AnswerCase(
        id="a_model_that_writes_about_tags",
        whole=completion({"content": "End it with </think> then."}),
        right=Said(content="End it with </think> then."),
    ),
]

USAGES = [
    AnswerCase(
        id="zeros_at_the_end",
        stream=sse(
            chunk({"content": "Three."}, usage=USAGE), chunk(finish="stop"), chunk(usage=ZEROS)
        ),
        right=Said(content="Three.", usage=(5, 3)),
    ),
    AnswerCase(
        id="usage_that_grows",
        stream=sse(
            chunk({"content": "Thr"}, usage={"prompt_tokens": 5, "completion_tokens": 1}),
            chunk({"content": "ee."}, usage={"prompt_tokens": 0, "completion_tokens": 3}),
            chunk(finish="stop", usage=None),
        ),
        right=Said(content="Three.", usage=(5, 3)),
    ),
    AnswerCase(
        id="usage_in_the_choice",
        whole=json.dumps({"choices": [{"message": {"content": "Three."}, "usage": USAGE}]}),
        stream=sse(
            chunk({"content": "Three."}),
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]},
        ),
        right=Said(content="Three.", usage=(5, 3)),
    ),
    AnswerCase(
        id="usage_of_groq",
        stream=sse(chunk({"content": "Three."}), chunk(finish="stop", x_groq={"usage": USAGE})),
        right=Said(content="Three.", usage=(5, 3)),
    ),
    AnswerCase(
        id="usage_by_other_names_and_of_other_types",
        whole=completion(
            {"content": "Three."},
            usage={
                "input_tokens": 5.0,
                "output_tokens": 3,
                "prompt_tokens_details": [],
                "cost": "x",
            },
        ),
        right=Said(content="Three.", usage=(5, 3)),
    ),
]

HI = frame(chunk({"content": "Three."}))
STOP = frame(chunk(finish="stop"))

STREAMS = [
    text("retry_block", f"retry: 3000\n\n{HI}{STOP}data: [DONE]\n\n"),
    text("comments", f": ping\n\n{HI}: ping\n\n{STOP}"),
    text("ping_after_an_id", f"id: 1\n{HI}id: 2\n\n: ping\n\nevent: ping\ndata:\n\n{STOP}"),
    text("data_is_null", f"data: null\n\n{HI}data: null\n\n{STOP}data: [DONE]\n\n"),
    text("data_is_a_ping", f'data: ping\n\nevent: ping\ndata: {{"type": "ping"}}\n\n{HI}{STOP}'),
    text("event_names_and_ids", f"event: message\nid: 7\n{HI}event: message\n{STOP}"),
    text("carriage_returns", f"{HI}{STOP}".replace("\n", "\r\n")),
    text("lines_that_end_with_cr", f"{HI}{STOP}".replace("\n", "\r")),
    text("byte_order_mark", f"\ufeff{HI}{STOP}"),
    text("no_space_after_the_colon", f"{HI}{STOP}".replace("data: ", "data:")),
    text("no_blank_lines", f"{HI}{STOP}".replace("\n\n", "\n")),
    text("no_blank_lines_but_done", f"{HI}{STOP}data: [DONE]\n\n".replace("\n\n", "\n")),
    text("nothing_but_line_ends_until_done", f"{HI}data: [DONE]\n\n".replace("\n\n", "\n")),
    text("no_blank_line_at_the_end", f"{HI}{STOP}".rstrip("\n")),
    text("no_done", HI + STOP, finish_reason="stop"),
    text("no_finish_reason_but_done", f"{HI}data: [DONE]\n\n"),
    text(
        "a_choice_without_delta",
        sse(
            {"choices": [], "prompt_filter_results": []},
            chunk({"content": "Three."}),
            {"choices": [{"index": 0, "finish_reason": None, "content_filter_results": {}}]},
            {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]},
        ),
        finish_reason="stop",
    ),
    text(
        "a_choice_index_that_grows",
        sse(
            chunk({"content": "Thr"}),
            chunk({"content": "ee."}, index=1),
            chunk(finish="stop", index=2),
        ),
        pieces=["Thr", "ee."],
        finish_reason="stop",
    ),
    text("a_choice_without_index", sse({"choices": [{"delta": {"content": "Three."}}]})),
    text(
        "choices_is_null",
        sse({"choices": None}, chunk({"content": "Three."}), chunk(finish="stop")),
    ),
    text(
        "the_whole_message_once_more",
        sse(
            chunk({"content": "Three."}),
            {"choices": [{"message": {"content": "Three."}, "finish_reason": "stop"}]},
        ),
        finish_reason="stop",
        pieces=["Three."],
    ),
    text("one_event_with_the_whole_answer", f"data: {completion({'content': 'Three.'})}\n\n"),
    AnswerCase(
        id="a_whole_answer_in_place_of_a_stream",
        stream=completion({"content": "Three.", "reasoning_content": "Hm."}, usage=USAGE),
        stream_type="application/json",
        right=Said(
            content="Three.",
            thought="Hm.",
            usage=(5, 3),
            pieces=["<think>Hm.", "</think>", "Three."],
        ),
    ),
    AnswerCase(
        id="a_whole_answer_declared_as_a_stream",
        stream="\n" + completion({"tool_calls": [CALL]}),
        right=Said(calls=[("add", {"a": 2})], call_ids=["c1"]),
    ),
]

ANSWERS = [*TEXTS, *THOUGHTS, *USAGES, *STREAMS]
