"""Sequences of messages that strict chat templates accept."""

from collections.abc import Sequence
from typing import Any, cast

from teamrun.json_types import JsonObject
from teamrun.messages.image import Image
from teamrun.models.turn_texts import DONE, EMPTY, GO_ON, prefix_of

__all__ = ["alternating", "content_part", "filled", "with_one_system_message"]


def content_part(part: str | Image) -> JsonObject:
    """A text or an image as a part of the content."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": part.data_uri, "detail": "auto"}}


def filled(part: JsonObject) -> JsonObject | None:
    """The message without empty content; None if nothing is left to send."""
    content: Any = part["content"]
    if isinstance(content, list):
        texts = cast("list[JsonObject]", content)
        kept = [item for item in texts if item["type"] != "text" or item["text"].strip()]
        return {**part, "content": kept or EMPTY}
    if content and content.strip():
        return part
    if part["role"] == "system":
        return None
    if "tool_calls" in part:
        return {key: value for key, value in part.items() if key != "content"}
    return {**part, "content": EMPTY}


def with_one_system_message(wire: Sequence[JsonObject]) -> list[JsonObject]:
    """The messages with those of the system joined into one, which is the first."""
    system = [part["content"] for part in wire if part["role"] == "system"]
    rest = [part for part in wire if part["role"] != "system"]
    return [{"role": "system", "content": "\n".join(system)}, *rest] if system else rest


def alternating(wire: Sequence[JsonObject], *, prefixed: bool) -> list[JsonObject]:
    """The turns of user and assistant one after the other, from the user's to the user's.

    Args:
        wire: A conversation with at most one system message, which is the first.
        prefixed: The texts already begin with their author.
    """
    out: list[JsonObject] = []
    for part in wire:
        before = out[-1] if out else {"role": None}
        match before["role"], part["role"]:
            case ("user", "user"):
                out[-1] = _joined_users(before, part, prefixed=prefixed)
            case ("tool", "user"):
                out += [{"role": "assistant", "content": DONE}, part]
            case ("assistant", "assistant") if "tool_calls" not in before:
                out[-1] = {**before, **part, "content": _joined(before, part)}
            case (None | "system", "assistant"):
                out += [{"role": "user", "content": GO_ON}, part]
            case _:
                out.append(part)
    last = out[-1] if out else {"role": "system"}
    if last["role"] in ("assistant", "system") and "tool_calls" not in last:
        out.append({"role": "user", "content": GO_ON})
    return out


def _joined_users(first: JsonObject, second: JsonObject, *, prefixed: bool) -> JsonObject:
    """Two messages of users as one; the names of different ones go into the text."""
    if first.get("name") == second.get("name"):
        return {**first, "content": _joined(first, second)}
    if not prefixed:
        first, second = _with_prefix(first), _with_prefix(second)
    return {"role": "user", "content": _joined(first, second)}


def _with_prefix(part: JsonObject) -> JsonObject:
    if "name" not in part:
        return part
    prefix = {"content": prefix_of(part["name"])}
    return {**part, "content": _joined(prefix, part, between="")}


def _joined(
    first: JsonObject, second: JsonObject, *, between: str = "\n\n"
) -> str | list[JsonObject]:
    one, other = first.get("content"), second.get("content")
    if not one or not other:
        return one or other or ""
    if isinstance(one, str) and isinstance(other, str):
        return one + between + other
    return [*_as_parts(one), *_as_parts(other)]


def _as_parts(content: str | list[JsonObject]) -> list[JsonObject]:
    return [content_part(content)] if isinstance(content, str) else content
