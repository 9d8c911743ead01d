"""Numbers and switches of definitions: no value of another kind is converted to one.

YAML reads `yes` as true, and Python takes true for 1. `max_turns: yes` would mean one turn.
"""

from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, Strict
from pydantic_core import PydanticKnownError

__all__ = [
    "LONGEST_S",
    "MOST",
    "Address",
    "Count",
    "Number",
    "Seconds",
    "Switch",
    "SwitchOption",
    "Temperature",
    "WholeNumber",
    "no_switch",
]

MOST: Final = 1_000_000_000_000
"""The highest number of things; the bound is that of a run's limits."""
LONGEST_S: Final = 10 * 366 * 86_400
"""The longest duration, in seconds; far longer ones overflow."""


def no_switch(value: Any) -> Any:
    """The value, unless it is `true` or `false`, which Python takes for a number."""
    if isinstance(value, bool):
        raise PydanticKnownError("float_type")
    return value


def _address(value: str) -> str:
    """Refuse anything but an HTTP URL; it may contain a password, so it is not repeated."""
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, has_host = None, False
    if parts is None or parts.scheme.lower() not in {"http", "https"} or not has_host:
        raise ValueError("the address must begin with http:// or https:// and name a host")
    return value


def _whole(value: Any) -> Any:
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise PydanticKnownError("int_type")
    return value


def _switch(value: Any) -> Any:
    if not isinstance(value, bool | str):
        raise PydanticKnownError("bool_type")
    return value


Switch = Annotated[bool, Strict()]
"""`true` or `false`."""
Count = Annotated[int, Strict(), Field(ge=1, le=MOST)]
"""A number of things."""
Seconds = Annotated[float, Strict(), Field(gt=0, le=LONGEST_S, allow_inf_nan=False)]
"""A duration."""
Temperature = Annotated[float, Strict(), Field(ge=0, le=100, allow_inf_nan=False)]
"""How freely a model chooses its words; providers have limits of their own."""

Number = Annotated[float, BeforeValidator(no_switch), Field(allow_inf_nan=False)]
"""An option of a model profile: a number, or the text of one, because `${NAME}` is a text."""
WholeNumber = Annotated[int, BeforeValidator(_whole)]
"""The same for whole numbers."""
SwitchOption = Annotated[bool, BeforeValidator(_switch)]
"""The same for switches."""
Address = Annotated[str, AfterValidator(_address)]
"""The address of a model's server."""
