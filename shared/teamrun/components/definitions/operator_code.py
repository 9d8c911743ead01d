"""What the operator's file says of Python code: names of the form `package.module:name`."""

import re
from typing import Final, NamedTuple

from teamrun.json_types import JsonMapping

__all__ = ["CodeEntry", "is_dotted"]

_DOTTED: Final = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*"

_NONE: Final[JsonMapping] = {}


class CodeEntry(NamedTuple):
    """A class or a function as the operator's file describes it."""

    name: str
    target: str
    """`package.module:name`."""
    options: JsonMapping = _NONE
    """Further arguments."""
    where: str = ""
    """The pointer to it in the file."""


def is_dotted(text: str) -> bool:
    """Whether a text has the form `package.module:name`."""
    return re.fullmatch(_DOTTED, text) is not None
