"""What an OpenAI chat completion said, whole or streamed, as a `CreateResult`."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teamrun.errors import ModelError
from teamrun.messages.llm import CreateResult, FinishReason, FunctionCall, RequestUsage
from teamrun.models.families import ModelFamily
from teamrun.models.openai_request import ToolNames

if TYPE_CHECKING:
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

__all__ = ["Answer", "StreamedAnswer", "result_of"]

_FINISH: dict[str | None, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "function_calls",
    "function_call": "function_calls",
    "content_filter": "content_filter",
}
_THOUGHT = re.compile(r"\A\s*<think>(.*?)</think>\s*", re.DOTALL)


@dataclass(slots=True, kw_only=True)
class Answer:
    """The parts of an answer, however they came."""

    finish_reason: str | None
    text: str | None
    reasoning: str | None
    refusal: str | None
    calls: list[FunctionCall]
    usage: RequestUsage
    logprobs: list[dict[str, Any]] | None
    model: str | None

    def result(self, family: str) -> CreateResult:
        """The outcome: text beside tool calls is a thought, and so is reasoning that was shown."""
        text, reasoning = self.text or "", self.reasoning
        if family == ModelFamily.R1 and (thought := _THOUGHT.match(text)):
            text, reasoning = text[thought.end() :], thought[1].strip()
        return CreateResult(
            finish_reason=self._finish(),
            content=self.calls or text or self.refusal or "",
            usage=self.usage,
            logprobs=self.logprobs,
            thought=(text if self.calls else None) or reasoning or None,
            model=self.model,
        )

    def _finish(self) -> FinishReason:
        # Compatible servers say "stop" beside tool calls, or "tool_calls" without any.
        if self.calls:
            return "function_calls"
        if self.refusal and not self.text:
            return "content_filter"
        reason = _FINISH.get(self.finish_reason, "unknown")
        return "stop" if reason == "function_calls" else reason


def result_of(completion: "ChatCompletion", *, names: ToolNames, family: str) -> CreateResult:
    """The outcome of a call that was not streamed.

    Raises:
        ModelError: The answer holds no choice.
    """
    if not completion.choices:
        raise ModelError("The model's answer holds no choice.", retryable=True)
    choice = completion.choices[0]
    message = choice.message
    calls = [
        FunctionCall(
            id=call.id, arguments=call.function.arguments, name=names.ours(call.function.name)
        )
        for call in message.tool_calls or ()
        if call.type == "function"
    ]
    logprobs = choice.logprobs.content if choice.logprobs else None
    return Answer(
        finish_reason=choice.finish_reason,
        text=message.content,
        reasoning=_reasoning(message.model_extra),
        refusal=message.refusal,
        calls=calls,
        usage=_usage(completion.usage),
        logprobs=[token.model_dump() for token in logprobs] if logprobs else None,
        model=completion.model,
    ).result(family)


@dataclass(slots=True)
class StreamedAnswer:
    """Puts the chunks of a streamed answer together."""

    names: ToolNames
    family: str
    _text: list[str] = field(default_factory=list[str])
    _reasoning: list[str] = field(default_factory=list[str])
    _refusal: list[str] = field(default_factory=list[str])
    _calls: dict[int, FunctionCall] = field(default_factory=dict[int, FunctionCall])
    _logprobs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _finish_reason: str | None = None
    _usage: "CompletionUsage | None" = None
    _model: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the model has said why it stopped."""
        return self._finish_reason is not None

    def add(self, chunk: "ChatCompletionChunk") -> str:
        """Take a chunk; returns the text in it, which may be empty."""
        self._model = self._model or chunk.model
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._finish_reason = choice.finish_reason or self._finish_reason
                if choice.logprobs and choice.logprobs.content:
                    self._logprobs += [token.model_dump() for token in choice.logprobs.content]
                return self._add_delta(choice.delta)
        return ""

    def result(self) -> CreateResult:
        """The whole outcome, after the last chunk.

        Raises:
            ModelError: The stream ended before the model did.
        """
        if self._finish_reason is None:
            raise ModelError(
                "The model's stream ended before its answer did.", retryable=True, cut=True
            )
        return Answer(
            finish_reason=self._finish_reason,
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            refusal="".join(self._refusal),
            calls=[self._calls[index] for index in sorted(self._calls)],
            usage=_usage(self._usage),
            logprobs=self._logprobs or None,
            model=self._model,
        ).result(self.family)

    def _add_delta(self, delta: "ChoiceDelta") -> str:
        for call in delta.tool_calls or ():
            self._add_call(call)
        if reasoning := _reasoning(delta.model_extra):
            self._reasoning.append(reasoning)
        if delta.refusal:
            self._refusal.append(delta.refusal)
        if delta.content:
            self._text.append(delta.content)
        return delta.content or ""

    def _add_call(self, part: "ChoiceDeltaToolCall") -> None:
        call = self._calls.setdefault(part.index, FunctionCall(id="", arguments="", name=""))
        call.id = part.id or call.id
        if part.function is not None:
            if part.function.name:
                call.name = self.names.ours(part.function.name)
            call.arguments += part.function.arguments or ""


def _reasoning(extra: dict[str, Any] | None) -> str | None:
    # Not OpenAI's own: DeepSeek and vLLM say `reasoning_content`, Ollama says `reasoning`.
    for name in ("reasoning_content", "reasoning"):
        if isinstance(value := (extra or {}).get(name), str) and value:
            return value
    return None


def _usage(usage: "CompletionUsage | None") -> RequestUsage:
    if usage is None:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return RequestUsage(
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cached_tokens=(prompt and prompt.cached_tokens) or 0,
        reasoning_tokens=(completion and completion.reasoning_tokens) or 0,
    )
