"""Answers of Converse that the wire suite cannot send, since the SDK checks their types."""

from typing import Any

import pytest

from teamrun.messages.llm import FunctionCall
from teamrun.models.bedrock.guardrails import filtered_by
from teamrun.models.bedrock.request import Request
from teamrun.models.bedrock.response import AnswerReader
from teamrun.models.tool_names import ToolNames


@pytest.mark.parametrize("topics", [3, "x", None, [None, 1, "x", {"action": "BLOCKED"}]])
def test_findings_of_a_guardrail_in_another_form_are_passed_over(topics: object) -> None:
    trace = {"guardrail": {"inputAssessment": {"g1": {"topicPolicy": {"topics": topics}}}}}
    assert filtered_by(trace) == (["topic"] if isinstance(topics, list) else [])


def test_members_of_another_form_are_passed_over() -> None:
    names = ToolNames()
    names.add("add")
    reader = AnswerReader(Request(body={"messages": []}, names=names, provider="p"))
    events: list[dict[str, Any]] = [
        {"contentBlockStart": {"start": {"toolUse": {"toolUseId": 3, "name": "add"}}}},
        {"contentBlockDelta": {"contentBlockIndex": None, "delta": {"toolUse": {"input": "{}"}}}},
        {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"text": 7}}},
        {"contentBlockDelta": "x"},
        {"messageStop": {"stopReason": "tool_use"}},
        {"metadata": {"usage": {"inputTokens": "5", "outputTokens": 2**70}, "trace": [1]}},
    ]
    assert [text for event in events for text in reader.add(event)] == []
    result = reader.result()
    [call] = result.content
    assert isinstance(call, FunctionCall)
    assert (call.name, call.arguments) == ("add", "{}")
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (0, 0)
