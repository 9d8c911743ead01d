"""Content of messages besides text: code, its result, and pieces of memory."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, field_serializer

from teamrun.json_types import JsonObject
from teamrun.messages.image import Image

__all__ = ["CodeBlock", "CodeResult", "MemoryContent", "MemoryMimeType"]


@dataclass(slots=True)
class CodeBlock:
    """A piece of source code in a named language."""

    code: str
    language: str


@dataclass(slots=True)
class CodeResult:
    """The output of executed code, and its exit status."""

    exit_code: int
    output: str


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
    def _as_text(self, value: MemoryMimeType | str) -> str:
        return str(value)
