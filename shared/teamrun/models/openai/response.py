"""OpenAI chat completions, whole or streamed, as a `CreateResult`.

Answers are read as plain JSON, since compatible servers differ from OpenAI in most details. A
whole answer is read as a stream of one chunk.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

from teamrun.errors import ModelError
from teamrun.json_types import JsonObject, member, members
from teamrun.messages.llm import (
    CreateResult,
    FinishReason,
    FunctionCall,
    ProviderData,
    RequestUsage,
)
from teamrun.models.content_filter import filtered_categories
from teamrun.models.error_bodies import ErrorBody, is_error, read_error
from teamrun.models.http_errors import in_band_error
from teamrun.models.openai.attached import attached_to_message, merged, provider_data
from teamrun.models.openai.content import content_of, usage_with
from teamrun.models.openai.request import Request
from teamrun.models.openai.tool_calls import ToolCalls, calls_of
from teamrun.models.thoughts import without_thought
from teamrun.models.unreadable import unreadable

__all__ = ["Answer", "AnswerReader"]

Json = JsonObject

_FINISH: dict[str | None, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "function_calls",
    "tool_use": "function_calls",
    "function_call": "function_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
}
_BROKEN = frozenset({"error", "abort", "network_error", "insufficient_system_resource"})
"""The server's own failure, after which the text is half an answer."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """The parts of an answer, whole or streamed."""

    finish_reason: str | None
    text: str
    reasoning: str
    refusal: str
    calls: list[FunctionCall]
    usage: RequestUsage
    logprobs: list[JsonObject] | None
    model: str | None
    provider_data: ProviderData | None = None
    filtered: list[str] | None = None

    def result(self, family: str) -> CreateResult:
        """The outcome: text beside tool calls is a thought, and so is reasoning that was shown."""
        thought, text = without_thought(self.text, family)
        reasoning = self.reasoning or thought
        return CreateResult(
            finish_reason=self._finish(),
            content=self.calls or text or self.refusal,
            usage=self.usage,
            logprobs=self.logprobs,
            thought=(text if self.calls else None) or reasoning or None,
            model=self.model,
            provider_data=self.provider_data,
            filtered=self.filtered,
        )

    def _finish(self) -> FinishReason:
        # Compatible servers send "stop" beside tool calls, or "tool_calls" without any.
        if self.calls:
            return "function_calls"
        if self.refusal and not self.text:
            return "content_filter"
        reason = _FINISH.get(self.finish_reason, "unknown")
        return "stop" if reason == "function_calls" else reason


@dataclass(slots=True)
class AnswerReader:
    """Puts the chunks of an answer together.

    Args:
        request: The request.
        family: Of the model.
        secrets: Values to remove from an error's message.
    """

    request: Request
    family: str
    secrets: Sequence[str] = ()
    ended: bool = False
    """Whether the server has marked the end of the answer (`[DONE]`, or the end of its JSON)."""
    _text: list[str] = field(default_factory=list[str])
    _reasoning: list[str] = field(default_factory=list[str])
    _refusal: list[str] = field(default_factory=list[str])
    _calls: ToolCalls = field(default_factory=ToolCalls)
    _attached: Json = field(default_factory=JsonObject)
    _logprobs: list[JsonObject] = field(default_factory=list[JsonObject])
    _finish_reason: str | None = None
    _filtered: list[str] = field(default_factory=list[str])
    _usage: RequestUsage = field(default_factory=lambda: RequestUsage(0, 0))
    _model: str | None = None
    _answered: bool = False
    """Whether there was a choice at all."""
    _streamed: bool = False
    """Whether there was a delta."""
    _thinking: bool = False
    """Whether the last text of the stream was a thought."""
    _unread: str = ""
    """The last part of an answer that could not be read; a tool call counts most."""
    _several: bool = False
    """Whether several answers were requested."""
    _other: ErrorBody | None = None
    """The last item received in place of a chunk: the reason, if there is no answer."""

    def __post_init__(self) -> None:
        body = self.request.body
        asked = member(body, "extra_body").get("n", body.get("n"))
        self._several = isinstance(asked, int) and asked > 1

    @property
    def complete(self) -> bool:
        """Whether the reason why the model stopped has come."""
        return self._finish_reason is not None

    def add(self, chunk: Json) -> list[str]:
        """Take a chunk, or a whole answer; returns the text that it adds.

        Raises:
            ModelError: It is an error of the server, or cannot be read.
        """
        if is_error(chunk):
            raise in_band_error(read_error(chunk), self.secrets)
        self._model = self._model or _string(chunk.get("model"))
        self._add_usage(member(member(chunk, "x_groq"), "usage"))
        self._add_usage(member(chunk, "usage"))
        choices = members(chunk, "choices")
        if not choices:
            self.add_other(chunk)
        return [piece for choice in choices if self._counts(choice) for piece in self._add(choice)]

    def add_other(self, body: object) -> None:
        """Add an item that is no chunk: a ping, or perhaps the reason for a missing answer."""
        error = read_error(body)
        if error.words:
            self._other = error

    def close(self) -> list[str]:
        """The text that is left when no more chunks come."""
        return self._close_thought()

    def result(self) -> CreateResult:
        """The whole outcome, after the last chunk.

        Raises:
            ModelError: The answer broke off, or there was none.
        """
        if self._finish_reason in _BROKEN:
            raise in_band_error(ErrorBody(words=f"finish_reason {self._finish_reason!r}"), ())
        if not self._answered or not (self.complete or self.ended):
            raise self._missing()
        if lost := self._lost():
            raise unreadable(lost)
        return Answer(
            finish_reason=self._finish_reason,
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            refusal="".join(self._refusal),
            calls=self._calls.result(self.request, taken=self._earlier_ids()),
            usage=self._usage,
            logprobs=self._logprobs or None,
            model=self._model,
            provider_data=self._provider_data(),
            filtered=list(dict.fromkeys(self._filtered)) or None,
        ).result(self.family)

    def _provider_data(self) -> ProviderData | None:
        attached = self._attached
        if self.request.hides_thoughts and self._reasoning:  # to know that they are no text
            attached = {"reasoning": "".join(self._reasoning), **attached}
        return provider_data(self.request.provider, attached, with_thoughts=bool(self._calls))

    def _counts(self, choice: Json) -> bool:
        # If several answers were requested, the first is the answer. If not, further choices are
        # parts of it: some servers number the chunks, or put tool calls into a second choice.
        return not choice.get("index") or not self._several

    def _add(self, choice: Json) -> list[str]:
        if error := choice.get("error"):
            raise in_band_error(read_error(error), self.secrets)
        self._finish_reason = _finish_reason(choice.get("finish_reason")) or self._finish_reason
        if "content_filter_results" in choice:
            self._filtered += filtered_categories(choice)
        self._add_usage(member(choice, "usage"))
        self._logprobs += members(member(choice, "logprobs"), "content")
        if delta := member(choice, "delta"):
            self._answered = self._streamed = True
            return self._add_message(delta, whole=False)
        # Some servers end a stream with the whole message once more.
        if (message := member(choice, "message")) and not self._streamed:
            self._answered = True
            return self._add_message(message, whole=True)
        self._answered = self._answered or "message" not in choice
        if choice.get("delta") and not isinstance(choice["delta"], dict):
            self._unread = "delta"
        # OpenAI's older completions have a text in place of the message.
        return self._add_message({"content": choice["text"]}, whole=True) if _texted(choice) else []

    def _add_message(self, message: Json, *, whole: bool) -> list[str]:
        content = content_of(message)
        if attached := attached_to_message(message):
            self._attached = merged(self._attached, attached)
        pieces: list[str] = []
        if content.thought:
            self._reasoning.append(content.thought)
            pieces.append(content.thought if self._thinking else f"<think>{content.thought}")
            self._thinking = True
        if content.refusal:
            self._refusal.append(content.refusal)
        called = [self._calls.add(call, whole=whole) for call in calls_of(message)]
        if not any(called) and (message.get("tool_calls") or message.get("function_call")):
            self._unread = "tool_calls"
        if self._unread != "tool_calls":
            self._unread = content.unread or self._unread
        if content.text or any(called):
            pieces += self._close_thought()
        if content.text:
            self._text.append(content.text)
            pieces.append(content.text)
        return pieces

    def _add_usage(self, block: Json) -> None:
        if block:
            self._usage = usage_with(self._usage, block)

    def _close_thought(self) -> list[str]:
        if not self._thinking:
            return []
        self._thinking = False
        return ["</think>"]

    def _lost(self) -> str:
        """Why an answer that seems to be empty is not: a part of it was not read."""
        asks_for_tools = _FINISH.get(self._finish_reason) == "function_calls"
        is_call_lost = asks_for_tools and self._unread == "tool_calls"
        if self._calls or ((self._text or self._refusal) and not is_call_lost):
            return ""
        if self._unread:
            return f"its {self._unread!r} has a form that is not known"
        if asks_for_tools:
            return f"its finish_reason is {self._finish_reason!r}, and it has no tool call"
        return ""

    def _missing(self) -> ModelError:
        if self._other is not None:
            return in_band_error(self._other, self.secrets)
        if self._answered:
            what, cut = "The model's stream ended before its answer did.", True
        else:
            what, cut = "The model's answer has no choice.", False
        return ModelError(what, retryable=True, cut=cut)

    def _earlier_ids(self) -> Collection[str]:
        if not self._calls:
            return ()
        messages: list[Json] = self.request.body["messages"]
        return {call["id"] for message in messages for call in message.get("tool_calls") or ()}


def _finish_reason(value: object) -> str | None:
    if isinstance(value, dict):  # SGLang's own form
        value = cast(Json, value).get("type")
    return value.lower() if isinstance(value, str) and value else None


def _texted(choice: Json) -> bool:
    return isinstance(choice.get("text"), str) and not choice.get("message")


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
