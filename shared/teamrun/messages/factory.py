"""Creation of messages from JSON data, by their `type`."""

from typing import Final

from teamrun.json_types import JsonMapping
from teamrun.messages.chat import (
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

__all__ = ["STRUCTURED", "MessageFactory"]

STRUCTURED: Final = "StructuredMessage"
"""The `type` of structured messages, before the name of the content's class in brackets."""

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
        if cls is None and str(name).partition("[")[0] == STRUCTURED:
            cls = StructuredMessage[JsonContent]
        if cls is None:
            raise ValueError(f"Unknown message type: {name}")
        return cls.load(data)
