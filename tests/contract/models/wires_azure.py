"""Answers and errors of Azure's content filters and limits, in Azure's form.

Source: https://learn.microsoft.com/azure/foundry/openai/concepts/content-filter and its page on
annotations.
"""

import json
from typing import Any

from tests.contract.models.wires import AnswerCase, Failure, Said, chunk, completion, sse
from tests.contract.models.wires_errors import refused

__all__ = ["FILTERED"]

Json = dict[str, Any]

CATEGORIES = ("hate", "self_harm", "sexual", "violence")
QUOTE = "the text of the conversation"


def results(*blocking: str, **others: Json) -> Json:
    """The results of all filters."""
    safe: Json = {name: {"filtered": False, "severity": "safe"} for name in CATEGORIES}
    found: Json = {name: {"filtered": True, "severity": "medium"} for name in blocking}
    return {**safe, **found, **others}


JAILBREAK = {"jailbreak": {"detected": True, "filtered": True}}
CITED: Json = {
    "protected_material_code": {
        "detected": True,
        "filtered": True,
        "citation": {"URL": "https://example.test/x", "license": "NOASSERTION"},
    },
    "custom_blocklists": {"filtered": True, "details": [{"filtered": True, "id": QUOTE}]},
    QUOTE: {"filtered": True},
}
PROMPT_WORDS = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management "
    "policy. Please modify your prompt and retry."
)


def blocked(**inner: Any) -> Json:
    """The error of a prompt that was not answered."""
    return {
        "error": {
            "message": PROMPT_WORDS,
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation", **inner},
        }
    }


def annotated(**parts: Any) -> Json:
    """A chunk with one choice and Azure's own members beside its delta."""
    choice = {"index": 0, "finish_reason": None, **parts}
    return {**chunk(), "choices": [choice]}


FIRST = {**chunk(), "prompt_filter_results": [{"content_filter_results": results()}]}

FILTERED = [
    refused(
        "a_prompt_that_is_blocked",
        400,
        blocked(content_filter_result=results("violence", **JAILBREAK)),
        "(content filter: violence, jailbreak)",
        provider_code="content_filter",
        filtered=["violence", "jailbreak"],
    ),
    refused(
        "a_prompt_that_a_block_list_stops",
        400,
        blocked(content_filter_results=results(**CITED)),
        PROMPT_WORDS,
        filtered=["protected_material_code", "custom_blocklists"],
    ),
    refused(
        "a_blocked_prompt_without_results",
        400,
        blocked(),
        PROMPT_WORDS,
        provider_code="content_filter",
        filtered=None,
    ),
    AnswerCase(
        id="an_answer_that_is_withheld",
        whole=json.dumps(
            {
                **json.loads(completion({}, finish="content_filter")),
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "content_filter",
                        "message": {"role": "assistant"},
                        "content_filter_results": results("hate"),
                    }
                ],
                "prompt_filter_results": [{"content_filter_results": results()}],
            }
        ),
        stream=sse(
            FIRST,
            annotated(delta={"role": "assistant"}),
            annotated(
                delta={},
                finish_reason="content_filter",
                content_filter_results=results("hate"),
            ),
        ),
        right=Said(content="", finish_reason="content_filter", filtered=["hate"]),
    ),
    AnswerCase(
        id="an_answer_that_is_cut_by_a_filter",
        stream=sse(
            FIRST,
            annotated(delta={"content": "Thr"}, content_filter_results=results()),
            annotated(
                delta={},
                finish_reason="content_filter",
                content_filter_results=results("sexual", "violence", **CITED),
            ),
        ),
        right=Said(
            content="Thr",
            pieces=["Thr"],
            finish_reason="content_filter",
            filtered=[
                "sexual",
                "violence",
                "protected_material_code",
                "custom_blocklists",
            ],
        ),
    ),
    AnswerCase(
        id="annotations_of_an_answer_that_is_not_filtered",
        whole=completion({"content": "Three."}, content_filter_results=results()),
        stream=sse(
            FIRST,
            annotated(delta={"content": "Three."}, content_filter_results=results()),
            annotated(content_filter_offsets={"start_offset": 0}, content_filter_results={}),
            annotated(delta={}, finish_reason="stop", content_filter_results=results()),
        ),
        right=Said(content="Three.", finish_reason="stop", filtered=()),
    ),
    AnswerCase(
        id="a_filter_that_was_down",
        stream=sse(
            annotated(
                delta={"content": "Three."},
                content_filter_results={
                    "error": {"code": "content_filter_error", "message": "not filtered"}
                },
            ),
            annotated(delta={}, finish_reason="stop"),
        ),
        right=Said(content="Three.", finish_reason="stop"),
    ),
    refused(
        "too_many_tokens_a_minute",
        429,
        {"error": {"code": "429", "message": "have exceeded token rate limit"}},
        "token rate limit",
        retryable=True,
        provider_code="429",
    ),
    refused(
        "no_such_deployment",
        404,
        {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this"}},
        "The API deployment for this",
        provider_code="DeploymentNotFound",
    ),
    refused(
        "a_role_that_is_missing",
        401,
        {"error": {"code": "PermissionDenied", "message": "lacks the required data action"}},
        "lacks the required data action",
        provider_code="PermissionDenied",
    ),
    AnswerCase(
        id="a_filter_that_breaks_a_stream_off",
        stream=sse(chunk({"content": "Thr"}), blocked(content_filter_result=results("hate"))),
        right=Failure(
            retryable=False,
            status_code=400,
            words="(content filter: hate)",
            after_text=True,
            data={"filtered": ["hate"]},
        ),
    ),
]
