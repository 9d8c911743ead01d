"""Which tools of a server a model sees, and by what names."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from teamrun.errors import McpServerError
from teamrun.models.tool_names import normalize_name
from teamrun.tools.mcp.server import ListedTool
from teamrun.tools.workbench import ToolOverride

__all__ = ["Override", "SelectedTool", "checked_overrides", "selected"]


class Override(Protocol):
    """How a tool is presented; None leaves it as it is."""

    @property
    def name(self) -> str | None:
        """Its name."""
        ...

    @property
    def description(self) -> str | None:
        """Its description."""
        ...


class SelectedTool(NamedTuple):
    """A tool of a server as a model sees it."""

    listed: ListedTool
    name: str
    description: str | None


def selected(
    tools: Sequence[ListedTool],
    *,
    only: Sequence[str] | None,
    overrides: Mapping[str, Override],
    server: str,
) -> list[SelectedTool]:
    """The tools that a model sees, in the order of the server.

    Names have the characters that models take: `.` and `/` become `_`.

    Args:
        tools: All tools of the server.
        only: The names of those to offer, as the server calls them; None offers all.
        overrides: Other names and descriptions, by the server's names.
        server: The name of the server, for an error.

    Raises:
        McpServerError: A name of `only` is missing, or two tools have the same name.
    """
    known = [tool.name for tool in tools]
    if only is not None and (missing := sorted(set(only) - set(known))):
        raise McpServerError(
            f"The MCP server {server!r} has no tool {missing[0]!r}; it has {sorted(known)}.",
            server=server,
        )
    found: dict[str, SelectedTool] = {}
    for tool in tools:
        if only is not None and tool.name not in only:
            continue
        override: Override = overrides.get(tool.name) or ToolOverride()
        name = override.name or normalize_name(tool.name)
        if name in found:
            raise McpServerError(
                f"The tools {found[name].listed.name!r} and {tool.name!r} of the MCP server"
                f" {server!r} are both {name!r}; give one of them another name in tool_overrides.",
                server=server,
            )
        found[name] = SelectedTool(tool, name, override.description)
    return list(found.values())


def checked_overrides(overrides: Mapping[str, Override]) -> None:
    """Check that the names are different.

    Raises:
        ValueError: Two tools have the same one.
    """
    names = [override.name for override in overrides.values() if override.name]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"tool_overrides gives the name {twice!r} to two tools.")
