"""How a server that implements OpenAI's chat completions differs from OpenAI."""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["NO_QUIRKS", "Quirks"]


class Quirks(NamedTuple):
    """What a server refuses, ignores or names differently; by default nothing."""

    renamed: Mapping[str, str] = {}
    """Arguments that it knows under another name."""
    required: str = "required"
    """The `tool_choice` that forces the model to call a tool."""
    names_tools: bool = True
    """`tool_choice` may name a tool. If False, only that tool is sent."""
    strict_tools: bool = True
    """Takes the field `strict` of a tool."""
    schemas: bool = True
    """Takes a JSON schema for the answer. If False, it becomes an instruction beside JSON mode."""
    format_beside_tools: bool = True
    """Takes a format of the answer in a request with tools. If False, it is an instruction there.
    """
    stream_options: bool = True
    """Takes `stream_options`. If False, its streams have their usage without it."""
    names: bool = True
    """Takes the field `name` of a user's message. If False, and there are several users, their
    names are in the texts."""
    thoughts: bool = True
    """Takes the thoughts of a turn with tool calls back, in the fields in which it sent them."""
    id_length: int = 0
    """The only length of the id of a tool call, in letters and digits; 0: any id will do."""
    switches: Mapping[str, bool] = {}
    """Switches of `ModelInfo` that hold for all of its models."""


NO_QUIRKS = Quirks()
"""A server that is like OpenAI's own."""
