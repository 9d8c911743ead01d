"""What a server returns, as results of tools."""

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic_core import to_json

from teamrun.errors import McpServerError, UsageError
from teamrun.messages.image import Image
from teamrun.tools.result import (
    ImageResultContent,
    ResultContent,
    TextResultContent,
    ToolResult,
)

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock

__all__ = ["tool_result"]


def tool_result(
    name: str, result: "CallToolResult", *, server: str, most_characters: int
) -> ToolResult:
    """The result of a call.

    Structured content is used if there is no text: a server should send it as text as well
    (specification 2025-06-18, server/tools).

    Args:
        name: The name of the tool for the model.
        result: What the server returned.
        server: The name of the server, for an error.
        most_characters: The size of all parts together that is accepted.

    Raises:
        McpServerError: It is larger.
    """
    size = sum(map(_size, result.content))
    structured = result.structured_content
    parts = [part for block in result.content for part in _parts(block)]
    if structured is not None and not any(isinstance(part, TextResultContent) for part in parts):
        text = to_json(structured).decode()
        parts.append(TextResultContent(content=text))
        size += len(text)
    if size > most_characters:
        raise McpServerError(
            f"The result of {name!r} has {size:,} characters, and at most {most_characters:,} are"
            " accepted. Ask for less of it.",
            server=server,
        )
    return ToolResult(name=name, result=parts, is_error=bool(result.is_error))


def _size(block: "ContentBlock") -> int:
    match block.type:
        case "text":
            return len(block.text)
        case "image" | "audio":
            return len(block.data)
        case "resource":
            inner = block.resource
            return len(getattr(inner, "text", "") or getattr(inner, "blob", ""))
        case "resource_link":
            return len(block.uri)


def _parts(block: "ContentBlock") -> Sequence[ResultContent]:
    match block.type:
        case "text":
            return [TextResultContent(content=block.text)]
        case "image":
            return [_image(block.data, block.mime_type)]
        case "audio":
            return [_note(block.mime_type, "audio")]
        case "resource_link":
            about = f": {block.description}" if block.description else ""
            return [TextResultContent(content=f"{block.name} <{block.uri}>{about}")]
        case "resource":
            inner = block.resource
            text = getattr(inner, "text", None)
            if text is not None:
                return [TextResultContent(content=text)]
            if (inner.mime_type or "").startswith("image/"):
                return [_image(getattr(inner, "blob", ""), str(inner.mime_type))]
            return [_note(inner.mime_type, str(inner.uri))]


def _image(data: str, media_type: str) -> ResultContent:
    try:
        image = Image.from_bytes(base64.b64decode(data, validate=True))
    except (UsageError, binascii.Error):
        return _note(media_type, "an image that cannot be read")
    return ImageResultContent(content=image)


def _note(media_type: str | None, what: str) -> TextResultContent:
    return TextResultContent(content=f"[{media_type or 'binary data'}: {what}]")
