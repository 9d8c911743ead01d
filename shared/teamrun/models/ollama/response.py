"""Answers of Ollama's `/api/chat`, whole or streamed, as a `CreateResult`.

A stream is JSON lines, and a whole answer is read as a stream of one line.
Source: https://docs.ollama.com/api/streaming
"""

import json
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from teamrun.errors import ModelError
from teamrun.json_types import JsonObject, member, members
from teamrun.messages.llm import CreateResult, FinishReason, FunctionCall, RequestUsage
from teamrun.models.error_bodies import is_error, read_error, tidy
from teamrun.models.http_errors import in_band_error
from teamrun.models.ollama.messages import thinking_data
from teamrun.models.ollama.request import Request
from teamrun.models.thoughts import without_thought
from teamrun.models.unreadable import unreadable, unreadable_by

__all__ = ["AnswerBody"]

Json = JsonObject

_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
_THOUGHTS = ("thinking", "reasoning_content")
"""The second is that of servers which imitate Ollama."""


@dataclass(slots=True)
class AnswerBody:
    """Reads the lines of a body and puts the answer together.

    Args:
        request: The request.
        family: Of the model.
        secrets: Values to remove from an error's message.
    """

    request: Request
    family: str
    secrets: Sequence[str] = ()
    chunks: int = 0
    """How many lines have come."""
    ended: bool = False
    """Whether the last line has come."""
    _rest: bytearray = field(default_factory=bytearray)
    """A line that has not ended."""
    _texts: list[str] = field(default_factory=list[str])  # joined once: pieces are many
    _thoughts: list[str] = field(default_factory=list[str])
    _calls: list[Json] = field(default_factory=list[Json])
    _reason: str = ""
    _usage: RequestUsage = field(default_factory=lambda: RequestUsage(0, 0))
    _model: str = ""
    _thinking: bool = False
    """Whether the last text of the stream was a thought."""

    def read(self, body: bytes) -> None:
        """Take the whole body.

        Raises:
            ModelError: It is an error of the server, or cannot be read.
        """
        for _ in (*self.feed(body), *self.close()):
            pass

    def feed(self, piece: bytes) -> Iterator[str]:
        """The text that the piece adds to the answer.

        Raises:
            ModelError: It is an error of the server, or cannot be read.
        """
        *lines, rest = piece.split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        for line in lines:
            yield from self._line(line)

    def close(self) -> Iterator[str]:
        """The text that is left after the last piece.

        Raises:
            ModelError: As for `feed`.
        """
        yield from self._line(bytes(self._rest))
        yield from self._close_thought()

    def result(self) -> CreateResult:
        """The whole outcome, after the last line.

        Raises:
            ModelError: The answer broke off.
        """
        if not self.ended:
            raise ModelError(
                "The model's stream ended before its answer did.", retryable=True, cut=True
            )
        in_text, text = without_thought("".join(self._texts), self.family)
        thinking = "".join(self._thoughts) or in_text
        calls = self._function_calls()
        return CreateResult(
            finish_reason="function_calls" if calls else _FINISH.get(self._reason, "unknown"),
            content=calls or text,
            usage=self._usage,
            thought=(text if calls else "") or thinking or None,
            model=self._model or None,
            provider_data=thinking_data(self.request.provider, thinking) if calls else None,
        )

    def _line(self, line: bytes) -> Iterator[str]:
        if self.ended or not line.strip():
            return
        self.chunks += 1
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError) as error:
            if not line.lstrip().startswith(b"{"):
                raise self._foreign(line) from error
            raise unreadable_by(error, self.secrets) from error
        if not isinstance(value, dict):
            raise self._foreign(line)
        yield from self._add(cast(Json, value))

    def _foreign(self, line: bytes) -> ModelError:
        """The failure of a body that is not Ollama's, such as the page of a proxy."""
        words = tidy(read_error(line).words, self.secrets) or "nothing"
        return ModelError(
            f"The model's server did not answer with JSON objects but with: {words}",
            retryable=True,
            unreadable=True,
        )

    def _add(self, chunk: Json) -> Iterator[str]:
        if is_error(chunk):
            raise in_band_error(read_error(chunk), self.secrets)
        message = member(chunk, "message")
        if not message and not chunk.get("done"):
            raise unreadable("a line has no message")
        self._model = self._model or _text(chunk, "model")
        if thought := next(filter(None, (_text(message, name) for name in _THOUGHTS)), ""):
            self._thoughts.append(thought)
            yield thought if self._thinking else f"<think>{thought}"
            self._thinking = True
        text, calls = _text(message, "content"), members(message, "tool_calls")
        if message.get("tool_calls") and not calls:
            raise unreadable("its tool_calls have a form that is not known")
        if text or calls:
            yield from self._close_thought()
        if text:
            self._texts.append(text)
            yield text
        self._calls += calls
        if chunk.get("done") is True:
            self._end(chunk)
            yield from self._close_thought()

    def _end(self, chunk: Json) -> None:
        self.ended = True
        # Servers before 0.1.37 give no reason.
        self._reason = _text(chunk, "done_reason") or "stop"
        self._usage = RequestUsage(_count(chunk, "prompt_eval_count"), _count(chunk, "eval_count"))

    def _close_thought(self) -> Iterator[str]:
        if self._thinking:
            self._thinking = False
            yield "</think>"

    def _function_calls(self) -> list[FunctionCall]:
        used = self.request.call_ids() if self._calls else set[str]()
        calls: list[FunctionCall] = []
        for call in self._calls:
            function = member(call, "function")
            name = _text(function, "name")
            if not name:
                raise unreadable("a tool call has no name")
            call_id = _text(call, "id")
            if call_id in {"", *used}:
                call_id = _new_id(used)
            used.add(call_id)
            arguments = _arguments(function.get("arguments"))
            calls.append(FunctionCall(call_id, arguments, self.request.names.ours(name)))
        return calls


def _arguments(value: object) -> str:
    """As JSON text; the API sends an object."""
    if isinstance(value, str):
        return value or "{}"
    return json.dumps({} if value is None else value, ensure_ascii=False)


def _new_id(used: Collection[str]) -> str:
    while (made := f"call_{uuid.uuid4().hex[:12]}") in used:
        pass
    return made


def _text(node: Json, name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _count(node: Json, name: str) -> int:
    value = node.get(name)
    return value if type(value) is int and 0 <= value < 2**53 else 0
