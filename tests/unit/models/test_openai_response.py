"""Reading of answers, including those of compatible servers."""

from typing import Any

import pytest

from teamrun.errors import ModelError
from teamrun.messages.llm import CreateResult, FunctionCall, RequestUsage
from teamrun.models.openai.request import Request
from teamrun.models.openai.response import AnswerReader
from teamrun.models.tool_names import ToolNames


def answer(
    message: dict[str, Any],
    *,
    finish: str | None = "stop",
    family: str = "gpt-4o",
    logprobs: dict[str, Any] | None = None,
) -> CreateResult:
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", **message},
        "logprobs": logprobs,
    }
    reader = AnswerReader(REQUEST, family, ended=True)
    reader.add({"model": "m-1", "choices": [choice]})
    return reader.result()


REQUEST = Request({"messages": []}, ToolNames())
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.behaviour("model.result")
def test_the_whole_result() -> None:
    assert answer({"content": "Hi"}) == CreateResult(
        finish_reason="stop",
        content="Hi",
        usage=RequestUsage(prompt_tokens=0, completion_tokens=0),
        model="m-1",
    )


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "stop"),
        ("eos", "stop"),
        ("MAX_TOKENS", "length"),
        ("odd", "unknown"),
        (None, "unknown"),
    ],
)
def test_reasons_to_stop_without_tool_calls(sent: str | None, reason: str) -> None:
    assert answer({"content": "x"}, finish=sent).finish_reason == reason


def test_tool_calls_are_the_reason_whatever_the_server_says() -> None:
    result = answer({"content": None, "tool_calls": [CALL]}, finish="stop")
    assert result.content == [FunctionCall(id="c", arguments="{}", name="f")]
    assert result.finish_reason == "function_calls"


def test_a_refusal_is_the_content_and_is_marked() -> None:
    result = answer({"content": None, "refusal": "I will not."})
    assert (result.content, result.finish_reason) == ("I will not.", "content_filter")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_beside_the_text_is_the_thought(name: str) -> None:
    assert answer({"content": "x", name: "because"}).thought == "because"


def test_reasoning_within_the_text_is_taken_out_for_the_family_that_writes_it_there() -> None:
    text = "<think>\nbecause\n</think>\n\nSo."
    reasoned = answer({"content": text}, family="r1")
    assert (reasoned.content, reasoned.thought) == ("So.", "because")
    assert answer({"content": text}).content == text


@pytest.mark.behaviour("model.result")
def test_token_probabilities_are_kept() -> None:
    token: dict[str, Any] = {"token": "x", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    result = answer({"content": "x"}, logprobs={"content": [token], "refusal": None})
    assert result.logprobs is not None and result.logprobs[0]["logprob"] == -0.1


def chunk(delta: dict[str, Any] | None = None, **rest: Any) -> dict[str, Any]:
    finish = rest.pop("finish", None)
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"model": "m-1", "object": "chat.completion.chunk", "choices": choices, **rest}


def streamed(*chunks: dict[str, Any]) -> CreateResult:
    whole = AnswerReader(REQUEST, "gpt-4o")
    for item in chunks:
        whole.add(item)
    return whole.result()


def test_tool_calls_are_put_together_from_interleaved_parts() -> None:
    def part(index: int, text: str, **start: Any) -> dict[str, Any]:
        function = {"arguments": text, **({"name": start.pop("name")} if "name" in start else {})}
        return {"tool_calls": [{"index": index, "function": function, **start}]}

    result = streamed(
        chunk({"role": "assistant", "content": "Both."}),
        chunk(part(1, "", id="b", name="g")),
        chunk(part(0, "", id="a", name="f")),
        chunk(part(1, '{"x"')),
        chunk(part(0, "{}")),
        chunk(part(1, ": 1}")),
        chunk({}, finish="tool_calls"),
    )
    assert result.content == [
        FunctionCall(id="a", arguments="{}", name="f"),
        FunctionCall(id="b", arguments='{"x": 1}', name="g"),
    ]
    assert result.thought == "Both."


def test_usage_comes_with_the_last_chunk() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    result = streamed(chunk({"content": "x"}, finish="stop"), chunk(None, usage=usage))
    assert result.usage == RequestUsage(
        prompt_tokens=9, completion_tokens=4, cached_tokens=5, reasoning_tokens=2
    )


def test_a_stream_without_a_reason_to_stop_was_cut() -> None:
    with pytest.raises(ModelError) as raised:
        streamed(chunk({"content": "half an ans"}))
    assert raised.value.retryable
    assert raised.value.data["cut"] is True
