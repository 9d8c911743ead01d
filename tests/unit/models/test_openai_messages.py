"""Conversations of every shape, as strict chat templates take them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import examples

from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from teamrun.models.families import resolved_model_info
from teamrun.models.openai.messages import MessageWriter

STRICT = {"alternate_roles": True, "multiple_system_messages": False, "empty_content": False}
PNG = Image.from_bytes(b"\x89PNG\r\n\x1a\n....")
TEXTS = st.sampled_from(["", "  ", "One.", "Two.", "Three."])
SOURCES = st.sampled_from(["ann", "bob", "user"])


def _rounds(ids: list[str], texts: list[str], thought: str) -> list[LLMMessage]:
    calls = [FunctionCall(id=id, arguments="{}", name="add") for id in ids]
    results = [
        FunctionExecutionResult(content=text, name="add", call_id=id, is_error=False)
        for id, text in zip(ids, texts, strict=True)
    ]
    return [
        AssistantMessage(content=calls, source="helper", thought=thought),
        FunctionExecutionResultMessage(content=results),
    ]


@st.composite
def turns(draw: st.DrawFn) -> list[LLMMessage]:
    """One message, or calls with their results."""
    text, source = draw(TEXTS), draw(SOURCES)
    match draw(st.sampled_from(["system", "user", "image", "assistant", "tools"])):
        case "system":
            return [SystemMessage(content=text)]
        case "user":
            return [UserMessage(content=text, source=source)]
        case "image":
            return [UserMessage(content=[text, PNG], source=source)]
        case "assistant":
            return [AssistantMessage(content=text, source="helper")]
        case _:
            return _rounds(["a", "b"], [text, draw(TEXTS)], draw(TEXTS))


@st.composite
def conversations(draw: st.DrawFn) -> list[LLMMessage]:
    return [message for turn in draw(st.lists(turns(), max_size=8)) for message in turn]


def written(messages: list[LLMMessage], *, strict: bool = True) -> list[dict[str, Any]]:
    info = resolved_model_info("m", STRICT if strict else None, own_server=True)
    return MessageWriter(model="m", info=info).write(messages)


def texts_of(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content if part["type"] == "text"]


@examples(300)
@given(conversations())
def test_every_conversation_fits_a_strict_template(messages: list[LLMMessage]) -> None:
    wire = written(messages)
    rest = wire[1:] if wire[0]["role"] == "system" else wire

    assert "system" not in [part["role"] for part in rest]
    turns = [part["role"] for part in rest if part["role"] != "tool" and "tool_calls" not in part]
    assert turns[::2] == ["user"] * len(turns[::2])
    assert turns[1::2] == ["assistant"] * len(turns[1::2])
    assert rest[-1]["role"] in ("user", "tool")
    for part in wire:
        assert "content" in part or "tool_calls" in part
        assert all(text.strip() for text in texts_of(part.get("content", [])))


@examples(100)
@given(conversations())
def test_no_message_is_lost(messages: list[LLMMessage]) -> None:
    def words(wire: list[dict[str, Any]]) -> list[str]:
        texts = [text for part in wire for text in texts_of(part.get("content") or [])]
        known = ("One.", "Two.", "Three.")
        return sorted(word for text in texts for word in text.split() if word in known)

    assert words(written(messages)) == words(written(messages, strict=False))


@examples(100)
@given(conversations())
def test_results_follow_their_calls(messages: list[LLMMessage]) -> None:
    wire = written(messages)
    for place, part in enumerate(wire):
        if "tool_calls" in part:
            following = [after["role"] for after in wire[place + 1 : place + 3]]
            assert following == ["tool", "tool"]


@pytest.mark.parametrize(
    ("model", "switches"),
    [
        ("gpt-4o", (False, True, True)),
        ("gemini-2.5-flash", (False, False, False)),
        ("claude-sonnet-4", (False, True, False)),
        ("mistral-large-latest", (True, False, False)),
        ("codestral-latest", (True, False, False)),
        ("google/gemma-3-27b-it", (True, False, False)),
        ("deepseek-r1:7b", (True, True, True)),
        ("qwen3:8b", (False, True, True)),
    ],
)
def test_a_family_has_the_switches_of_its_template(
    model: str, switches: tuple[bool, bool, bool]
) -> None:
    info = resolved_model_info(model, None, own_server=True)

    found = info.get("alternate_roles"), info.get("multiple_system_messages")
    assert (*found, info.get("empty_content")) == switches
