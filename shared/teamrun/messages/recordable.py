"""Values that a log can store: text that UTF-8 can encode, and JSON of bounded size and depth.

Values from outside (a model, a tool, a person, a custom agent) are converted here at the boundary
of the call, so that an entry of the log can always be written and read back.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from teamrun.errors import Unrecordable
from teamrun.json_types import JsonMapping, JsonObject

__all__ = [
    "MAX_DEPTH",
    "MAX_SIZE",
    "PairJoiner",
    "encodable",
    "exception_text",
    "recordable",
    "reportable",
]

MAX_DEPTH = 100
"""Levels of nesting. The JSON parser that reads a log refuses more than 200."""
MAX_SIZE = 16 * 2**20
"""Maximum number of characters plus number of values in the result of one call."""
MAX_ERROR_TEXT = 64 * 1024
"""Characters of an exception's text; the rest is cut off."""
_MAX_INTEGER_BITS = 14_000
"""Python and the JSON parser read integers of at most 4,300 digits (CVE-2020-10735)."""


Json: TypeAlias = Any
"""None, bool, int, float, str, or a list or a dict of these."""


def encodable(text: str) -> str:
    r"""The text with surrogate pairs joined and each lone half replaced by U+FFFD.

    Python has half a pair in the result of `json.loads` for `"\ud83d"` and in file names that are
    not UTF-8 (PEP 383). UTF-8 cannot encode it (RFC 3629, section 3).
    """
    if text.isascii():  # a flag of the string: nothing is looked at
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class PairJoiner:
    """Joins surrogate pairs of a text that arrives in pieces."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def add(self, piece: str) -> str:
        """The piece, made encodable; a first half at its end is kept for the next piece."""
        if self._half:
            piece, self._half = self._half + piece, ""
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        return encodable(piece)

    def rest(self) -> str:
        """The rest after the last piece: nothing, or a replacement character."""
        half, self._half = self._half, ""
        return encodable(half)


def exception_text(error: BaseException) -> str:
    """The exception's text, encodable and of a bounded length; its class's name if it has none.

    A `__str__` that raises, or that returns no string, counts as no text.
    """
    try:
        text = encodable(str(error))
    except BaseException:  # __str__ is foreign code and may raise anything
        text = ""
    if len(text) > MAX_ERROR_TEXT:
        text = f"{text[: MAX_ERROR_TEXT - 1]}…"
    return text or encodable(type(error).__name__)


def recordable(value: Any, *, exact: bool = False) -> Json:
    """The value as JSON data that can be written to a log and read back.

    Text is made encodable. Models, dataclasses, dates and the like take pydantic's JSON form.

    Args:
        value: Any value.
        exact: Refuse values without a JSON form, and numbers that JSON cannot express. Otherwise
            NaN and the infinities become null, as in `JSON.stringify`.

    Raises:
        Unrecordable: It is too large or too deep, or has no JSON form.
    """
    return _Walk(exact).value(value, 0)


def reportable(data: JsonMapping) -> JsonObject:
    """The data of an event, with whatever cannot be recorded left out; never raises."""
    reported: JsonObject = {}
    for key, value in data.items():
        try:
            reported[encodable(key)] = recordable(value)
        except Exception as error:  # `items` of a foreign mapping may raise anything
            reported[encodable(key)] = f"[left out: {exception_text(error)}]"
    return reported


class _Walk:
    """One pass over a value; counts its size."""

    __slots__ = ("_exact", "_left")

    def __init__(self, exact: bool) -> None:
        self._exact = exact
        self._left = MAX_SIZE

    def value(self, value: Any, depth: int) -> Json:
        kind = type(cast("object", value))
        if kind is str:
            return self._text(value)
        self._spend(1)
        if value is None or kind is bool:
            return value
        if kind is int:
            return _integer(value)
        if kind is float:
            return self._number(value)
        return self._structure(value, depth)

    def _structure(self, value: Any, depth: int) -> Json:
        if depth >= MAX_DEPTH:
            raise Unrecordable(f"The value is nested more than {MAX_DEPTH} levels deep.")
        if isinstance(value, Mapping):
            items = cast("Mapping[Any, Any]", value).items()
            return {self._key(key): self.value(item, depth + 1) for key, item in items}
        if isinstance(value, (list, tuple)):
            return [self.value(item, depth + 1) for item in cast("list[Any]", value)]
        return self._other(value, depth)

    def _other(self, value: Any, depth: int) -> Json:
        """Values that are not JSON types: subclasses, models, dates, and the rest."""
        match value:
            case str():  # for example a member of an enum
                return self.value(str.__str__(value), depth)
            case int():
                return self.value(int.__int__(value), depth)
            case float():
                return self.value(float.__float__(value), depth)
            case _:
                pass
        if self._exact:
            raise Unrecordable(f"A {type(value).__name__} has no exact JSON form.")
        if isinstance(value, (bytes, bytearray)):
            return self._text(bytes(value).decode("utf-8", "replace"))
        return self.value(_plain(value), depth + 1)

    def _text(self, text: str) -> str:
        self._spend(len(text) + 1)
        return encodable(text)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Unrecordable(
                f"The value has more than {MAX_SIZE} characters; keep large data in an artifact."
            )

    def _number(self, number: float) -> float | None:
        if math.isfinite(number):
            return number
        if self._exact:
            raise Unrecordable(f"JSON has no number {number}; use null or text.")
        return None

    def _key(self, key: Any) -> str:
        """The name of a member, as `json.dumps` writes it."""
        if isinstance(key, str):
            return self._text(str.__str__(key))
        if key is None or isinstance(key, (bool, int, float)):
            return self._text(json.dumps(self.value(key, 0)))
        if self._exact:
            raise Unrecordable(f"The key of a JSON object is text, not a {type(key).__name__}.")
        return self._text(str(self.value(key, 0)))


def _integer(number: int) -> int:
    if number.bit_length() > _MAX_INTEGER_BITS:
        raise Unrecordable("An integer has more than 4,200 digits; write it as text.")
    return number


def _plain(value: Any) -> Any:
    try:
        if isinstance(value, BaseModel):
            return value.model_dump(warnings=False)  # a custom client may check no types
        return to_jsonable_python(value)
    except Exception as error:  # a serializer of the value's own class
        name = type(value).__name__
        raise Unrecordable(f"A {name} has no JSON form: {exception_text(error)}") from error
