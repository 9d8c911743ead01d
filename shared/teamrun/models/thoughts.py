"""Thoughts that a server leaves in the text of an answer."""

import re
from typing import NamedTuple

from teamrun.models.families import ModelFamily

__all__ = ["Spoken", "without_thought"]

_FAMILIES = (ModelFamily.R1, ModelFamily.UNKNOWN)
"""Servers of these families may leave thoughts in the text, up to `</think>`."""
_THOUGHT = re.compile(r"\A(?:\s*<think>)?(.*?)</think>\s*", re.DOTALL)


class Spoken(NamedTuple):
    """A text in two parts."""

    thought: str
    text: str


def without_thought(text: str, family: str) -> Spoken:
    """The text of a model of that family, and the thought before it; empty if there is none."""
    if family in _FAMILIES and (found := _THOUGHT.match(text)):
        return Spoken(found[1].strip(), text[found.end() :])
    return Spoken("", text)
