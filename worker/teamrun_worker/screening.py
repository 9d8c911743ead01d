"""Whether an item of the queue's list is a message that Celery can handle.

kombu and Celery trust the lists: an item that is not what they expect raises an error that ends the
worker, and some items are put back at its end and stop the next worker as well.
"""

import binascii
import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, cast

__all__ = ["fault_in", "fault_in_item"]

_Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    # A lone surrogate is valid in JSON, but cannot be sent to Redis.
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value)


def _is_optional_text(value: Any) -> bool:
    return value is None or _is_text(value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _are_two_numbers(value: Any) -> bool:
    pair = cast("list[Any]", value) if isinstance(value, list) else []
    return value is None or (len(pair) == 2 and all(map(_is_number, pair)))


def _is_optional_time(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(datetime.fromisoformat(value))
    except (TypeError, ValueError):
        return False


def _are_optional_texts(value: Any) -> bool:
    texts = cast("list[Any]", value)
    return value is None or (isinstance(value, list) and all(map(_is_text, texts)))


_PROPERTIES: Final[Mapping[str, _Check]] = {
    "delivery_tag": _is_text,
    "correlation_id": _is_optional_text,
    "reply_to": _is_optional_text,
    "body_encoding": lambda value: value in (None, "base64"),
    "priority": _is_number,
    "delivery_mode": _is_number,
}

_HEADERS: Final[Mapping[str, _Check]] = {
    "task": _is_text,
    "id": _is_text,
    "root_id": _is_optional_text,
    "parent_id": _is_optional_text,
    "group": _is_optional_text,
    "shadow": _is_optional_text,
    "eta": _is_optional_time,
    "expires": _is_optional_time,
    "stamped_headers": _are_optional_texts,
    "retries": _is_number,
    "timelimit": _are_two_numbers,
    "argsrepr": _is_optional_text,
    "kwargsrepr": _is_optional_text,
    "origin": _is_optional_text,
}
"""The headers that Celery reads, in its message protocol 2."""


def fault_in_item(item: bytes) -> str | None:
    """What is invalid in an item of a list; None if it is a task message."""
    try:
        message = _parse(item.decode())
    except (ValueError, RecursionError):
        return "message"
    return fault_in(message)


def _parse(text: str | bytes) -> Any:
    return json.loads(text, object_hook=_without_types)


def _without_types(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse an object that kombu would convert; a wrong value in it raises any kind of error."""
    if value.keys() == {"__type__", "__value__"}:
        raise ValueError("typed values are not accepted")
    return value


def fault_in(message: Any) -> str | None:
    """What is invalid in a parsed item, as the name of its part; None if it is a task message."""
    if not isinstance(message, dict):
        return "message"
    parts = cast("dict[str, Any]", message)
    properties, headers = parts.get("properties"), parts.get("headers")
    if not isinstance(properties, dict):
        return "properties"
    if not isinstance(headers, dict):
        return "headers"
    found = _first_misfit(cast("dict[str, Any]", properties), _PROPERTIES, "properties")
    found = found or _first_misfit(cast("dict[str, Any]", headers), _HEADERS, "headers")
    return found or _fault_of_delivery(properties) or _fault_of_body(parts)


def _first_misfit(
    values: Mapping[str, Any], checks: Mapping[str, _Check], where: str
) -> str | None:
    misfits = (name for name, is_valid in checks.items() if not is_valid(values.get(name)))
    name = next(misfits, None)
    return name and f"{where}.{name}"


def _fault_of_delivery(properties: Any) -> str | None:
    info = properties.get("delivery_info")
    if not isinstance(info, dict):
        return "properties.delivery_info"
    known = cast("dict[str, Any]", info)
    is_valid = all(map(_is_text, (known.get("exchange"), known.get("routing_key"))))
    return None if is_valid else "properties.delivery_info"


def _fault_of_body(parts: Mapping[str, Any]) -> str | None:
    """The body has positional arguments, named ones, and options such as callbacks."""
    # Celery does not decode content of the types that kombu trusts, and fails on the text.
    for name, value in (("content-type", "application/json"), ("content-encoding", "utf-8")):
        if parts.get(name) != value:
            return name
    body = parts.get("body")
    if not isinstance(body, str):
        return "body"
    try:
        is_encoded = parts["properties"].get("body_encoding") == "base64"
        decoded: Any = _parse(b64decode(body, validate=True) if is_encoded else body)
    except (ValueError, binascii.Error, RecursionError):
        return "body"
    triple = cast("list[Any]", decoded) if isinstance(decoded, list) else []
    kinds = (list, dict, dict)
    is_task = len(triple) == 3 and all(map(isinstance, triple, kinds))
    return None if is_task else "body"
