"""Answers of Converse and events of ConverseStream, as a `CreateResult`.

A whole answer is read as a stream in which each block comes at once. The SDK has parsed both:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html
"""

import json
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import cast

from teamrun.errors import ModelError
from teamrun.json_types import JsonObject, member, members
from teamrun.messages.llm import CreateResult, FinishReason, FunctionCall, RequestUsage
from teamrun.models.bedrock.guardrails import filtered_by
from teamrun.models.bedrock.reasoning import Reasoning, reasoning_data
from teamrun.models.bedrock.request import Request
from teamrun.models.bedrock.traits import base_id
from teamrun.models.thoughts import without_thought
from teamrun.models.unreadable import unreadable

__all__ = ["AnswerReader"]

Json = JsonObject

_FINISH: dict[str | None, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "function_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_OWN = (None, "", "tool_use")
"""Types of calls that the caller carries out; those of type `server_tool_use` the provider does."""
_MALFORMED = ("malformed_model_output", "malformed_tool_use")
"""The model wrote something that Bedrock could not read; another attempt writes something else."""


@dataclass(slots=True)
class _Block:
    """A part of the answer: text, reasoning or a tool call."""

    texts: list[str] = field(default_factory=list[str])  # joined once: pieces are many
    thoughts: list[str] = field(default_factory=list[str])
    signature: str = ""
    redacted: bytes = b""
    call_id: str = ""
    tool: str = ""
    inputs: list[str] = field(default_factory=list[str])
    is_foreign: bool = False
    """Whether the provider calls a tool of its own."""

    @property
    def arguments(self) -> str:
        """The arguments of the call as JSON text."""
        return "".join(self.inputs)

    @property
    def is_reasoning(self) -> bool:
        """Whether it is reasoning, shown or not."""
        return bool(self.thoughts or self.signature or self.redacted)


@dataclass(slots=True)
class AnswerReader:
    """Puts the parts of an answer together."""

    request: Request
    ended: bool = False
    """Whether the last event has come."""
    _blocks: dict[int, _Block] = field(default_factory=dict[int, _Block])
    _is_whole: bool = False
    _stop_reason: str | None = None
    _usage: RequestUsage = field(default_factory=lambda: RequestUsage(0, 0))
    _router_chose: str = ""
    """The model that answered, if a prompt router was called."""
    _filtered: list[str] = field(default_factory=list[str])
    _thinking: bool = False
    """Whether the last text of the stream was reasoning."""
    _unread: str = ""
    """The last kind of a part that was not read."""

    @property
    def complete(self) -> bool:
        """Whether the reason why the model stopped has come."""
        return self._stop_reason is not None

    def read(self, answer: Json) -> None:
        """Take a whole answer."""
        self._is_whole = True
        message = member(member(answer, "output"), "message")
        for index, content in enumerate(members(message, "content")):
            for _ in self._add(index, content):
                pass
        self._stop(answer)
        self._add_metadata(answer)

    def add(self, event: Json) -> Iterator[str]:
        """Take an event of a stream; yields the text that it adds."""
        for name, value in event.items():
            body = cast(Json, value) if isinstance(value, dict) else {}
            match name:
                case "contentBlockStart":
                    yield from self._add(_index(body), member(body, "start"))
                case "contentBlockDelta":
                    yield from self._add(_index(body), member(body, "delta"))
                case "messageStop":
                    yield from self._close_thought()
                    self._stop(body)
                case "metadata":
                    self._add_metadata(body)
                    self.ended = True
                case _:  # the start of the message, the end of a block
                    pass

    def result(self) -> CreateResult:
        """The whole outcome, after the last event.

        Raises:
            ModelError: The answer broke off, or the model wrote something malformed.
        """
        if self._stop_reason is None:
            if self._is_whole:
                raise unreadable("it has no stopReason")
            raise ModelError(
                "The model's stream ended before its answer did.", retryable=True, cut=True
            )
        if self._stop_reason in _MALFORMED:
            raise unreadable(f"its stopReason is {self._stop_reason!r}")
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        thought, text = without_thought(
            "".join(text for block in blocks for text in block.texts), self.request.family
        )
        calls, answer = self._calls(blocks)
        is_filtered = _FINISH.get(self._stop_reason) == "content_filter"
        if is_filtered:  # what a guardrail has stopped is not carried out
            calls, answer = [], ""
        if not (calls or answer or text):
            self._check_read()
        reasoning = _reasoning(blocks)
        shown = "".join(part.text for part in reasoning) or thought
        beside = text if calls or answer else ""
        return CreateResult(
            finish_reason=self._finish(calls),
            content=calls or answer or text,
            usage=self._usage,
            thought=beside or shown or None,
            model=base_id(self._router_chose) or self.request.model or None,
            provider_data=reasoning_data(self.request.provider, reasoning) if calls else None,
            filtered=(self._filtered or None) if is_filtered else None,
        )

    def _add(self, index: int, part: Json) -> Iterator[str]:
        block = self._blocks.setdefault(index, _Block())
        for name in part:
            match name:
                case "text":
                    yield from self._add_text(block, _text(part, name))
                case "toolUse":
                    yield from self._add_call(block, member(part, name))
                case "reasoningContent":
                    yield from self._add_reasoning(block, member(part, name))
                case "citationsContent":
                    texts = [_text(c, "text") for c in members(member(part, name), "content")]
                    yield from self._add_text(block, "".join(texts))
                case _:
                    self._unread = name

    def _add_text(self, block: _Block, text: str) -> Iterator[str]:
        if text:
            block.texts.append(text)
            yield from self._close_thought()
            yield text

    def _add_call(self, block: _Block, part: Json) -> Iterator[str]:
        if part.get("type") not in _OWN or block.is_foreign:
            block.is_foreign = True
            return
        block.call_id = _text(part, "toolUseId") or block.call_id
        if name := _text(part, "name"):
            block.tool = self.request.names.ours(name)
        given = part.get("input", "")
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        if text:
            block.inputs.append(text)
        yield from self._close_thought()
        if text and block.tool == self.request.answer_tool:
            yield text

    def _add_reasoning(self, block: _Block, part: Json) -> Iterator[str]:
        whole = member(part, "reasoningText")
        text = _text(whole or part, "text")
        block.signature += _text(whole or part, "signature")
        redacted = part.get("redactedContent")
        if isinstance(redacted, bytes):
            block.redacted += redacted
        if text:
            block.thoughts.append(text)
            yield text if self._thinking else f"<think>{text}"
            self._thinking = True

    def _close_thought(self) -> Iterator[str]:
        if self._thinking:
            self._thinking = False
            yield "</think>"

    def _stop(self, node: Json) -> None:
        self._stop_reason = _text(node, "stopReason") or self._stop_reason

    def _add_metadata(self, node: Json) -> None:
        usage = member(node, "usage")
        cached = _count(usage, "cacheReadInputTokens")
        # Bedrock counts what it reads from its cache, and writes there, apart from the rest.
        sent = _count(usage, "inputTokens") + cached + _count(usage, "cacheWriteInputTokens")
        self._usage = RequestUsage(sent, _count(usage, "outputTokens"), cached_tokens=cached)
        trace = member(node, "trace")
        self._router_chose = _text(member(trace, "promptRouter"), "invokedModelId")
        self._filtered = filtered_by(trace)

    def _calls(self, blocks: list[_Block]) -> tuple[list[FunctionCall], str]:
        """The calls of tools, and the answer that has the form of a call."""
        used = set(self.request.call_ids()) if any(block.tool for block in blocks) else set[str]()
        calls: list[FunctionCall] = []
        answer = ""
        for block in blocks:
            if not block.tool:
                if block.call_id or block.inputs:
                    raise unreadable("a tool call has no name")
            elif block.tool == self.request.answer_tool:
                answer = answer or block.arguments or "{}"
            else:
                call_id = block.call_id if block.call_id not in {"", *used} else _new_id(used)
                used.add(call_id)
                calls.append(FunctionCall(call_id, block.arguments or "{}", block.tool))
        return calls, "" if calls else answer

    def _finish(self, calls: list[FunctionCall]) -> FinishReason:
        reason = _FINISH.get(self._stop_reason, "unknown")
        if calls:
            return "function_calls"
        return "stop" if reason == "function_calls" else reason

    def _check_read(self) -> None:
        """Raise if an answer that seems to be empty is not: a part of it was not read."""
        if self._unread:
            raise unreadable(f"its {self._unread!r} has a form that is not known")
        if self._stop_reason == "tool_use":
            raise unreadable("its stopReason is 'tool_use', and it has no tool call")


def _reasoning(blocks: list[_Block]) -> list[Reasoning]:
    found: list[Reasoning] = []
    calls = 0
    for block in blocks:
        calls += bool(block.tool)
        if block.is_reasoning:
            thought = "".join(block.thoughts)
            found.append(Reasoning(calls, thought, block.signature, block.redacted))
    return found


def _new_id(used: Collection[str]) -> str:
    while (made := f"tooluse_{uuid.uuid4().hex}") in used:
        pass
    return made


def _index(node: Json) -> int:
    index = node.get("contentBlockIndex")
    return index if isinstance(index, int) else 0


def _text(node: Json, name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _count(node: Json, name: str) -> int:
    value = node.get(name)
    return value if type(value) is int and 0 <= value < 2**53 else 0
