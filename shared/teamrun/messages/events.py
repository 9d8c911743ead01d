"""Reports of agents and teams about their work; events are shown and counted, never answered."""

from abc import ABC
from typing import Any, Literal, TypeAlias

from pydantic import model_validator

from teamrun.messages.chat import BaseMessage
from teamrun.messages.llm import FunctionCall, FunctionExecutionResult
from teamrun.messages.other_forms import call_fields, result_fields

__all__ = [
    "BaseAgentEvent",
    "ModelClientStreamingChunkEvent",
    "ThoughtEvent",
    "ToolCallExecutionEvent",
    "ToolCallMessage",
    "ToolCallRequestEvent",
    "ToolCallResultMessage",
    "ToolResultMessage",
    "UserInputRequestedEvent",
]


class BaseAgentEvent(BaseMessage, ABC):
    """The base of events."""


class ToolCallRequestEvent(BaseAgentEvent):
    """The model requested tool calls.

    A single call may also be given as `tool_name`, `arguments` and `tool_use_id`.
    """

    content: list[FunctionCall]
    type: Literal["ToolCallRequestEvent"] = "ToolCallRequestEvent"

    @model_validator(mode="before")
    @classmethod
    def _accept_other_forms(cls, data: Any) -> Any:
        return call_fields(data)

    def to_text(self) -> str:
        """The calls in Python notation."""
        return str(self.content)


class ToolCallExecutionEvent(BaseAgentEvent):
    """The requested tool calls have ended.

    A single result may also be given as `tool_name`, `tool_result` or `error`, and `tool_use_id`.
    """

    content: list[FunctionExecutionResult]
    type: Literal["ToolCallExecutionEvent"] = "ToolCallExecutionEvent"

    @model_validator(mode="before")
    @classmethod
    def _accept_other_forms(cls, data: Any) -> Any:
        return result_fields(data)

    def to_text(self) -> str:
        """The results in Python notation."""
        return str(self.content)


class UserInputRequestedEvent(BaseAgentEvent):
    """An agent waits for a person."""

    request_id: str
    """Names the request in the answer."""
    content: Literal[""] = ""
    type: Literal["UserInputRequestedEvent"] = "UserInputRequestedEvent"

    def to_text(self) -> str:
        """Nothing: the prompt is the agent's own affair."""
        return self.content


class ModelClientStreamingChunkEvent(BaseAgentEvent):
    """A piece of a model's text on its way; never part of a result."""

    content: str
    full_message_id: str | None = None
    """The id of the message that the pieces add up to."""
    type: Literal["ModelClientStreamingChunkEvent"] = "ModelClientStreamingChunkEvent"

    def to_text(self) -> str:
        """The piece."""
        return self.content


class ThoughtEvent(BaseAgentEvent):
    """Thoughts of a model before its answer, or its text besides tool calls."""

    content: str
    type: Literal["ThoughtEvent"] = "ThoughtEvent"

    def to_text(self) -> str:
        """The thought."""
        return self.content


ToolCallMessage: TypeAlias = ToolCallRequestEvent
"""An older name of the event."""
ToolCallResultMessage: TypeAlias = ToolCallExecutionEvent
"""An older name of the event."""
ToolResultMessage: TypeAlias = ToolCallExecutionEvent
"""An older name of the event."""
