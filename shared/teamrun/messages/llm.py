"""The provider-neutral conversation with a model: requests and responses."""

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import Field

from teamrun.json_types import JsonObject
from teamrun.messages.construct import Compact
from teamrun.messages.image import Image

__all__ = [
    "AssistantMessage",
    "CreateResult",
    "FinishReason",
    "FunctionCall",
    "FunctionExecutionResult",
    "FunctionExecutionResultMessage",
    "LLMMessage",
    "ProviderData",
    "RequestUsage",
    "SystemMessage",
    "UserMessage",
]

FinishReason = Literal["stop", "length", "function_calls", "content_filter", "unknown"]
"""Why a model stopped."""


@dataclass(slots=True)
class ProviderData:
    """Data that a provider attached to a turn or a tool call and requires back unchanged.

    Examples are Gemini's thought signatures and DeepSeek's thoughts of a turn with tool calls. It
    is returned to the same provider only.
    """

    provider: str
    """The server that attached it, as named by `teamrun.models.makers.provider_of`."""
    data: JsonObject


def _is_absent(value: object) -> bool:
    return value is None


# Omitted if there is none, so that saved state keeps AutoGen's form.
_Attached = Annotated[ProviderData | None, Field(exclude_if=_is_absent, repr=False)]


@dataclass(slots=True)
class FunctionCall:
    """A model's request to call a tool."""

    id: str
    arguments: str
    """The arguments as JSON text, exactly as the model wrote them."""
    name: str
    provider_data: _Attached = field(default=None, repr=False)
    """The provider's data of the call."""


_PARTS: Final = ("cached_tokens", "reasoning_tokens")


@dataclass(slots=True)
class RequestUsage:
    """Tokens of one model call."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Prompt tokens that the provider read from its cache; part of `prompt_tokens`."""
    reasoning_tokens: int = 0
    """Completion tokens that were not shown; part of `completion_tokens`."""

    def __repr__(self) -> str:
        """Without counts that no provider gave, as AutoGen writes it."""
        more = [f"{n}={c}" for n in _PARTS if (c := getattr(self, n))]
        counts = f"prompt_tokens={self.prompt_tokens}, completion_tokens={self.completion_tokens}"
        return f"RequestUsage({', '.join([counts, *more])})"

    def __add__(self, other: "RequestUsage") -> "RequestUsage":
        return RequestUsage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


class SystemMessage(Compact):
    """Instructions from the developer of the team."""

    content: str
    type: Literal["SystemMessage"] = "SystemMessage"


class UserMessage(Compact):
    """A message of a person or another agent."""

    content: str | list[str | Image]
    source: str
    type: Literal["UserMessage"] = "UserMessage"


class AssistantMessage(Compact):
    """The model's answer: text or tool calls."""

    content: str | list[FunctionCall]
    thought: str | None = None
    source: str
    type: Literal["AssistantMessage"] = "AssistantMessage"
    provider_data: _Attached = None
    """The provider's data of the turn."""


class FunctionExecutionResult(Compact):
    """The result of one tool call."""

    content: str
    name: str
    call_id: str
    is_error: bool | None = None


class FunctionExecutionResultMessage(Compact):
    """The results of the tool calls of one assistant message."""

    content: list[FunctionExecutionResult]
    type: Literal["FunctionExecutionResultMessage"] = "FunctionExecutionResultMessage"


LLMMessage = Annotated[
    SystemMessage | UserMessage | AssistantMessage | FunctionExecutionResultMessage,
    Field(discriminator="type"),
]
"""One message of a conversation with a model."""


class CreateResult(Compact):
    """The outcome of one model call."""

    finish_reason: FinishReason
    content: str | list[FunctionCall]
    usage: RequestUsage
    cached: bool = False
    logprobs: list[JsonObject] | None = None
    thought: str | None = None
    model: str | None = Field(default=None, repr=False)
    """The name that the provider reported; the id that was called if it is Bedrock, which reports
    none."""
    provider_data: _Attached = None
    """The provider's data of the turn; it belongs into the `AssistantMessage`."""
    filtered: Annotated[list[str] | None, Field(exclude_if=_is_absent, repr=False)] = None
    """The categories of the provider's content filter that cut the answer or withheld it."""
