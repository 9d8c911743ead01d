"""Pieces of memory, and the event of their use."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, field_serializer

from teamrun.json_types import JsonObject
from teamrun.messages.events import BaseAgentEvent
from teamrun.messages.image import Image

__all__ = ["MemoryContent", "MemoryMimeType", "MemoryQueryEvent"]


class MemoryMimeType(StrEnum):
    """Media types of memory content that have a meaning here; any other text is allowed."""

    TEXT = "text/plain"
    JSON = "application/json"
    MARKDOWN = "text/markdown"
    IMAGE = "image/*"
    BINARY = "application/octet-stream"


class MemoryContent(BaseModel, defer_build=True):
    """One piece of memory."""

    content: str | bytes | JsonObject | Image
    mime_type: MemoryMimeType | str
    metadata: JsonObject | None = None

    @field_serializer("mime_type")
    def serialize_mime_type(self, mime_type: MemoryMimeType | str) -> str:
        """The media type as text."""
        return str(mime_type)


class MemoryQueryEvent(BaseAgentEvent):
    """An agent has put something from memory into its model context."""

    content: list[MemoryContent]
    type: Literal["MemoryQueryEvent"] = "MemoryQueryEvent"

    def to_text(self) -> str:
        """The pieces in Python notation."""
        return str(self.content)
