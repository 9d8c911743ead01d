"""Any bytes from a model's server are an answer or a `ModelError`, in pieces of any size."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import examples

from teamrun.errors import ModelError
from teamrun.messages.llm import CreateResult
from teamrun.models.answer_body import AnswerBody
from teamrun.models.openai.request import Request
from teamrun.models.openai.response import AnswerReader
from teamrun.models.tool_names import ToolNames

NAMES = [
    "arguments",
    "choices",
    "code",
    "content",
    "delta",
    "detail",
    "error",
    "finish_reason",
    "function",
    "id",
    "index",
    "logprobs",
    "message",
    "model",
    "name",
    "object",
    "prompt_tokens",
    "reasoning_content",
    "refusal",
    "text",
    "thinking",
    "tool_calls",
    "type",
    "usage",
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 600)
    | st.floats()
    | st.sampled_from(["", "text", "thinking", "function", "stop", "error", "{}", '{"a": 1}'])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "content": JSON,
        "tool_calls": st.lists(JSON, max_size=3),
        "refusal": JSON,
        "reasoning_content": JSON,
    },
)
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "index": JSON,
        "finish_reason": JSON,
        "message": MESSAGES,
        "delta": MESSAGES,
        "usage": JSON,
        "error": JSON,
        "logprobs": JSON,
    },
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(CHOICES, max_size=3),
        "usage": JSON,
        "error": JSON,
        "model": JSON,
        "object": JSON,
    },
)
EVENTS = st.sampled_from(
    [
        b"data: [DONE]\n\n",
        b"data: null\n\n",
        b": ping\n\n",
        b"event: error\n",
        b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n',
        b'data: {"choices": [{"delta": {"reasoning_content": "Hm"}}]}\r\n\r\n',
        b'data: {"choices": [{"finish_reason": "stop"}]}\n\n',
        b"data: {\n\n",
        b"{",
        b"<p>",
    ]
)


def read(*pieces: bytes) -> tuple[list[str], CreateResult | str]:
    """The text on the way, and the result or the error."""
    body = AnswerBody(AnswerReader(Request({"messages": []}, ToolNames()), "unknown"))
    texts: list[str] = []
    try:
        for piece in pieces:
            if not body.answer.ended:
                texts += body.feed(piece)
        if not body.answer.ended:
            texts += body.close()
        return texts, body.answer.result()
    except ModelError as error:
        json.dumps(error.as_json())
        return texts, error.message


@examples(300)
@given(ANSWERS | JSON, st.booleans())
def test_an_answer_of_any_json_is_a_result_or_a_model_error(answer: object, streamed: bool) -> None:
    text = json.dumps(answer).encode()
    _, outcome = read(b"data: " + text + b"\n\ndata: [DONE]\n\n" if streamed else text)
    if isinstance(outcome, CreateResult):
        CreateResult.model_validate_json(outcome.model_dump_json())


@given(st.binary(max_size=80))
def test_any_bytes_are_a_model_error(data: bytes) -> None:
    assert isinstance(read(data)[1], str)


@given(st.lists(EVENTS, max_size=6), st.integers(1, 9))
def test_pieces_of_any_size_give_the_same_answer(events: list[bytes], size: int) -> None:
    body = b"".join(events)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    (cut, last), (whole, result) = read(*pieces), read(body)
    assert "".join(cut) == "".join(whole)
    assert last == result


def test_a_body_that_nests_too_deep_is_unreadable() -> None:
    for body in (b"[" * 100_000, b"data: " + b"[" * 100_000 + b"\n\n"):
        texts, outcome = read(body)
        assert (texts, type(outcome)) == ([], str)


@pytest.mark.parametrize("end", ["", "\n\ndata: [DONE]\n\n"])
def test_a_thought_is_closed_when_the_answer_ends(end: str) -> None:
    chunk = '{"choices": [{"delta": {"reasoning": "Hm"}, "finish_reason": "length"}]}'
    texts, result = read(f"data: {chunk}\n\n{end}".encode())
    assert texts == ["<think>Hm", "</think>"]
    assert isinstance(result, CreateResult) and result.thought == "Hm"
