"""Registered classes of agents as data."""

import re
from typing import Final, NamedTuple

from teamrun.json_types import JsonMapping

__all__ = ["DOTTED", "CustomAgentEntry"]

DOTTED: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""`package.module:name`."""

_NONE: Final[JsonMapping] = {}


class CustomAgentEntry(NamedTuple):
    """A custom agent as the operator's file describes it."""

    name: str
    target: str
    """`package.module:name`."""
    options: JsonMapping = _NONE
    """Further arguments."""
    where: str = ""
    """The pointer to it in the file."""
