"""All messages as one union, discriminated by `type`, and their creation from JSON data."""

from typing import Annotated, Any, TypeAlias, cast

from pydantic import ConfigDict, Discriminator, Tag, TypeAdapter

from teamrun.json_types import JsonMapping, JsonObject
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
from teamrun.messages.events import (
    BaseAgentEvent,
    CodeExecutionEvent,
    CodeGenerationEvent,
    MemoryQueryEvent,
    ModelClientStreamingChunkEvent,
    SelectorEvent,
    SelectSpeakerEvent,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    UserInputRequestedEvent,
)

__all__ = [
    "AGENT_EVENT",
    "CHAT_MESSAGE",
    "MESSAGE",
    "AgentEvent",
    "ChatMessage",
    "Message",
    "MessageFactory",
]

_STRUCTURED = "StructuredMessage"


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
    | Annotated[StructuredMessage[JsonContent], Tag(_STRUCTURED)],
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

_BUILT_IN: tuple[type[BaseMessage], ...] = (
    TextMessage,
    MultiModalMessage,
    StopMessage,
    HandoffMessage,
    ToolCallSummaryMessage,
    ToolCallRequestEvent,
    ToolCallExecutionEvent,
    CodeGenerationEvent,
    CodeExecutionEvent,
    UserInputRequestedEvent,
    MemoryQueryEvent,
    ModelClientStreamingChunkEvent,
    ThoughtEvent,
    SelectSpeakerEvent,
    SelectorEvent,
)


class MessageFactory:
    """Makes messages from JSON data by their `type`, classes of the user's own included."""

    def __init__(self) -> None:
        self._classes: dict[str, type[BaseMessage]] = {cls.__name__: cls for cls in _BUILT_IN}

    def is_registered(self, message_type: type[BaseMessage]) -> bool:
        """Whether data of this class can be read."""
        return self._classes.get(message_type.__name__) is message_type

    def register(self, message_type: type[BaseMessage]) -> None:
        """Add this class.

        Raises:
            ValueError: Another class of the same name is known already.
        """
        name = message_type.__name__
        if self._classes.setdefault(name, message_type) is not message_type:
            raise ValueError(f"Message type {name} is already registered.")

    def create(self, data: JsonMapping) -> BaseMessage:
        """Make the message that `dump` wrote.

        Raises:
            ValueError: The data have no `type`, or one that is not known.
            pydantic.ValidationError: The data are not a message of that type.
        """
        name = data.get("type")
        if name is None:
            raise ValueError("Field 'type' is required in the message data to recover the message.")
        cls = self._classes.get(name)
        if cls is None and str(name).partition("[")[0] == _STRUCTURED:
            cls = StructuredMessage[JsonContent]
        if cls is None:
            raise ValueError(f"Unknown message type: {name}")
        return cls.load(data)
