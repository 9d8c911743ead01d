"""Argument checks at run time, for callers without a type checker.

Each error names the parameter, the expected type and the actual type, but never the value itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

__all__ = ["checked_count", "checked_instance", "checked_list", "wrong_type"]


def wrong_type(parameter: str, expected: str, value: object) -> TypeError:
    """The error for an argument of the wrong type.

    Args:
        parameter: Its name.
        expected: The expected type, with a remedy if there is one.
        value: The value given.
    """
    given = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    return TypeError(f"{parameter} must be {expected}, not {given}.")


def checked_instance(
    value: Any, kinds: type | tuple[type, ...], *, parameter: str, expected: str
) -> Any:
    """The value.

    Raises:
        TypeError: It is of another type.
    """
    if not isinstance(value, kinds):
        raise wrong_type(parameter, expected, value)
    return value


def checked_list(value: Any, *, parameter: str, expected: str) -> list[Any]:
    """The items of the argument as a list; None and an empty value are no items.

    A text is refused, although Python would take its letters for items.

    Raises:
        TypeError: It is a text, a mapping, or nothing that has items.
    """
    if value is None:
        return []
    if type(value) in (list, tuple):  # most are, and the checks below take longer
        return list(value)
    has_other_items = isinstance(value, str | bytes | bytearray | Mapping)
    if has_other_items or not isinstance(value, Iterable):
        raise wrong_type(parameter, expected, cast("object", value))
    return list(cast("Iterable[Any]", value))


def checked_count(value: Any, *, parameter: str, at_least: int = 1) -> int:
    """The number.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is too small.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(parameter, "a whole number", value)
    if value < at_least:
        raise ValueError(f"{parameter} must be at least {at_least}, not {value}.")
    return value
