"""Registered tools as data; one row per kind of tool."""

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from teamrun.core.component.table import COMPONENTS
from teamrun.json_types import JsonObject
from teamrun.tools.base import Effects, OnLost, OnUnknown, Session

__all__ = ["PLANNED_TOOLS", "TOOLS", "RegisteredTool", "ToolEntry", "ToolKind"]


class ToolKind(NamedTuple):
    """One kind of tool."""

    read: str
    """The function that reads an entry of the operator's file: `module:function`."""
    build: str
    """The function that builds the tool from its entry."""
    autogen: str | None = None
    """Its provider in AutoGen component JSON."""


TOOLS: Final[Mapping[str, ToolKind]] = {
    "function": ToolKind(
        read="teamrun.components.reading.tools:read_function",
        build="teamrun.components.building.tools:build_function",
        autogen=COMPONENTS["FunctionTool"].provider,
    ),
    "code_execution": ToolKind(
        read="teamrun.components.reading.code_execution:read_code_execution",
        build="teamrun.components.building.code_execution:build_code_execution",
    ),
}
"""The kinds of tools by their type."""

PLANNED_TOOLS: Final = frozenset({"http"})
"""Kinds of tools that are known, but not available in this release."""


class RegisteredTool(Protocol):
    """A tool of the operator's file, of any kind."""

    @property
    def name(self) -> str:
        """The name by which teams refer to it."""
        ...

    @property
    def type(self) -> str:
        """The name of its row of `TOOLS`."""
        ...

    @property
    def cache_results(self) -> bool:
        """Whether a repeated call with the same arguments gets the result of the first one."""
        ...

    @property
    def where(self) -> str:
        """The pointer to it in the file; empty for a tool of an installed package."""
        ...

    def content(self) -> JsonObject:
        """The content that the digest covers."""
        ...


class ToolEntry(NamedTuple):
    """A function as a tool, as the operator's file or an installed package describes it."""

    name: str
    function: str
    """`package.module:name`."""
    description: str | None = None
    strict: bool = False
    timeout_seconds: float | None = None
    effects: Effects | None = None
    """Side effects of a call; None uses the tool's attribute, for a function `none`."""
    on_unknown: OnUnknown | None = None
    session: Session | None = None
    on_lost: OnLost | None = None
    approval: bool | None = None
    """Whether a person has to agree to each call."""
    cache_results: bool = False
    """Whether a repeated call with the same arguments gets the result of the first one."""
    where: str = ""
    """The pointer to it in the file; empty for a tool of an installed package."""

    @property
    def type(self) -> str:
        """The name of its row of `TOOLS`."""
        return "function"

    def content(self) -> JsonObject:
        """The content that the digest covers, including the options of calls that are given."""
        return {
            "type": self.type,
            "function": self.function,
            "description": self.description,
            "strict": self.strict,
            "timeout_seconds": self.timeout_seconds,
            **self.conduct,
            **({"cache_results": True} if self.cache_results else {}),
        }

    @property
    def conduct(self) -> JsonObject:
        """The options of calls that the operator set."""
        said = {
            "effects": self.effects,
            "on_unknown": self.on_unknown,
            "session": self.session,
            "on_lost": self.on_lost,
            "approval": self.approval,
        }
        return {name: value for name, value in said.items() if value is not None}
