"""Answers and streams of the Messages API, as a `CreateResult`.

A whole answer is read as a stream in which each block comes at once.
Source: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

import json
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from teamrun.errors import ModelError
from teamrun.json_types import JsonObject, member, members
from teamrun.messages.llm import CreateResult, FinishReason, FunctionCall, RequestUsage
from teamrun.models.anthropic.request import Request
from teamrun.models.anthropic.thinking import BLOCKS, thought_data
from teamrun.models.block_messages import Reasoned
from teamrun.models.error_bodies import ErrorBody, is_error, read_error
from teamrun.models.http_errors import in_band_error
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
    "refusal": "content_filter",
}
"""`pause_turn` is not among them: the provider's own tools have more to do, and the answer is not
complete."""


@dataclass(slots=True)
class _Block:
    """A part of the answer: text, thoughts, a tool call, or something else."""

    kind: str = "text"
    texts: list[str] = field(default_factory=list[str])  # joined once: pieces are many
    """The text, the thoughts, or the arguments of a call as JSON."""
    call_id: str = ""
    tool: str = ""
    begun: Json = field(default_factory=JsonObject)
    """The block as it began."""
    signature: str = ""

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self.texts)

    def whole(self) -> Json:
        """The block of a thought as the provider takes it back."""
        if self.kind != "thinking":
            return self.begun
        return {**self.begun, "thinking": self.text, "signature": self.signature}


@dataclass(slots=True)
class AnswerReader:
    """Puts the parts of an answer together."""

    request: Request
    secrets: Sequence[str] = ()
    ended: bool = False
    """Whether the last event has come."""
    _blocks: dict[int, _Block] = field(default_factory=dict[int, _Block])
    _is_whole: bool = False
    _stop_reason: str | None = None
    _filtered: str = ""
    """The category for which the model refused."""
    _usage: Json = field(default_factory=JsonObject)
    _model: str | None = None
    _thinking: bool = False
    """Whether the last text of the stream was a thought."""
    _other: ErrorBody | None = None
    """The last item received in place of an event: the reason, if there is no answer."""

    @property
    def complete(self) -> bool:
        """Whether the reason why the model stopped has come."""
        return self._stop_reason is not None

    def add(self, chunk: Json) -> Iterator[str]:
        """Take an event, or a whole answer; yields the text that it adds.

        Raises:
            ModelError: It is an error of the server.
        """
        if is_error(chunk):
            raise in_band_error(read_error(chunk), self.secrets)
        match chunk.get("type"):
            case "message":
                self._is_whole = True
                yield from self._begin(chunk)
                self._stop(chunk)
            case "message_start":
                yield from self._begin(member(chunk, "message"))
            case "content_block_start":
                yield from self._start(_index(chunk), member(chunk, "content_block"))
            case "content_block_delta":
                yield from self._continue(_index(chunk), member(chunk, "delta"))
            case "message_delta":
                self._stop(member(chunk, "delta"))
                self._add_usage(chunk)
            case "message_stop":
                self.ended = True
                yield from self.close()
            case "content_block_stop" | "ping":
                pass
            case _:
                self.add_other(chunk)

    def add_other(self, body: object) -> None:
        """Take an item that is no event of the API, perhaps the reason for a missing answer."""
        error = read_error(body)
        if error.words:
            self._other = error

    def close(self) -> Iterator[str]:
        """The text that is left when no more events come."""
        if self._thinking:
            self._thinking = False
            yield "</think>"

    def result(self) -> CreateResult:
        """The whole outcome, after the last event.

        Raises:
            ModelError: The answer broke off, or there was none.
        """
        if self._stop_reason is None:
            raise self._missing()
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        thought, text = without_thought(
            "".join(block.text for block in blocks if block.kind == "text"), self.request.family
        )
        calls, answer = self._calls(blocks)
        is_filtered = _FINISH.get(self._stop_reason) == "content_filter"
        if is_filtered:  # what a classifier has stopped is not carried out
            calls, answer = [], ""
        if not (calls or answer or text):
            self._check_read(blocks)
        thoughts = _thoughts(blocks)
        shown = "".join(part.text for part in thoughts) or thought
        beside = text if calls or answer else ""
        return CreateResult(
            finish_reason=self._finish(calls),
            content=calls or answer or text,
            usage=self._counts(),
            thought=beside or shown or None,
            model=self._model,
            provider_data=thought_data(self.request.provider, thoughts) if calls else None,
            filtered=[self._filtered] if is_filtered and self._filtered else None,
        )

    def _begin(self, message: Json) -> Iterator[str]:
        self._model = _text(message, "model") or None
        self._add_usage(message)
        for index, block in enumerate(members(message, "content")):
            yield from self._start(index, block)

    def _start(self, index: int, begun: Json) -> Iterator[str]:
        kind = _text(begun, "type")
        block = self._blocks[index] = _Block(kind=kind, begun=begun)
        match kind:
            case "text":
                yield from self._add_text(block, _text(begun, "text"))
            case "thinking":
                block.signature = _text(begun, "signature")
                yield from self._add_thought(block, _text(begun, "thinking"))
            case "tool_use":
                block.call_id = _text(begun, "id")
                block.tool = self.request.names.ours(_text(begun, "name"))
                yield from self._add_input(block, begun.get("input"))
            case _:
                pass

    def _continue(self, index: int, delta: Json) -> Iterator[str]:
        block = self._blocks.setdefault(index, _Block())
        match delta.get("type"):
            case "text_delta":
                yield from self._add_text(block, _text(delta, "text"))
            case "thinking_delta":
                yield from self._add_thought(block, _text(delta, "thinking"))
            case "signature_delta":
                block.signature += _text(delta, "signature")
            case "input_json_delta":
                yield from self._add_input(block, _text(delta, "partial_json"))
            case _:  # citations
                pass

    def _add_text(self, block: _Block, text: str) -> Iterator[str]:
        if text:
            block.texts.append(text)
            yield from self.close()
            yield text

    def _add_thought(self, block: _Block, text: str) -> Iterator[str]:
        if text:
            block.texts.append(text)
            yield text if self._thinking else f"<think>{text}"
            self._thinking = True

    def _add_input(self, block: _Block, given: object) -> Iterator[str]:
        if block.kind != "tool_use":  # the arguments of a tool of the provider
            return
        yield from self.close()
        text = given if isinstance(given, str) else json.dumps(given or "", ensure_ascii=False)
        if text and given:
            block.texts.append(text)
            if block.tool == self.request.answer_tool:
                yield text

    def _stop(self, node: Json) -> None:
        self._stop_reason = _text(node, "stop_reason") or self._stop_reason
        self._filtered = _text(member(node, "stop_details"), "category") or self._filtered

    def _add_usage(self, node: Json) -> None:
        """Take counts, which are those of the answer so far."""
        given = member(node, "usage")
        self._usage |= {name: value for name, value in given.items() if value is not None}

    def _counts(self) -> RequestUsage:
        usage = self._usage
        cached = _count(usage, "cache_read_input_tokens")
        # What is read from the cache, and written there, is counted apart from the rest.
        written = _count(usage, "cache_creation_input_tokens")
        return RequestUsage(
            prompt_tokens=_count(usage, "input_tokens") + cached + written,
            completion_tokens=_count(usage, "output_tokens"),
            cached_tokens=cached,
            reasoning_tokens=_count(member(usage, "output_tokens_details"), "thinking_tokens"),
        )

    def _calls(self, blocks: list[_Block]) -> tuple[list[FunctionCall], str]:
        """The calls of tools, and the answer that has the form of a call."""
        called = [block for block in blocks if block.kind == "tool_use"]
        used = self.request.call_ids() if called else set[str]()
        calls: list[FunctionCall] = []
        answer = ""
        for block in called:
            if not block.tool:
                raise unreadable("a tool call has no name")
            if block.tool == self.request.answer_tool:
                answer = answer or block.text or "{}"
            else:
                call_id = block.call_id if block.call_id not in {"", *used} else _new_id(used)
                used.add(call_id)
                calls.append(FunctionCall(call_id, block.text or "{}", block.tool))
        return calls, "" if calls else answer

    def _finish(self, calls: list[FunctionCall]) -> FinishReason:
        reason = _FINISH.get(self._stop_reason, "unknown")
        if calls:
            return "function_calls"
        return "stop" if reason == "function_calls" else reason

    def _check_read(self, blocks: list[_Block]) -> None:
        """Raise if an answer that seems to be empty is not: a part of it was not read."""
        if self._stop_reason == "tool_use":
            raise unreadable("its stop_reason is 'tool_use', and it has no tool call")
        known = {"text", "tool_use", *BLOCKS}
        unread = next((block.kind for block in blocks if block.kind not in known), None)
        if unread is not None and self._stop_reason == "end_turn":
            raise unreadable(f"its {unread!r} has a form that is not known")

    def _missing(self) -> ModelError:
        if self._other is not None:
            return in_band_error(self._other, self.secrets)
        if self._is_whole:
            return unreadable("it has no stop_reason")
        if not self._model and not self._blocks:
            return unreadable("it is no message")
        return ModelError(
            "The model's stream ended before its answer did.", retryable=True, cut=True
        )


def _thoughts(blocks: list[_Block]) -> list[Reasoned]:
    found: list[Reasoned] = []
    calls = 0
    for block in blocks:
        calls += block.kind == "tool_use"
        if block.kind in BLOCKS:
            found.append(Reasoned(calls, block.text, block.whole()))
    return found


def _new_id(used: Collection[str]) -> str:
    while (made := f"toolu_{uuid.uuid4().hex[:24]}") in used:
        pass
    return made


def _index(node: Json) -> int:
    index = node.get("index")
    return index if isinstance(index, int) else 0


def _text(node: Json, name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _count(node: Json, name: str) -> int:
    value = node.get(name)
    return value if type(value) is int and 0 <= value < 2**53 else 0
