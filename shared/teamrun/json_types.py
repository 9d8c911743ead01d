"""JSON objects whose members are not known in advance: their names, and how to read them."""

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["JsonMapping", "JsonObject", "member", "members"]

JsonObject = dict[str, Any]
"""A JSON object (RFC 8259), as `json.loads` returns it."""

JsonMapping = Mapping[str, Any]
"""A JSON object that is only read."""


def member(node: JsonObject, name: str) -> JsonObject:
    """The object under that name; empty if there is none."""
    value = node.get(name)
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def members(node: JsonObject, name: str) -> list[JsonObject]:
    """The objects in the list under that name."""
    value = node.get(name)
    items = cast(list[object], value) if isinstance(value, list) else []
    return [cast(JsonObject, item) for item in items if isinstance(item, dict)]
