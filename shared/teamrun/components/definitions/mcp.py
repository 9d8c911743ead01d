"""MCP servers that the operator registered, and the use of them by agents, as data."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from pydantic import Field

from teamrun.components.definitions.base import Line, Part, ToolName
from teamrun.json_types import JsonMapping, JsonObject

__all__ = ["SERVER_PREFIX", "McpServerEntry", "McpWorkbenchDefinition", "OverrideDefinition"]

SERVER_PREFIX: Final = "mcp:"
"""Precedes the name of a server among the tools that a team uses; no tool has a `:` in its name."""


class OverrideDefinition(Part):
    """Another name or description of a tool."""

    name: ToolName | None = None
    description: Line | None = None


class McpWorkbenchDefinition(Part):
    """Tools of an MCP server."""

    type: Literal["mcp"] = "mcp"
    server: ToolName
    """The name under which the operator registered it."""
    tools: tuple[Line, ...] | None = Field(default=None, min_length=1)
    """The tools to offer, by the server's names; None offers all."""
    tool_overrides: dict[str, OverrideDefinition] | None = None
    """Other names and descriptions, by the server's names."""

    @property
    def registered(self) -> str:
        """Its name among the tools that a team uses."""
        return f"{SERVER_PREFIX}{self.server}"


class McpServerEntry(NamedTuple):
    """A server as the operator's file describes it; its texts are not expanded yet."""

    name: str
    params: JsonMapping
    """The fields of `McpServerParams`."""
    conduct: JsonMapping
    """The fields of `ServerConduct` that are given."""
    where: str = ""
    """The pointer to it in the file."""

    def content(self) -> JsonObject:
        """The content that the digest covers: not the values of variables and headers."""
        params: JsonObject = dict(self.params)
        for secret in ("env", "headers"):
            given: Mapping[str, str] = params.get(secret) or {}
            params[secret] = sorted(given)
        return {"params": params, "conduct": dict(self.conduct)}
