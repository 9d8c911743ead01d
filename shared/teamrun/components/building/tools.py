"""Registered tools: the names by which teams refer to tools, each imported at first use."""

import inspect
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from teamrun.components.building.operator_code import ImportFailed, OperatorCode
from teamrun.components.definitions.digest import digest
from teamrun.components.definitions.table import load
from teamrun.components.definitions.tools import TOOLS, RegisteredTool, ToolEntry
from teamrun.components.reading.problems import did_you_mean, ended, listed
from teamrun.errors import DefinitionError, UsageError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.tools.base import StreamTool, Tool
from teamrun.tools.function import FunctionTool

if TYPE_CHECKING:  # few files have a tool with a cache, or a server
    from teamrun.components.building.mcp import McpServers
    from teamrun.components.definitions.mcp import McpServerEntry
    from teamrun.tools.cached import ResultCache
    from teamrun.tools.mcp.server import McpServer

__all__ = ["ENTRY_POINTS", "ToolTable", "build_function", "entry_point_tools"]

ENTRY_POINTS: Final = "teamrun.tools"
"""The group under which an installed package offers tools."""

_importing: Final = threading.RLock()


class ToolTable(Collection[str]):
    """All tools of a process by name.

    Modules are searched for in `folder`, the folder of the operator's file, first.
    """

    def __init__(
        self,
        entries: Iterable[RegisteredTool] = (),
        *,
        folder: Path | None = None,
        tools: Iterable[Tool] = (),
        servers: "Sequence[McpServerEntry]" = (),
        given: "Iterable[McpServer]" = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        given = tuple(given)
        self.servers = _servers(servers, given, environ or {}) if servers or given else None
        """The MCP servers, which are sets of tools; None: there is none."""
        self._entries = {entry.name: entry for entry in entries}
        self._code = OperatorCode(folder)
        self._given = {tool.name: tool for tool in tools}
        self._tools = {
            n: tool for n, tool in self._given.items() if not isinstance(tool, StreamTool)
        }
        self._cache: ResultCache | None = None

    def __iter__(self) -> Iterator[str]:
        return iter({**self._entries, **self._given, **dict.fromkeys(self.servers or ())})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        if name in self._entries or name in self._given:
            return True
        return self.servers is not None and name in self.servers

    def digest(self, name: str) -> str:
        """The digest of a tool's registration; its code is the operator's to version."""
        if name in self._given:
            tool = self._given[name]
            return digest({**tool.schema, **_conduct_of(tool)})
        if self.servers is not None and name in self.servers:
            return self.servers.digest(name)
        return digest(self._entries[name].content())

    def server(self, name: str) -> "McpServer":
        """The MCP server of that name.

        Raises:
            DefinitionError: There is none, or its settings are invalid.
        """
        if self.servers is None:
            raise DefinitionError(
                f"There is no MCP server {name!r}: none is registered.", code="unknown_tool"
            )
        return self.servers.get(name)

    def server_of(self, params: JsonMapping) -> str | None:
        """The MCP server that AutoGen's `server_params` describe; None if it is not registered."""
        return None if self.servers is None else self.servers.described_by(params)

    async def close(self) -> None:
        """End the MCP servers."""
        if self.servers is not None:
            await self.servers.close()

    def preload(self, name: str) -> None:
        """Import what the name stands for; an MCP server is not started.

        Raises:
            DefinitionError: It cannot be imported.
        """
        if self.servers is not None and name in self.servers:
            self.servers.check(name)
        else:
            self.get(name)

    def get(self, name: str) -> Tool:
        """The tool of that name.

        Raises:
            DefinitionError: There is none, or its function cannot be imported.
        """
        tool = self._tools.get(name)
        if tool is not None:
            return tool
        if name in self._given:
            return self._tools.setdefault(name, _as_it_is(self._given[name]))
        entry = self._entries.get(name)
        if entry is None:
            hint = did_you_mean(name, self)
            raise DefinitionError(
                f"There is no tool {name!r}.{hint} Registered: {listed(self)}.",
                code="unknown_tool",
            )
        with _importing:
            if (tool := self._tools.get(name)) is None:
                tool = self._tools[name] = self._built(entry)
            return tool

    def _built(self, entry: RegisteredTool) -> Tool:
        tool: Tool = load(TOOLS[entry.type].build)(entry, self._code)
        return self._cached(tool, entry) if entry.cache_results else tool

    def _cached(self, tool: Tool, entry: RegisteredTool) -> Tool:
        # Imported late: few files have a tool with a cache.
        from teamrun.tools.cached import CachedTool, ResultCache

        if self._cache is None:
            self._cache = ResultCache()
        try:
            return CachedTool(tool, self._cache, version=self.digest(entry.name))
        except UsageError as error:
            where = entry.where + "/cache_results" if entry.where else ""
            raise DefinitionError(error.message, pointer=where) from error


def _servers(
    entries: "Sequence[McpServerEntry]", given: "Sequence[McpServer]", environ: Mapping[str, str]
) -> "McpServers":
    # Imported late: few files have servers.
    from teamrun.components.building.mcp import McpServers

    return McpServers(entries, given=given, environ=environ)


def build_function(entry: ToolEntry, code: OperatorCode) -> Tool:
    """A tool of the operator's own code.

    Raises:
        DefinitionError: It cannot be imported, or is neither a function nor a tool of that name.
    """
    try:
        found = code.find(entry.function)
    except ImportFailed as error:
        raise _at(entry, str(error)) from error
    if isinstance(found, Tool):
        if found.name != entry.name:
            raise _at(entry, f"is the tool {found.name!r}; register it under that name")
        if entry.conduct:
            given = listed(entry.conduct)
            raise _at(entry, f"is a Tool, whose class defines {given}; remove it from the file")
        try:
            return _as_it_is(found) if isinstance(found, StreamTool) else found
        except DefinitionError as error:
            raise _at(entry, f"cannot be used in runs: {error}") from error
    if not callable(found):
        raise _at(entry, f"is of type {type(found).__name__}; it must be a function or a Tool")
    return _function_tool(found, entry)


def entry_point_tools() -> list[ToolEntry]:
    """The tools that installed packages offer; nothing is imported yet."""
    return [
        ToolEntry(name=point.name, function=point.value)
        for point in metadata.entry_points(group=ENTRY_POINTS)
    ]


def _as_it_is(tool: Tool) -> Tool:
    # Imported late: a process that only accepts runs needs no agents.
    from teamrun.components.building.delegates import as_it_is

    return as_it_is(tool)


def _function_tool(function: Callable[..., Any], entry: ToolEntry) -> Tool:
    description = entry.description or _first_paragraph(inspect.getdoc(function))
    if not description:
        raise _at(entry, "has no docstring; write one, or a 'description' in the team file")
    seconds = entry.timeout_seconds
    timeout = None if seconds is None else timedelta(seconds=seconds)
    try:
        return FunctionTool(
            function,
            description,
            name=entry.name,
            strict=entry.strict,
            timeout=timeout,
            effects=entry.effects or "none",
            on_unknown=entry.on_unknown or "tell",
            session=entry.session or "stateless",
            on_lost=entry.on_lost or "tell",
            needs_approval=entry.approval or False,
        )
    except (UsageError, ValueError) as error:
        raise _at(entry, f"cannot become a tool: {error}") from error


def _conduct_of(tool: Tool) -> JsonObject:
    """The attributes of a tool that differ from the defaults and affect its calls."""
    names = ("effects", "on_unknown", "session", "on_lost", "needs_approval")
    own = {name: getattr(tool, name) for name in names}
    return {name: value for name, value in own.items() if value != getattr(Tool, name)}


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def _at(entry: ToolEntry, what: str) -> DefinitionError:
    return DefinitionError(
        f"The tool {entry.name!r}: {entry.function!r} {ended(what)}",
        pointer=entry.where + "/function" if entry.where else "",
    )
