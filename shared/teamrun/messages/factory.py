"""Creation of messages from JSON data, by their `type`."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from teamrun.json_types import JsonMapping
from teamrun.messages.chat import BaseMessage, JsonContent, StructuredMessage

__all__ = ["STRUCTURED", "MessageFactory"]

STRUCTURED: Final = "StructuredMessage"
"""The `type` of structured messages, before the name of the content's class in brackets."""

_BUILT_IN: Final[Mapping[str, str]] = {
    "TextMessage": "teamrun.messages.chat",
    "MultiModalMessage": "teamrun.messages.chat",
    "StopMessage": "teamrun.messages.chat",
    "HandoffMessage": "teamrun.messages.chat",
    "ToolCallSummaryMessage": "teamrun.messages.chat",
    "ToolCallRequestEvent": "teamrun.messages.events",
    "ToolCallExecutionEvent": "teamrun.messages.events",
    "UserInputRequestedEvent": "teamrun.messages.events",
    "MemoryQueryEvent": "teamrun.messages.content",
    "ModelClientStreamingChunkEvent": "teamrun.messages.events",
    "ThoughtEvent": "teamrun.messages.events",
    "CodeGenerationEvent": "teamrun.messages.code",
    "CodeExecutionEvent": "teamrun.messages.code",
    "SelectSpeakerEvent": "teamrun.messages.selection",
    "SelectorEvent": "teamrun.messages.selection",
}
"""The classes of this library, each with its module, which is imported at first use."""


class MessageFactory:
    """Makes messages from JSON data by their `type`, classes of the user's own included."""

    def __init__(self) -> None:
        self._classes: dict[str, type[BaseMessage]] = {}

    def is_registered(self, message_type: type[BaseMessage]) -> bool:
        """Whether data of this class can be read."""
        return self._named(message_type.__name__) is message_type

    def register(self, message_type: type[BaseMessage]) -> None:
        """Add this class.

        Raises:
            ValueError: Another class of the same name is known already.
        """
        name = message_type.__name__
        self._classes.setdefault(name, self._named(name) or message_type)
        if self._classes[name] is not message_type:
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
        cls = self._named(name) if isinstance(name, str) else None
        if cls is None and str(name).partition("[")[0] == STRUCTURED:
            cls = StructuredMessage[JsonContent]
        if cls is None:
            raise ValueError(f"Unknown message type: {name}")
        return cls.load(data)

    def _named(self, name: str) -> type[BaseMessage] | None:
        cls = self._classes.get(name)
        if cls is None and name in _BUILT_IN:
            cls = self._classes[name] = getattr(import_module(_BUILT_IN[name]), name)
        return cls
