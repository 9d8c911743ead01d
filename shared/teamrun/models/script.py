"""Answers that are written beforehand: the steps of a script, and the options of its profile."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from teamrun.json_types import JsonObject
from teamrun.messages.llm import FinishReason, RequestUsage
from teamrun.models.options import ProfileOptions
from teamrun.models.scalars import LONGEST_S, Number

__all__ = ["ScriptStep", "ScriptedError", "ScriptedOptions", "ScriptedToolCall"]


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


class ScriptedOptions(ProfileOptions):
    """Options of a profile of type `scripted`: written answers, for demonstrations and tests."""

    verbatim = frozenset({"script"})
    file_only = frozenset({"script_file"})

    script: dict[str, list[str | ScriptStep]] | list[str | ScriptStep]
    """The answers in order, of each agent or of all together."""
    latency_ms: Number = Field(default=0, ge=0, le=LONGEST_S * 1000)
    """How long each answer takes."""

    def arguments(self) -> JsonObject:
        """The arguments of the client's constructor."""
        rest = self.model_dump(exclude={"latency_ms", "script"}, exclude_none=True)
        latency = timedelta(milliseconds=self.latency_ms)
        return {**rest, "script": self.script, "latency": latency}
