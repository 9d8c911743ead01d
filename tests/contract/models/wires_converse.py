"""Answers and failures of Bedrock's Converse and ConverseStream, in the form of the service.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

import base64
import json
from typing import Any

from tests.contract.models.wires import AnswerCase, Failure, Said
from tests.support.eventstream import corrupt, event, exception

__all__ = ["ANSWERS", "FAILURES"]

Json = dict[str, Any]

MEDIA_TYPE = "application/vnd.amazon.eventstream"
USAGE = {"inputTokens": 5, "outputTokens": 3, "totalTokens": 8}
ADD = {"toolUseId": "tooluse_1", "name": "add", "input": {"a": 2}}
CUT = {"cut": True}
UNREADABLE = {"unreadable": True}


def whole(*content: Json, stop: str = "end_turn", **rest: Any) -> str:
    """The body of an answer of Converse."""
    message = {"role": "assistant", "content": list(content)}
    answer = {"output": {"message": message}, "stopReason": stop, "metrics": {"latencyMs": 1}}
    return json.dumps({**answer, "usage": USAGE, **rest})


def start(index: int, **block: Any) -> bytes:
    return event("contentBlockStart", {"start": block, "contentBlockIndex": index})


def delta(index: int, **part: Any) -> bytes:
    return event("contentBlockDelta", {"delta": part, "contentBlockIndex": index})


def stop(reason: str = "end_turn", **rest: Any) -> bytes:
    return event("messageStop", {"stopReason": reason, **rest})


def metadata(**rest: Any) -> bytes:
    return event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}, **rest})


def stream(*events: bytes) -> bytes:
    """A stream with these events between its first and, unless it is there, its last."""
    return b"".join([event("messageStart", {"role": "assistant"}), *events])


def used(call_id: str, name: str = "add") -> Json:
    return {"toolUseId": call_id, "name": name}


def case(
    case_id: str,
    right: Said | Failure,
    whole: str | bytes | None,
    stream: bytes | None,
    **rest: Any,
) -> AnswerCase:
    return AnswerCase(
        id=case_id, right=right, whole=whole, stream=stream, stream_type=MEDIA_TYPE, **rest
    )


def reasoning(text: str) -> Json:
    return {"reasoningContent": {"reasoningText": {"text": text, "signature": "c2ln"}}}


HIDDEN = base64.b64encode(b"\x00\x01").decode()

PLAIN = [
    case(
        "text",
        Said(content="Three.", finish_reason="stop", usage=(5, 3), pieces=["Thr", "ee."]),
        whole({"text": "Three."}),
        stream(delta(0, text="Thr"), delta(0, text="ee."), stop(), metadata()),
    ),
    case(
        "several_texts",
        Said(content="Zwölf €.", pieces=["Zwölf", " €."]),
        whole({"text": "Zwölf"}, {"text": " €."}),
        stream(delta(0, text="Zwölf"), delta(1, text=" €."), stop(), metadata()),
    ),
    case(
        "an_empty_answer",
        Said(content="", finish_reason="stop", pieces=[]),
        whole(),
        stream(stop(), metadata()),
    ),
    case(
        "text_with_citations",
        Said(content="Three."),
        whole({"citationsContent": {"content": [{"text": "Three."}], "citations": [{}]}}),
        stream(delta(0, text="Three."), delta(0, citation={"title": "x"}), stop(), metadata()),
    ),
    case(
        "calls",
        Said(
            calls=[("add", {"a": 2}), ("add", {"a": 4})],
            call_ids=["tooluse_1", "tooluse_2"],
            finish_reason="function_calls",
            pieces=[],
        ),
        whole(
            {"toolUse": ADD},
            {"toolUse": {**used("tooluse_2"), "input": {"a": 4}}},
            stop="tool_use",
        ),
        stream(
            start(0, toolUse=used("tooluse_1")),
            start(1, toolUse=used("tooluse_2")),
            delta(0, toolUse={"input": '{"a"'}),
            delta(1, toolUse={"input": '{"a": 4}'}),
            delta(0, toolUse={"input": ": 2}"}),
            stop("tool_use"),
            metadata(),
        ),
    ),
    case(
        "a_call_without_arguments",
        Said(calls=[("add", {})]),
        whole({"toolUse": {**ADD, "input": {}}}, stop="tool_use"),
        stream(start(0, toolUse=used("tooluse_1")), stop("tool_use"), metadata()),
    ),
    case(
        "calls_with_one_id",
        Said(calls=[("add", {"a": 2}), ("add", {"a": 2})]),
        whole({"toolUse": ADD}, {"toolUse": ADD}, stop="tool_use"),
        None,
    ),
    case(
        "text_before_a_call",
        Said(calls=[("add", {"a": 2})], thought="I add.", pieces=["I add."]),
        whole({"text": "I add."}, {"toolUse": ADD}, stop="tool_use"),
        stream(
            delta(0, text="I add."),
            start(1, toolUse=used("tooluse_1")),
            delta(1, toolUse={"input": '{"a": 2}'}),
            stop("tool_use"),
            metadata(),
        ),
    ),
    case(
        "a_call_with_another_stop_reason",
        Said(calls=[("add", {"a": 2})], finish_reason="function_calls"),
        whole({"toolUse": ADD}, stop="end_turn"),
        None,
    ),
    case(
        "a_call_with_its_type",
        Said(calls=[("add", {"a": 2})], call_ids=["tooluse_1"]),
        whole({"toolUse": {**ADD, "type": "tool_use"}}, stop="tool_use"),
        stream(
            start(0, toolUse={**used("tooluse_1"), "type": "tool_use"}),
            delta(0, toolUse={"input": '{"a": 2}'}),
            stop("tool_use"),
            metadata(),
        ),
    ),
    case(
        "a_name_with_the_mark_of_a_format_behind_it",
        Said(calls=[("add", {"a": 2})]),
        whole({"toolUse": {**ADD, "name": "add<|channel|>commentary"}}, stop="tool_use"),
        stream(
            start(0, toolUse=used("tooluse_1", "add<|channel|>commentary")),
            delta(0, toolUse={"input": '{"a": 2}'}),
            stop("tool_use"),
            metadata(),
        ),
    ),
    case(
        "a_thought_in_the_text",
        Said(content="Three.", thought="Hm.", pieces=[" <think> Hm. </think> Three."]),
        whole({"text": " <think> Hm. </think> Three."}),
        stream(delta(0, text=" <think> Hm. </think> Three."), stop(), metadata()),
        options={"model": "moonshot.kimi-k2-thinking"},
    ),
    case(
        "a_tool_of_the_provider",
        Said(content="Three.", finish_reason="stop"),
        whole({"toolUse": {**ADD, "type": "server_tool_use"}}, {"text": "Three."}),
        stream(
            start(0, toolUse={**used("s1"), "type": "server_tool_use"}),
            delta(0, toolUse={"input": "{}"}),
            delta(1, text="Three."),
            stop(),
            metadata(),
        ),
    ),
    case(
        "reasoning",
        Said(
            content="Three.",
            thought="Hm. So.",
            pieces=["<think>Hm.", " So.", "</think>", "Three."],
        ),
        whole(reasoning("Hm. So."), {"text": "Three."}),
        stream(
            delta(0, reasoningContent={"text": "Hm."}),
            delta(0, reasoningContent={"text": " So."}),
            delta(0, reasoningContent={"signature": "c2ln"}),
            delta(1, text="Three."),
            stop(),
            metadata(),
        ),
    ),
    case(
        "reasoning_before_a_call",
        Said(calls=[("add", {"a": 2})], thought="Hm.", pieces=["<think>Hm.", "</think>"]),
        whole(reasoning("Hm."), {"toolUse": ADD}, stop="tool_use"),
        stream(
            delta(0, reasoningContent={"text": "Hm."}),
            start(1, toolUse=used("tooluse_1")),
            delta(1, toolUse={"input": '{"a": 2}'}),
            stop("tool_use"),
            metadata(),
        ),
    ),
    case(
        "reasoning_that_is_not_shown",
        Said(content="Three.", pieces=["Three."]),
        whole({"reasoningContent": {"redactedContent": HIDDEN}}, {"text": "Three."}),
        stream(
            delta(0, reasoningContent={"redactedContent": HIDDEN}),
            delta(1, text="Three."),
            stop(),
            metadata(),
        ),
    ),
    case(
        "reasoning_alone",
        Said(thought="Hm.", finish_reason="length", pieces=["<think>Hm.", "</think>"]),
        whole(reasoning("Hm."), stop="max_tokens"),
        stream(delta(0, reasoningContent={"text": "Hm."}), stop("max_tokens"), metadata()),
    ),
    case(
        "usage_with_a_cache",
        Said(content="Three.", usage=(5 + 40 + 7, 3)),
        whole(
            {"text": "Three."},
            usage={**USAGE, "cacheReadInputTokens": 40, "cacheWriteInputTokens": 7},
        ),
        stream(
            delta(0, text="Three."),
            stop(),
            metadata(usage={**USAGE, "cacheReadInputTokens": 40, "cacheWriteInputTokens": 7}),
        ),
    ),
    case(
        "a_stream_without_usage",
        Said(content="Three.", usage=(0, 0)),
        None,
        stream(delta(0, text="Three."), stop()),
    ),
    case(
        "events_that_are_not_known",
        Said(content="Three.", pieces=["Three."]),
        None,
        stream(event("weatherReport", {"sky": "blue"}), delta(0, text="Three."), stop()),
    ),
    *(
        case(
            f"stop_reason_{reason}",
            Said(content="Three.", finish_reason=finish),
            whole({"text": "Three."}, stop=reason),
            stream(delta(0, text="Three."), stop(reason), metadata()),
        )
        for reason, finish in (
            ("stop_sequence", "stop"),
            ("max_tokens", "length"),
            ("model_context_window_exceeded", "length"),
            ("guardrail_intervened", "content_filter"),
            ("content_filtered", "content_filter"),
            ("a_new_reason", "unknown"),
        )
    ),
    case(
        "a_call_that_a_guardrail_stops_is_not_carried_out",
        Said(content="I cannot.", finish_reason="content_filter"),
        whole({"toolUse": ADD}, {"text": "I cannot."}, stop="guardrail_intervened"),
        stream(
            start(0, toolUse=used("tooluse_1")),
            delta(1, text="I cannot."),
            stop("guardrail_intervened"),
            metadata(),
        ),
    ),
]


ASSESSED = {
    "g1": {
        "contentPolicy": {
            "filters": [
                {"type": "VIOLENCE", "confidence": "HIGH", "action": "BLOCKED"},
                {"type": "HATE", "confidence": "LOW", "action": "NONE"},
            ]
        },
        "topicPolicy": {"topics": [{"name": "Money", "type": "DENY", "action": "BLOCKED"}]},
        "wordPolicy": {
            "customWords": [{"match": "quoted", "action": "BLOCKED"}],
            "managedWordLists": [],
        },
    }
}
LATER = {
    "sensitiveInformationPolicy": {
        "piiEntities": [{"match": "x", "type": "EMAIL", "action": "BLOCKED"}],
        "regexes": [],
    }
}
TRACE = {"guardrail": {"inputAssessment": ASSESSED, "outputAssessments": {"g1": [LATER]}}}

GUARDED = [
    case(
        "what_a_guardrail_found_is_named_without_the_words_it_found",
        Said(
            content="I cannot.",
            finish_reason="content_filter",
            filtered=["topic", "violence", "word", "email"],
        ),
        whole({"text": "I cannot."}, stop="guardrail_intervened", trace=TRACE),
        stream(delta(0, text="I cannot."), stop("guardrail_intervened"), metadata(trace=TRACE)),
    ),
    case(
        "a_guardrail_that_only_reports",
        Said(content="Three.", finish_reason="stop", filtered=[]),
        whole({"text": "Three."}, trace=TRACE),
        stream(delta(0, text="Three."), stop(), metadata(trace=TRACE)),
    ),
]

ANSWERS = [*PLAIN, *GUARDED]


def broken(case_id: str, *after: bytes, **right: Any) -> AnswerCase:
    """A stream that breaks off after text."""
    retryable = right.pop("retryable", True)
    status = right.pop("status", None)
    words = right.pop("words", "")
    failure = Failure(
        retryable=retryable, status_code=status, words=words, data=right, after_text=True
    )
    return case(case_id, failure, None, stream(delta(0, text="Half"), *after))


FAILURES = [
    *(
        case(
            reason,
            Failure(retryable=True, data=UNREADABLE, after_text=True),
            whole({"text": "x"}, stop=reason),
            stream(delta(0, text="x"), stop(reason), metadata()),
        )
        for reason in ("malformed_model_output", "malformed_tool_use")
    ),
    case(
        "a_reason_without_its_call",
        Failure(retryable=True, data=UNREADABLE),
        whole(stop="tool_use"),
        stream(stop("tool_use"), metadata()),
    ),
    case(
        "an_image_alone",
        Failure(retryable=True, data=UNREADABLE),
        whole({"image": {"format": "png", "source": {"bytes": "AA=="}}}),
        None,
    ),
    case("not_an_answer", Failure(retryable=True, data=UNREADABLE), "{}", None),
    case("not_json", Failure(retryable=True, data=UNREADABLE), "<html>Log in</html>", None),
    case("half_an_answer", Failure(retryable=True, data=UNREADABLE), whole()[:40], None),
    case(
        "a_web_page_under_200",
        Failure(retryable=True, data=UNREADABLE),
        None,
        b"<html><title>Log in</title></html>",
    ),
    case("an_empty_stream", Failure(retryable=True, data=CUT), None, b""),
    case(
        "an_exception_with_nothing_before_it",
        Failure(
            retryable=True,
            status_code=429,
            words="Too many requests",
            data={"provider_code": "throttlingException", "cut": True},
        ),
        None,
        exception("throttlingException", {"message": "Too many requests"}),
    ),
    broken(
        "throttled_in_the_middle",
        exception("throttlingException", {"message": "slow down"}),
        status=429,
        words="slow down",
        **CUT,
    ),
    broken(
        "the_models_own_error",
        exception(
            "modelStreamErrorException",
            {"message": "model broke", "originalStatusCode": 500, "originalMessage": "x"},
        ),
        status=424,
        words="model broke",
    ),
    # botocore passes on neither its name nor its words.
    broken("an_exception_that_is_not_known", exception("weatherException", {"message": "rain"})),
    broken("the_stream_ends_early", **CUT),
    broken("half_a_frame", stop()[:20], **CUT),
    broken("a_frame_whose_sum_is_wrong", corrupt(stop()), **UNREADABLE),
    broken("bytes_that_are_no_frame", b"\x00" * 40, **UNREADABLE),
    case(
        "a_web_page_of_a_proxy",
        Failure(retryable=True, status_code=502),
        "<html><title>502 Bad Gateway</title></html>",
        b"<html><title>502 Bad Gateway</title></html>",
        status=502,
        whole_type="text/html",
    ),
    case(
        "a_refusal_without_a_word",
        Failure(
            retryable=False,
            status_code=404,
            words="answered 404: Not Found",
            data={"provider_code": None},
        ),
        "",
        b"",
        status=404,
    ),
    case(
        "bytes_that_are_no_text",
        Failure(retryable=True, data=UNREADABLE),
        b"\x1f\x8b\x08\x00",
        None,
    ),
    case(
        "a_refusal_by_the_model",
        Failure(retryable=False, status_code=424, words="bad", data={}),
        json.dumps({"message": "bad", "originalStatusCode": 400, "__type": "ModelErrorException"}),
        json.dumps(
            {"message": "bad", "originalStatusCode": 400, "__type": "ModelErrorException"}
        ).encode(),
        status=424,
    ),
]
