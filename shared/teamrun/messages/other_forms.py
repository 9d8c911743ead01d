"""Other forms in which guides to AutoGen write messages, converted to the fields of the classes."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.image import Image
from teamrun.messages.origin import new_id

__all__ = ["as_image", "call_fields", "multimodal_fields", "result_fields"]

_CALL: Final = frozenset({"tool_name", "arguments", "tool_arguments", "tool_use_id"})
_RESULT: Final = frozenset({"tool_name", "tool_result", "tool_use_id", "error", "is_error"})


def call_fields(data: Any) -> Any:
    """`tool_name`, `arguments` (or `tool_arguments`) and `tool_use_id` as a list of one call."""
    given, rest = _split(data, _CALL)
    if not given or "content" in rest:
        return data
    arguments = given.get("arguments", given.get("tool_arguments"))
    call: JsonObject = {
        "id": given.get("tool_use_id") or new_id(),
        "name": given.get("tool_name"),
        "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments or {}),
    }
    return {**rest, "content": [call]}


def result_fields(data: Any) -> Any:
    """`tool_name`, `tool_result` or `error`, `tool_use_id`, `is_error` as a list of one result."""
    given, rest = _split(data, _RESULT)
    if not given or "content" in rest:
        return data
    error = given.get("error")
    value = given.get("tool_result") if error is None else error
    result: JsonObject = {
        "call_id": given.get("tool_use_id") or new_id(),
        "name": given.get("tool_name"),
        "content": value if isinstance(value, str) else json.dumps(value, default=str),
        "is_error": given.get("is_error", error is not None),
    }
    return {**rest, "content": [result]}


def multimodal_fields(data: Any) -> Any:
    """A text as content, and `images` and `documents`, as a list of texts and images."""
    given, rest = _split(data, frozenset({"images", "documents"}))
    content = rest.get("content")
    if not given and not isinstance(content, str):
        return data
    parts: list[Any] = [content] if isinstance(content, str) else list(content or ())
    parts += map(as_image, given.get("images") or ())
    parts += map(_as_text, given.get("documents") or ())
    return {**rest, "content": parts}


def as_image(image: object) -> object:
    """An image of its encoded bytes; anything else as it is.

    Raises:
        UsageError: The bytes are not an image.
    """
    return Image.from_bytes(image) if isinstance(image, bytes) else image


def _as_text(document: object) -> str:
    """A document as text under its name.

    Raises:
        ValueError: It is not text.
    """
    fields = cast("JsonMapping", document if isinstance(document, Mapping) else {"text": document})
    name = fields.get("name") or fields.get("filename") or "document"
    content = next((fields[key] for key in ("text", "content", "data") if key in fields), None)
    try:
        text = content.decode() if isinstance(content, bytes) else content
    except UnicodeDecodeError:
        text = None
    if not isinstance(text, str):
        raise ValueError(
            f"The document {name!r} is not text. Models get documents as text: extract it, and pass"
            " {'name': ..., 'text': ...}; or pass images of its pages in `images`"
        )
    return f"{name}:\n{text}"


def _split(data: Any, names: frozenset[str]) -> tuple[JsonObject, JsonObject]:
    """The fields with one of these names, and the others."""
    if not isinstance(data, dict):
        return {}, {}
    fields = cast("JsonObject", data)
    return (
        {name: value for name, value in fields.items() if name in names},
        {name: value for name, value in fields.items() if name not in names},
    )
