"""Registered classes of agents as data."""

import re
from dataclasses import dataclass, field
from typing import Final

from teamrun.json_types import JsonMapping, JsonObject

__all__ = ["DOTTED", "CustomAgentEntry"]

DOTTED: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""`package.module:name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomAgentEntry:
    """A custom agent as the operator's file describes it."""

    name: str
    target: str
    """`package.module:name`."""
    options: JsonMapping = field(default_factory=JsonObject)
    """Further arguments."""
    where: str = ""
    """The pointer to it in the file."""
