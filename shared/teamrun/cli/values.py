"""Checks of option values; a value that fails one is a usage error that names its option."""

from decimal import Decimal, InvalidOperation
from typing import TypeVar

import typer

from teamrun.client.address import is_header_text
from teamrun.errors import UsageError

__all__ = ["finite", "header_text"]

Number = TypeVar("Number", float | None, str | None)


def finite(param: typer.CallbackParam, value: Number) -> Number:
    """A callback of options that take a number: neither NaN nor infinity, which JSON lacks.

    Raises:
        UsageError: The value is one of these, or no number.
    """
    if value is None:
        return value
    try:
        is_finite = Decimal(str(value)).is_finite()
    except InvalidOperation:
        is_finite = False
    if not is_finite:
        raise UsageError(f"{_name(param)} {value!r}: write a finite number such as 1.5.")
    return value


def header_text(param: typer.CallbackParam, value: str | None) -> str | None:
    """A callback of options whose values are sent in HTTP headers; it does not repeat the value.

    Raises:
        UsageError: The value has a character that a header cannot carry.
    """
    if value is not None and not is_header_text(value):
        raise UsageError(
            f"{_name(param)} ({param.envvar}) is sent in an HTTP header: use printable ASCII "
            "characters, without blanks at the ends."
        )
    return value


def _name(param: typer.CallbackParam) -> str:
    return max(param.opts, key=len)
