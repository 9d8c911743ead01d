"""Answers that are written beforehand: the steps of a script, as data."""

from pydantic import BaseModel, ConfigDict

from teamrun.json_types import JsonObject
from teamrun.messages.llm import FinishReason, RequestUsage

__all__ = ["ScriptStep", "ScriptedError", "ScriptedToolCall"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ScriptedToolCall(_Data):
    """A tool call that the model requests."""

    name: str
    arguments: JsonObject = {}
    id: str | None = None
    """By default derived from the step's position."""


class ScriptedError(_Data):
    """A failure of the model."""

    message: str
    status_code: int | None = None
    retryable: bool = False


class ScriptStep(_Data):
    """One answer."""

    content: str | JsonObject | None = None
    """The text; an object is written as JSON, as a model with structured output would."""
    tool_calls: list[ScriptedToolCall] = []
    thought: str | None = None
    usage: RequestUsage | None = None
    """Without it: nothing for the prompt, and a token per word of the answer."""
    finish_reason: FinishReason | None = None
    error: ScriptedError | None = None
    """Raised as `ModelError`, in place of an answer."""
