"""Pieces of memory, and the event of their use."""

import base64
import binascii
from enum import StrEnum
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field, StrictStr, field_serializer, model_validator

from teamrun.errors import UsageError
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
    """One piece of memory.

    In JSON, bytes are text if they are UTF-8, as in AutoGen, and otherwise `{"data": "<base64>"}`,
    like an image.
    """

    # From left to right, so that JSON with a member "data" is not taken for an image.
    content: Annotated[StrictStr | bytes | JsonObject | Image, Field(union_mode="left_to_right")]
    mime_type: MemoryMimeType | str
    metadata: JsonObject | None = None

    def readable(self) -> str | Image:
        """The piece as a model can read it.

        Bytes are an image if their media type says so, and text if they are UTF-8 without NUL.
        Any other bytes are only described. JSON is written as Python writes it, as in AutoGen.
        """
        content = self.content
        if not isinstance(content, bytes):
            return content if isinstance(content, Image) else str(content)
        if (image := _image(content, self.mime_type)) is not None:
            return image
        if (text := _text(content)) is not None:
            return text
        return f"[{self.mime_type}, {len(content)} bytes that are not text]"

    @field_serializer("mime_type")
    def serialize_mime_type(self, mime_type: MemoryMimeType | str) -> str:
        """The media type as text."""
        return str(mime_type)

    @field_serializer("content", when_used="json")
    def _content_in_json(self, content: Any) -> Any:
        if isinstance(content, bytes) and _text(content) is None:
            return {"data": base64.b64encode(content).decode("ascii")}
        return content

    @model_validator(mode="before")
    @classmethod
    def _content_of_json(cls, value: Any) -> Any:
        """Read the form in which images and bytes are written; JSON of that form stays JSON."""
        if not isinstance(value, dict):
            return value
        fields = cast("dict[str, Any]", value)
        content, mime_type = fields.get("content"), str(fields.get("mime_type"))
        if not isinstance(content, dict) or mime_type == MemoryMimeType.JSON:
            return fields
        match cast("dict[str, Any]", content):
            case {"data": str(data), **rest} if not rest:
                try:
                    decoded = base64.b64decode(data, validate=True)
                except binascii.Error:
                    return fields
                return {**fields, "content": _image(decoded, mime_type) or decoded}
            case _:
                return fields


def _image(data: bytes, mime_type: str) -> Image | None:
    """The image, if the media type is that of images and the bytes are one."""
    if not mime_type.startswith("image/"):
        return None
    try:
        return Image.from_bytes(data)
    except UsageError:
        return None


def _text(data: bytes) -> str | None:
    """The bytes as text; None if they are not UTF-8, or have the character NUL."""
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


class MemoryQueryEvent(BaseAgentEvent):
    """An agent has put something from memory into its model context."""

    content: list[MemoryContent]
    type: Literal["MemoryQueryEvent"] = "MemoryQueryEvent"

    def to_text(self) -> str:
        """The pieces in Python notation; images and other bytes are only named."""
        return str([each.model_copy(update={"content": _named(each)}) for each in self.content])


def _named(piece: MemoryContent) -> str | JsonObject:
    if isinstance(piece.content, dict):
        return piece.content
    readable = piece.readable()
    return readable if isinstance(readable, str) else "<image>"
