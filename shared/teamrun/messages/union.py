"""All messages as one union, discriminated by `type`.

The package loads this module at the first use of one of its names: few programs need it.
"""

from typing import Annotated, Any, TypeAlias, cast

from pydantic import ConfigDict, Discriminator, Tag, TypeAdapter

from teamrun.json_types import JsonObject
from teamrun.messages.chat import (
    BaseChatMessage,
    BaseMessage,
    HandoffMessage,
    JsonContent,
    MultiModalMessage,
    StopMessage,
    StructuredMessage,
    TextMessage,
    ToolCallSummaryMessage,
)
from teamrun.messages.code import CodeExecutionEvent, CodeGenerationEvent
from teamrun.messages.content import MemoryQueryEvent
from teamrun.messages.events import (
    BaseAgentEvent,
    ModelClientStreamingChunkEvent,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    UserInputRequestedEvent,
)
from teamrun.messages.factory import STRUCTURED
from teamrun.messages.selection import SelectorEvent, SelectSpeakerEvent

__all__ = [
    "AGENT_EVENT",
    "CHAT_MESSAGE",
    "MESSAGE",
    "AgentEvent",
    "ChatMessage",
    "Message",
]


def _tag(value: Any) -> str | None:
    if isinstance(value, dict):
        name = cast("JsonObject", value).get("type")
    else:
        name = getattr(value, "type", None)
    # `StructuredMessage[Answer]` is data here: its content is read as JsonContent.
    return name.partition("[")[0] if isinstance(name, str) else None


ChatMessage: TypeAlias = Annotated[
    Annotated[TextMessage, Tag("TextMessage")]
    | Annotated[MultiModalMessage, Tag("MultiModalMessage")]
    | Annotated[StopMessage, Tag("StopMessage")]
    | Annotated[HandoffMessage, Tag("HandoffMessage")]
    | Annotated[ToolCallSummaryMessage, Tag("ToolCallSummaryMessage")]
    | Annotated[StructuredMessage[JsonContent], Tag(STRUCTURED)],
    Discriminator(_tag),
]
"""Any chat message of this library."""

AgentEvent: TypeAlias = Annotated[
    Annotated[ToolCallRequestEvent, Tag("ToolCallRequestEvent")]
    | Annotated[ToolCallExecutionEvent, Tag("ToolCallExecutionEvent")]
    | Annotated[CodeGenerationEvent, Tag("CodeGenerationEvent")]
    | Annotated[CodeExecutionEvent, Tag("CodeExecutionEvent")]
    | Annotated[UserInputRequestedEvent, Tag("UserInputRequestedEvent")]
    | Annotated[MemoryQueryEvent, Tag("MemoryQueryEvent")]
    | Annotated[ModelClientStreamingChunkEvent, Tag("ModelClientStreamingChunkEvent")]
    | Annotated[ThoughtEvent, Tag("ThoughtEvent")]
    | Annotated[SelectSpeakerEvent, Tag("SelectSpeakerEvent")]
    | Annotated[SelectorEvent, Tag("SelectorEvent")],
    Discriminator(_tag),
]
"""Any event of this library."""

Message: TypeAlias = Annotated[
    Annotated[ChatMessage, Tag("chat")] | Annotated[AgentEvent, Tag("event")],
    Discriminator(lambda value: "event" if (_tag(value) or "").endswith("Event") else "chat"),
]
"""Any chat message or event of this library."""

# Built at first use: a worker that only executes runs never needs them.
_LATER = ConfigDict(defer_build=True)
CHAT_MESSAGE: TypeAdapter[BaseChatMessage] = TypeAdapter(ChatMessage, config=_LATER)
"""Reads and writes any chat message of this library."""
AGENT_EVENT: TypeAdapter[BaseAgentEvent] = TypeAdapter(AgentEvent, config=_LATER)
"""Reads and writes any event of this library."""
MESSAGE: TypeAdapter[BaseMessage] = TypeAdapter(Message, config=_LATER)
"""Reads and writes any chat message or event of this library."""
