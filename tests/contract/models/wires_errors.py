"""Errors of the wire suite: every shape of body, under every status, and within answers."""

import json
from typing import Any

from tests.contract.models.wires import AnswerCase, Failure, chunk, completion, sse

__all__ = ["ERRORS"]

Json = dict[str, Any]

HALF = chunk({"content": "Half an"})


def refused(
    case: str, status: int, body: str | Json | list[Json], words: str, **right: Any
) -> AnswerCase:
    """An answer with that status, the same for both ways to ask."""
    written = body if isinstance(body, str) else json.dumps(body)
    failure = Failure(
        retryable=right.pop("retryable", False), status_code=status, words=words, data=right
    )
    return AnswerCase(id=case, status=status, whole=written, stream=written, right=failure)


def within(case: str, body: Json | list[Json], words: str, **right: Any) -> AnswerCase:
    """An error under status 200: as a whole answer, and as the only event of a stream."""
    failure = Failure(
        retryable=right.pop("retryable", False),
        status_code=right.pop("status", None),
        words=words,
        data=right,
    )
    written = json.dumps(body)
    return AnswerCase(id=case, whole=written, stream=f"data: {written}\n\n", right=failure)


def broken_off(
    case: str, *events: Json | str, words: str = "", done: bool = False, **right: Any
) -> AnswerCase:
    """A stream that fails after text."""
    failure = Failure(
        retryable=right.pop("retryable", True),
        status_code=right.pop("status", None),
        words=words,
        after_text=True,
        data=right,
    )
    return AnswerCase(id=case, stream=sse(HALF, *events, done=done), right=failure)


STATUSES = [
    refused(
        "openai",
        400,
        {
            "error": {
                "message": "too long",
                "type": "invalid_request_error",
                "code": "context_length_exceeded",
            }
        },
        "too long",
        provider_code="context_length_exceeded",
    ),
    refused("error_is_a_text", 404, {"error": "model 'x' not found"}, "model 'x' not found"),
    refused(
        "error_in_a_list",
        429,
        [{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}],
        "slow down",
        retryable=True,
        provider_code="429",
    ),
    refused("detail_is_a_text", 422, {"detail": "no such voice"}, "no such voice"),
    refused(
        "detail_is_a_list",
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "user"],
                    "msg": "Extra inputs are not permitted",
                }
            ]
        },
        "body.user: Extra inputs are not permitted",
    ),
    refused("message_alone", 401, {"message": "Unauthorized"}, "Unauthorized"),
    refused(
        "message_and_code",
        400,
        {"object": "error", "message": "bad role", "type": "BadRequestError", "code": 400},
        "bad role",
    ),
    refused(
        "databricks",
        400,
        {"error_code": "BAD_REQUEST", "message": "unknown field"},
        "unknown field",
        provider_code="BAD_REQUEST",
    ),
    refused(
        "errors",
        403,
        {"success": False, "errors": [{"code": 7003, "message": "no route"}]},
        "no route",
    ),
    refused("nested_detail", 400, {"detail": {"error": {"message": "deep down"}}}, "deep down"),
    refused(
        "openrouters_upstream",
        502,
        {
            "error": {
                "message": "Provider returned error",
                "code": 502,
                "metadata": {"raw": "upstream is cold"},
            }
        },
        "upstream is cold",
        retryable=True,
    ),
    refused("unknown_members", 400, {"oops": "it broke"}, "it broke"),
    refused("plain_text", 503, "no healthy upstream", "no healthy upstream", retryable=True),
    refused(
        "web_page",
        502,
        "<html><head><title>502 Bad Gateway</title></head><body><h1>x</h1></body></html>",
        "502 Bad Gateway",
        retryable=True,
    ),
    refused("nothing", 500, "", "Internal Server Error", retryable=True),
    refused("no_credits", 402, {"error": {"message": "No credits", "code": 402}}, "No credits"),
    refused(
        "quota_that_is_used_up",
        429,
        {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}},
        "quota",
        provider_code="insufficient_quota",
    ),
    refused(
        "forbidden_region",
        403,
        {"error": {"message": "Country not supported", "code": "unsupported_country"}},
        "Country not supported",
    ),
]

WITHIN = [
    within(
        "no_credits_under_200",
        {"error": {"message": "No credits", "code": 402}},
        "No credits",
        status=402,
        provider_code="402",
    ),
    within(
        "no_credits_as_a_text_code",
        {"error": {"message": "No credits", "code": "402"}},
        "No credits",
        status=402,
    ),
    within(
        "rate_limit_under_200",
        {"error": {"message": "slow down", "code": 429}},
        "slow down",
        status=429,
        retryable=True,
    ),
    within(
        "an_error_without_a_code",
        {"error": {"message": "upstream is cold"}},
        "upstream is cold",
        retryable=True,
    ),
    within("an_error_text", {"error": "upstream is cold"}, "upstream is cold", retryable=True),
    within(
        "a_request_fault",
        {"error": {"message": "bad role", "type": "invalid_request_error"}},
        "bad role",
        provider_code="invalid_request_error",
    ),
    within(
        "vllms_error_object",
        {"object": "error", "message": "bad role", "code": 400},
        "bad role",
        status=400,
    ),
    within("a_detail", {"detail": "shutting down"}, "shutting down", retryable=True),
    within(
        "a_message_with_a_status",
        {"message": "shutting down", "status": 503},
        "shutting down",
        status=503,
        retryable=True,
    ),
    within(
        "minimax",
        {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        "insufficient balance",
        provider_code="1008",
    ),
    within(
        "a_list_with_an_error",
        [{"error": {"message": "bad key", "code": 400}}],
        "bad key",
        status=400,
    ),
    within(
        "an_error_in_the_choice",
        {
            "choices": [
                {
                    "error": {"message": "provider down", "code": 502},
                    "message": {"content": "Half an"},
                    "finish_reason": "error",
                }
            ]
        },
        "provider down",
        status=502,
        retryable=True,
    ),
    within("no_choice", {"choices": [], "id": "1"}, "", retryable=True),
    within("nothing_at_all", {}, "", retryable=True),
    within(
        "content_is_a_number",
        {"choices": [{"message": {"content": 5}}]},
        "",
        retryable=True,
        unreadable=True,
    ),
    within(
        "a_call_without_a_name",
        {
            "choices": [
                {
                    "finish_reason": "stop",
                    "message": {"tool_calls": [{"id": "c1", "function": {"arguments": "{}"}}]},
                }
            ]
        },
        "",
        retryable=True,
        unreadable=True,
    ),
    AnswerCase(
        id="a_web_page_under_200",
        whole="<html><title>Log in</title></html>",
        whole_type="text/html",
        stream="<html><title>Log in</title></html>",
        stream_type="text/html",
        right=Failure(retryable=True, words="Log in", data={"unreadable": True}),
    ),
    AnswerCase(
        id="a_text_under_200",
        whole="no healthy upstream",
        stream="no healthy upstream",
        right=Failure(retryable=True, words="no healthy upstream"),
    ),
]


def unread(case: str, part: Json, *, finish: str = "stop") -> AnswerCase:
    """An answer that is not empty, with nothing in it that can be read."""
    return AnswerCase(
        id=case,
        whole=completion(part, finish=finish),
        stream=sse(chunk(part), chunk(finish=finish)),
        right=Failure(retryable=True, data={"unreadable": True}),
    )


UNREAD = [
    unread("a_call_of_another_kind", {"tool_calls": [{"type": "custom", "custom": {}}]}),
    unread("calls_that_are_texts", {"tool_calls": ["add"]}),
    unread("a_call_that_is_a_text", {"function_call": "add"}),
    unread("a_reason_without_its_call", {"content": ""}, finish="tool_calls"),
    unread("an_image_alone", {"content": [{"type": "image_url", "image_url": {}}]}),
    unread("speech_alone", {"content": None, "audio": {"data": "AA=="}}),
    AnswerCase(
        id="a_call_of_another_kind_beside_text",
        whole=completion(
            {"content": "I add.", "tool_calls": [{"type": "custom", "custom": {}}]},
            finish="tool_calls",
        ),
        right=Failure(retryable=True, data={"unreadable": True}),
    ),
    AnswerCase(
        id="a_delta_that_is_a_text",
        stream=sse({"choices": [{"delta": "Three.", "finish_reason": "stop"}]}),
        right=Failure(retryable=True, data={"unreadable": True}),
    ),
]

FINISHED = [
    *(
        AnswerCase(
            id=f"finish_reason_{reason}",
            whole=completion({"content": "Half an"}, finish=reason),
            right=Failure(retryable=True, data={"cut": True}),
        )
        for reason in ("error", "abort")
    ),
    broken_off("finish_reason_error_in_a_stream", chunk(finish="error"), done=True, cut=True),
    broken_off(
        "an_error_event",
        'event: error\ndata: {"error": {"message": "cold", "code": 503}}\n\n',
        words="cold",
        status=503,
    ),
    broken_off(
        "an_error_event_of_text", "event: error\ndata: out of memory\n\n", words="out of memory"
    ),
    broken_off(
        "an_error_frame",
        {"error": {"message": "cold", "type": "server_error"}},
        words="cold",
        provider_code="server_error",
        cut=True,
    ),
    broken_off(
        "an_error_frame_with_choices",
        {"error": {"message": "No credits", "code": 402}, **chunk({"content": ""}, finish="error")},
        words="No credits",
        status=402,
        retryable=False,
    ),
    broken_off("the_stream_ends_early", cut=True),
    broken_off(
        "the_stream_ends_after_a_reason",
        {"message": "model was unloaded", "code": 503},
        words="model was unloaded",
        status=503,
    ),
    broken_off("broken_json", 'data: {"choices": [\n\n', unreadable=True),
    AnswerCase(
        id="done_without_an_answer",
        stream="data: [DONE]\n\n",
        right=Failure(retryable=True),
    ),
    AnswerCase(id="an_empty_stream", stream="", right=Failure(retryable=True)),
]

ERRORS = [*STATUSES, *WITHIN, *UNREAD, *FINISHED]
