"""Tools as models know them: their names, and the way back from a name to the tool."""

import re
from typing import Protocol, runtime_checkable

from teamrun.errors import UsageError
from teamrun.tools.schema import ToolSchema

__all__ = ["HasSchema", "ToolNames", "normalize_name", "schema_of"]


@runtime_checkable
class HasSchema(Protocol):
    """A tool, as far as a model is concerned."""

    @property
    def schema(self) -> ToolSchema:
        """Name, description and parameters."""
        ...


def schema_of(tool: ToolSchema | HasSchema) -> ToolSchema:
    """The description of a tool that a model receives."""
    return tool.schema if isinstance(tool, HasSchema) else tool


def normalize_name(name: str) -> str:
    """A name as APIs take it: letters, digits, `_` and `-`, at most 64 of them."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64]


class ToolNames:
    """Names of tools as the API takes them, and the way back."""

    def __init__(self) -> None:
        self._ours: dict[str, str] = {}

    def add(self, name: str) -> str:
        """The name to send.

        Raises:
            UsageError: Two tools would have the same one.
        """
        sent = normalize_name(name)
        if self._ours.setdefault(sent, name) != name:
            raise UsageError(
                f"The tools {self._ours[sent]!r} and {name!r} are both {sent!r} to the model; "
                "rename one: letters, digits, '_' and '-' count."
            )
        return sent

    def ours(self, sent: str) -> str:
        """The tool's name; if the tool was not sent, the model's text converted to a valid name.

        Args:
            sent: The name in a call. Servers of gpt-oss may leave a mark of its format behind it,
                such as `add<|channel|>commentary`.
        """
        known = self._ours.get(sent) or self._ours.get(sent.partition("<|")[0])
        return known or normalize_name(sent)
