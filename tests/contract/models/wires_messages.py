"""Answers, failures and requests of Anthropic's Messages API, in the form of the service.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

import json
from typing import Any

from tests.contract.models.wires import ADD, ASK, AnswerCase, Failure, RequestCase, Said
from tests.support.messages_wire import event

from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    SystemMessage,
    UserMessage,
)

__all__ = ["ANSWERS", "FAILURES", "REQUESTS"]

Json = dict[str, Any]

USAGE = {"input_tokens": 5, "output_tokens": 3}
CUT = {"cut": True}
UNREADABLE = {"unreadable": True}


def whole(*content: Json, stop: str | None = "end_turn", **rest: Any) -> str:
    """The body of a whole answer."""
    return json.dumps({**message(*content), "stop_reason": stop, **rest})


def message(*content: Json) -> Json:
    frame: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-m"}
    rest: Json = {"stop_reason": None, "stop_sequence": None, "usage": USAGE}
    return {**frame, "content": list(content), **rest}


def stream(*events: bytes, end: bool = True) -> bytes:
    """A stream with these events after its first one, and its last one."""
    last = event("message_stop") if end else b""
    return b"".join([event("message_start", message=message()), event("ping"), *events, last])


def start(index: int, kind: str, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind, **block})


def delta(index: int, kind: str, **part: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": f"{kind}_delta", **part})


def said(index: int, *texts: str) -> bytes:
    """A block of text."""
    parts = [delta(index, "text", text=text) for text in texts]
    ended = event("content_block_stop", index=index)
    return b"".join([start(index, "text", text=""), *parts, ended])


def thought(index: int, *texts: str) -> bytes:
    parts = [delta(index, "thinking", thinking=text) for text in texts]
    signed = delta(index, "signature", signature="c2ln")
    return b"".join([start(index, "thinking", thinking="", signature=""), *parts, signed])


def called(index: int, *parts: str, call_id: str = "toolu_1", name: str = "add") -> bytes:
    begun = start(index, "tool_use", id=call_id, name=name, input={})
    deltas = [delta(index, "input_json", partial_json=part) for part in ("", *parts)]
    return b"".join([begun, *deltas, event("content_block_stop", index=index)])


def stop(reason: str = "end_turn", usage: Json | None = None, **more: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason, **more}, usage=usage or USAGE)


def text(content: str) -> Json:
    return {"type": "text", "text": content}


def use(call_id: str = "toolu_1", **arguments: Any) -> Json:
    return {"type": "tool_use", "id": call_id, "name": "add", "input": arguments}


def thinking(content: str) -> Json:
    return {"type": "thinking", "thinking": content, "signature": "c2ln"}


def case(
    case_id: str,
    right: Said | Failure,
    whole: str | bytes | None,
    stream: bytes | None,
    **rest: Any,
) -> AnswerCase:
    return AnswerCase(id=case_id, right=right, whole=whole, stream=stream, **rest)


SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "x"}}
CACHE = {"cache_read_input_tokens": 40, "cache_creation_input_tokens": 7}
REFUSED = {"type": "refusal", "category": "cyber", "explanation": "no"}

ANSWERS = [
    case(
        "text",
        Said(content="Three.", finish_reason="stop", usage=(5, 3), pieces=["Thr", "ee."]),
        whole(text("Three.")),
        stream(said(0, "Thr", "ee."), stop()),
    ),
    case(
        "several_texts",
        Said(content="Zwölf €.", pieces=["Zwölf", " €."]),
        whole(text("Zwölf"), text(" €.")),
        stream(said(0, "Zwölf"), said(1, " €."), stop()),
    ),
    case(
        "an_empty_answer",
        Said(content="", finish_reason="stop", pieces=[]),
        whole(),
        stream(stop()),
    ),
    case(
        "text_with_citations",
        Said(content="Three.", pieces=["Three."]),
        whole({**text("Three."), "citations": [{"type": "char_location"}]}),
        stream(
            start(0, "text", text=""),
            delta(0, "citations", citation={"type": "char_location"}),
            delta(0, "text", text="Three."),
            stop(),
        ),
    ),
    case(
        "calls",
        Said(
            calls=[("add", {"a": 2}), ("add", {"a": 4})],
            call_ids=["toolu_1", "toolu_2"],
            finish_reason="function_calls",
            pieces=[],
        ),
        whole(use(a=2), use("toolu_2", a=4), stop="tool_use"),
        stream(
            called(0, '{"a"', ": 2}"),
            called(1, '{"a": 4}', call_id="toolu_2"),
            stop("tool_use"),
        ),
    ),
    case(
        "a_call_without_arguments",
        Said(calls=[("add", {})]),
        whole(use(), stop="tool_use"),
        stream(called(0), stop("tool_use")),
    ),
    case(
        "a_call_with_all_its_arguments_at_the_start",
        Said(calls=[("add", {"a": 2})]),
        None,
        stream(start(0, "tool_use", id="toolu_1", name="add", input={"a": 2}), stop("tool_use")),
    ),
    case(
        "calls_with_one_id",
        Said(calls=[("add", {"a": 2}), ("add", {"a": 2})]),
        whole(use(a=2), use(a=2), stop="tool_use"),
        stream(called(0, '{"a": 2}'), called(1, '{"a": 2}'), stop("tool_use")),
    ),
    case(
        "text_before_a_call",
        Said(calls=[("add", {"a": 2})], thought="I add.", pieces=["I add."]),
        whole(text("I add."), use(a=2), stop="tool_use"),
        stream(said(0, "I add."), called(1, '{"a": 2}'), stop("tool_use")),
    ),
    case(
        "a_tool_of_the_provider",
        Said(content="Three.", finish_reason="stop", pieces=["Three."]),
        whole(SEARCH, {"type": "web_search_tool_result", "content": []}, text("Three.")),
        stream(
            start(0, "server_tool_use", id="s", name="web_search", input={}),
            delta(0, "input_json", partial_json='{"q": "x"}'),
            said(1, "Three."),
            stop(),
        ),
    ),
    case(
        "thoughts",
        Said(
            content="Three.",
            thought="Hm. So.",
            pieces=["<think>Hm.", " So.", "</think>", "Three."],
        ),
        whole(thinking("Hm. So."), text("Three.")),
        stream(thought(0, "Hm.", " So."), said(1, "Three."), stop()),
    ),
    case(
        "thoughts_before_a_call",
        Said(calls=[("add", {"a": 2})], thought="Hm.", pieces=["<think>Hm.", "</think>"]),
        whole(thinking("Hm."), use(a=2), stop="tool_use"),
        stream(thought(0, "Hm."), called(1, '{"a": 2}'), stop("tool_use")),
    ),
    case(
        "thoughts_that_are_not_shown",
        Said(content="Three.", pieces=["Three."]),
        whole({"type": "redacted_thinking", "data": "eA=="}, thinking(""), text("Three.")),
        stream(start(0, "redacted_thinking", data="eA=="), thought(1), said(2, "Three."), stop()),
    ),
    case(
        "thoughts_alone",
        Said(thought="Hm.", finish_reason="length", pieces=["<think>Hm.", "</think>"]),
        whole(thinking("Hm."), stop="max_tokens"),
        stream(thought(0, "Hm."), stop("max_tokens")),
    ),
    case(
        "usage_with_a_cache",
        Said(content="Three.", usage=(5 + 40 + 7, 3)),
        whole(text("Three."), usage={**USAGE, **CACHE}),
        stream(said(0, "Three."), stop(usage={"output_tokens": 3, **CACHE})),
    ),
    case(
        "counts_of_the_end_replace_those_of_the_start",
        Said(content="Three.", usage=(9, 30)),
        None,
        stream(said(0, "Three."), stop(usage={"input_tokens": 9, "output_tokens": 30})),
    ),
    case(
        "events_that_are_not_known",
        Said(content="Three.", pieces=["Three."]),
        None,
        stream(event("weather_report", sky="blue"), b": comment\n\n", said(0, "Three."), stop()),
    ),
    case(
        "a_stream_without_its_last_event",
        Said(content="Three.", finish_reason="stop"),
        None,
        stream(said(0, "Three."), stop(), end=False),
    ),
    *(
        case(
            f"stop_reason_{reason}",
            Said(content="Three.", finish_reason=finish),
            whole(text("Three."), stop=reason),
            stream(said(0, "Three."), stop(reason)),
        )
        for reason, finish in (
            ("stop_sequence", "stop"),
            ("max_tokens", "length"),
            ("model_context_window_exceeded", "length"),
            ("pause_turn", "unknown"),
            ("a_new_reason", "unknown"),
        )
    ),
    case(
        "what_was_refused_is_not_carried_out_and_its_category_is_named",
        Said(content="I can", finish_reason="content_filter", filtered=["cyber"]),
        whole(text("I can"), use(a=2), stop="refusal", stop_details=REFUSED),
        stream(said(0, "I can"), called(1, '{"a": 2}'), stop("refusal", stop_details=REFUSED)),
    ),
]


def broken(case_id: str, *after: bytes, **right: Any) -> AnswerCase:
    """A stream that breaks off after text."""
    words, status = right.pop("words", ""), right.pop("status", None)
    retryable = right.pop("retryable", True)
    failure = Failure(
        retryable=retryable, status_code=status, words=words, data=right, after_text=True
    )
    body = stream(start(0, "text", text=""), delta(0, "text", text="Half"), *after, end=False)
    return case(case_id, failure, None, body)


def refused(kind: str, words: str) -> str:
    """The body of an error."""
    error = {"type": kind, "message": words}
    return json.dumps({"type": "error", "error": error, "request_id": "req_7"})


FAILURES = [
    case(
        "a_reason_without_its_call",
        Failure(retryable=True, data=UNREADABLE),
        whole(stop="tool_use"),
        stream(stop("tool_use")),
    ),
    case(
        "an_answer_without_a_reason",
        Failure(retryable=True, data=UNREADABLE),
        whole(text("x"), stop=None),
        None,
    ),
    case("no_answer", Failure(retryable=True, data=UNREADABLE), "{}", None),
    case("not_json", Failure(retryable=True, data=UNREADABLE), "<html>Log in</html>", None),
    case("half_an_answer", Failure(retryable=True, data=UNREADABLE), whole()[:40], None),
    case("an_empty_stream", Failure(retryable=True, data=UNREADABLE), None, b""),
    case(
        "a_call_that_is_cut_in_half",
        Failure(retryable=True, data=CUT),
        None,
        stream(
            start(0, "tool_use", id="toolu_1", name="add", input={}),
            delta(0, "input_json", partial_json='{"a":'),
            end=False,
        ),
    ),
    case(
        "an_error_with_nothing_before_it",
        Failure(
            retryable=True, words="Overloaded", data={"provider_code": "overloaded_error", **CUT}
        ),
        refused("overloaded_error", "Overloaded"),
        event("error", error={"type": "overloaded_error", "message": "Overloaded"}),
    ),
    case(
        "an_error_that_no_attempt_mends",
        Failure(retryable=False, words="bad", data={"provider_code": "invalid_request_error"}),
        None,
        event("error", error={"type": "invalid_request_error", "message": "bad"}),
    ),
    broken(
        "overloaded_in_the_middle",
        event("error", error={"type": "overloaded_error", "message": "Overloaded"}),
        words="Overloaded",
        provider_code="overloaded_error",
        **CUT,
    ),
    broken("the_stream_ends_early", **CUT),
    broken("half_an_event", b'event: message_delta\ndata: {"type": "mess\n\n', **UNREADABLE),
    *(
        case(
            f"status_{status}_{kind}",
            Failure(
                retryable=retryable,
                status_code=status,
                words="words of it",
                data={"provider_code": kind},
            ),
            refused(kind, "words of it"),
            refused(kind, "words of it").encode(),
            status=status,
            stream_type="application/json",
        )
        for status, kind, retryable in (
            (400, "invalid_request_error", False),
            (401, "authentication_error", False),
            (402, "billing_error", False),
            (403, "permission_error", False),
            (404, "not_found_error", False),
            (413, "request_too_large", False),
            (429, "rate_limit_error", True),
            (500, "api_error", True),
            (504, "timeout_error", True),
            (529, "overloaded_error", True),
        )
    ),
    case(
        "a_web_page_of_a_proxy",
        Failure(retryable=True, status_code=502, words="502 Bad Gateway"),
        "<html><title>502 Bad Gateway</title></html>",
        b"<html><title>502 Bad Gateway</title></html>",
        status=502,
        whole_type="text/html",
        stream_type="text/html",
    ),
]

AUTO: Json = {"type": "auto"}
INTEGER: Json = {"type": "object", "properties": {"a": {"type": "integer"}}}
ADD_SENT: Json = {"name": "add", "description": "Adds.", "input_schema": INTEGER}
UNKNOWN: Json = {"type": "object", "properties": {}}
CALLED = [
    UserMessage(content="Add.", source="user"),
    AssistantMessage(
        content=[FunctionCall(id="call|1", arguments='{"a": 1}', name="add")], source="a"
    ),
    FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="", name="add", call_id="call|1", is_error=True)]
    ),
]
PNG = Image.from_bytes(b"\x89PNG\r\n\x1a\nx")
MARK: Json = {"cache_control": {"type": "ephemeral"}}

REQUESTS = [
    RequestCase(
        id="plain",
        sent={
            "model": "claude-sonnet-5",
            "max_tokens": 16384,
            "messages": [{"role": "user", "content": [text("How many?")]}],
            "system": ...,
            "tools": ...,
            "tool_choice": ...,
        },
    ),
    RequestCase(
        id="system_messages_are_apart_and_none_is_empty",
        messages=[
            SystemMessage(content="Be exact."),
            SystemMessage(content=" "),
            *ASK,
            SystemMessage(content="Be brief."),
        ],
        sent={
            "system": [text("Be exact."), text("Be brief.")],
            "messages": [{"role": "user", "content": [text("How many?")]}],
        },
    ),
    RequestCase(
        id="roles_alternate_and_begin_and_end_with_the_user",
        messages=[
            AssistantMessage(content="A", source="a"),
            AssistantMessage(content="", source="a"),
            UserMessage(content="B", source="user"),
            UserMessage(content="", source="user"),
            AssistantMessage(content="C", source="a"),
        ],
        sent={
            "messages": [
                {"role": "user", "content": [text("Continue.")]},
                {"role": "assistant", "content": [text("A"), text("(empty)")]},
                {"role": "user", "content": [text("B"), text("(empty)")]},
                {"role": "assistant", "content": [text("C")]},
                {"role": "user", "content": [text("Continue.")]},
            ]
        },
    ),
    RequestCase(
        id="texts_of_several_users_begin_with_their_source",
        messages=[*ASK, UserMessage(content="Five?", source="critic")],
        sent={
            "messages": [
                {
                    "role": "user",
                    "content": [text("user said:\nHow many?"), text("critic said:\nFive?")],
                }
            ]
        },
    ),
    RequestCase(
        id="an_image",
        messages=[UserMessage(content=["What is it?", PNG], source="user")],
        sent={
            "messages": [
                {
                    "role": "user",
                    "content": [
                        text("What is it?"),
                        {
                            "type": "image",
                            "source": {
                                "type": "base64",
                                "media_type": "image/png",
                                "data": PNG.to_base64(),
                            },
                        },
                    ],
                }
            ]
        },
    ),
    RequestCase(
        id="ids_of_other_providers_are_replaced_and_tools_of_the_past_declared",
        messages=[*CALLED, UserMessage(content="So?", source="user")],
        sent={
            "tools": [{"name": "add", "input_schema": UNKNOWN}],
            "tool_choice": {"type": "none"},
        },
    ),
    *(
        RequestCase(
            id=f"tool_choice_{name}",
            call={"tools": [ADD], "tool_choice": choice},
            options=options,
            sent={"tools": [ADD_SENT], "tool_choice": sent},
        )
        for name, choice, options, sent in (
            ("auto", "auto", {}, ...),
            ("none", "none", {"parallel_tool_calls": False}, {"type": "none"}),
            ("required", "required", {}, {"type": "any"}),
            ("one_tool", ADD, {}, {"type": "tool", "name": "add"}),
            (
                "one_at_a_time",
                "auto",
                {"parallel_tool_calls": False},
                {**AUTO, "disable_parallel_tool_use": True},
            ),
            (
                "exactly_one",
                "required",
                {"parallel_tool_calls": False},
                {"type": "any", "disable_parallel_tool_use": True},
            ),
        )
    ),
    RequestCase(
        id="a_strict_tool",
        call={"tools": [{**ADD, "strict": True}]},
        sent={
            "tools": [
                {
                    **ADD_SENT,
                    "strict": True,
                    "input_schema": {
                        "type": "object",
                        "properties": {"a": {"type": "integer"}},
                        "required": ["a"],
                        "additionalProperties": False,
                    },
                }
            ]
        },
    ),
    RequestCase(
        id="arguments",
        options={
            "temperature": 0.5,
            "max_tokens": 100,
            "top_p": 0.9,
            "top_k": 5,
            "stop": "END",
            "reasoning_effort": "low",
            "service_tier": "standard_only",
            "metadata": {"user_id": "u1"},
            "extra_body": {"inference_geo": "eu"},
        },
        call={"extra_create_args": {"temperature": 0.1, "stop": ["A", "B"]}},
        sent={
            "temperature": 0.1,
            "max_tokens": 100,
            "top_p": 0.9,
            "top_k": 5,
            "stop_sequences": ["A", "B"],
            "output_config": {"effort": "low"},
            "service_tier": "standard_only",
            "metadata": {"user_id": "u1"},
            "inference_geo": "eu",
        },
    ),
    RequestCase(
        id="thoughts_are_added_to_the_longest_answer",
        options={"thinking": {"type": "enabled", "budget_tokens": 2000}},
        sent={
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "max_tokens": 2000 + 16384,
        },
    ),
    RequestCase(
        id="the_longest_answer_of_an_early_model",
        options={"model": "claude-3-haiku-20240307"},
        sent={"max_tokens": 4096},
    ),
    RequestCase(
        id="json_of_any_form",
        call={"json_output": True},
        sent={
            "system": [
                text("Answer with one JSON object and nothing else: no other text, no code fence.")
            ]
        },
    ),
    RequestCase(
        id="marks_for_the_cache",
        options={"prompt_caching": True},
        messages=[SystemMessage(content="Be exact."), *ASK],
        call={"tools": [ADD]},
        sent={
            "tools": [{**ADD_SENT, **MARK}],
            "system": [{**text("Be exact."), **MARK}],
            "messages": [{"role": "user", "content": [{**text("How many?"), **MARK}]}],
        },
    ),
    RequestCase(
        id="marks_for_an_hour",
        options={"prompt_caching": True, "cache_ttl": "1h"},
        sent={
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            **text("How many?"),
                            "cache_control": {"type": "ephemeral", "ttl": "1h"},
                        }
                    ],
                }
            ]
        },
    ),
]
