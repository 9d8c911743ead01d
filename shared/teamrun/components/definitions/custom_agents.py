"""Registered classes of agents as data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["DOTTED", "CustomAgentEntry"]

DOTTED: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""`package.module:name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomAgentEntry:
    """An agent class as the operator's file describes it."""

    name: str
    target: str
    """`package.module:name`."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further arguments."""
    where: str = ""
    """The pointer to it in the file."""
