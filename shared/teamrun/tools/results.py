"""The value that a tool returned, as text for the model."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final, cast

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from teamrun.errors import ToolError
from teamrun.messages.image import Image
from teamrun.messages.recordable import recordable

__all__ = ["result_text"]

_PLAIN: Final = (int, float, bool, type(None))


def result_text(value: Any, *, tool: str) -> str:
    """The text of a result.

    Text and plain JSON data are written by `str`, as in AutoGen; a pydantic model as JSON. Any
    other value (a date, a UUID, an Enum member, a dataclass, a set, a list that contains one
    of them) is written in pydantic's JSON form, in which bytes are text, or base64 if they are not
    UTF-8; an object that has none, by `str`. An image is only described: results are text.

    Args:
        value: The tool's value.
        tool: The tool's name, for the error.

    Raises:
        ToolError: The value has no text form: it contains itself, its `str` fails, or it is an
            async iterator.
    """
    if type(value) is str:
        return value
    if type(value) in _PLAIN:
        return str(value)
    try:
        return _written(value)
    except Exception as error:
        raise ToolError(
            f"Tool {tool!r} was executed, but its result cannot be written as text "
            f"({type(error).__name__}: {error}). Let it return text, JSON data or a pydantic model."
        ) from error


def _written(value: Any) -> str:
    if isinstance(value, AsyncIterator):
        raise TypeError("it is an async iterator, which has to be collected first")
    if isinstance(value, Image):
        return f"[{value.media_type}, {len(value.data)} bytes]"
    form = _json_form(value)
    if isinstance(value, BaseModel):
        return json.dumps(form)
    if repr(form) == repr(value):  # plain JSON data
        return str(value)
    return form if isinstance(form, str) else json.dumps(form)


def _json_form(value: Any) -> Any:
    try:
        return to_jsonable_python(value, by_alias=False, fallback=_other)
    except UnicodeDecodeError:
        return to_jsonable_python(value, by_alias=False, fallback=_other, bytes_mode="base64")
    except UnicodeEncodeError:  # a key with a lone surrogate, for example the name of a file
        return recordable(value)


def _other(value: Any) -> Any:
    """An object without a JSON form."""
    is_view = isinstance(value, memoryview)
    return bytes(cast("memoryview[Any]", value)) if is_view else str(value)
