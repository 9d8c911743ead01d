"""The arguments of tool calls: text that a model wrote, and that ought to be a JSON object.

The execution of a call and its form in later requests depend on the same reading, so that a model
is never told that an executed call was not executed.
"""

import json
import math
from typing import Any, cast

from pydantic_core import from_json

from teamrun.errors import Unrecordable
from teamrun.json_types import JsonObject
from teamrun.messages.recordable import recordable

__all__ = ["read_arguments", "sendable_arguments"]


def read_arguments(text: str) -> JsonObject:
    """The arguments as a tool gets them.

    NaN and the infinities are taken, although JSON does not have them; half a surrogate pair
    becomes U+FFFD. Some servers send no text at all for a tool without arguments.

    Raises:
        ValueError: They are no JSON object, or too large or too deep; the call is not executed.
    """
    try:
        parsed: Any = json.loads(text) if text else {}
        if "\\u" in text:  # an escape may be half of a surrogate pair
            parsed = recordable(parsed)
    except (RecursionError, Unrecordable) as error:
        raise ValueError("the arguments are too large or nested too deeply") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"the arguments must be a JSON object, not {text!r}")
    return cast("JsonObject", parsed)


def sendable_arguments(text: str) -> str | None:
    """The arguments for a later request: a strict JSON object; None if they are not one.

    Arguments that are not strict JSON are rewritten as the tool received them, with the names of
    NaN and the infinities as text, which pydantic reads as the same numbers. A server refuses the
    whole conversation if arguments are not strict JSON.
    """
    try:
        if isinstance(from_json(text, allow_inf_nan=False), dict):
            return text
    except ValueError:
        pass
    try:
        strict = recordable(_with_names_of_numbers(read_arguments(text)))
    except (ValueError, RecursionError, Unrecordable):
        return None
    return json.dumps(strict, ensure_ascii=False)


def _with_names_of_numbers(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return json.dumps(value)
        case list():
            return [_with_names_of_numbers(item) for item in cast("list[Any]", value)]
        case dict():
            items = cast("JsonObject", value).items()
            return {key: _with_names_of_numbers(item) for key, item in items}
        case _:
            return value
