"""The `mcp_servers` of the operator's file, and the `workbench` of an agent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field

from teamrun.components.definitions.base import ToolName
from teamrun.components.definitions.environment import malformed
from teamrun.components.definitions.mcp import McpServerEntry, McpWorkbenchDefinition
from teamrun.components.reading.fields import Fields, as_list, as_object, construct, read_fields
from teamrun.components.reading.problems import MALFORMED, Problems, did_you_mean, pointer, shown
from teamrun.components.reading.scope import Scope
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.scalars import Count, Seconds, Switch
from teamrun.tools.base import Effects, OnLost, OnUnknown, Session

__all__ = ["read_servers", "read_workbenches"]

_Text = Annotated[str, Field(min_length=1)]


class _Server(BaseModel):
    """The fields of a server in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: ToolName
    command: _Text | tuple[_Text, ...] | None = Field(default=None, min_length=1)
    args: tuple[str, ...] | None = None
    env: dict[str, str] | None = None
    cwd: _Text | None = None
    url: _Text | None = None
    transport: str | None = None
    headers: dict[str, str] | None = None
    timeout: Seconds | None = None
    start_timeout: Seconds | None = None
    session: Session | None = None
    on_lost: OnLost | None = None
    effects: Effects | None = None
    on_unknown: OnUnknown | None = None
    approval: Switch | None = None
    max_result_characters: Count | None = None
    roots: tuple[_Text, ...] | None = None


_KNOWN: Final = {name: name for name in _Server.model_fields if name != "name"}
_OF_COMMAND: Final = ("args", "env", "cwd")
_OF_URL: Final = ("transport", "headers")
_TRANSPORTS: Final = {
    "streamable_http": "StreamableHttpServerParams",
    "sse": "SseServerParams",
}
_CONDUCT: Final = {
    "timeout": "call_seconds",
    "start_timeout": "start_seconds",
    "session": "session",
    "on_lost": "on_lost",
    "effects": "effects",
    "on_unknown": "on_unknown",
    "approval": "approval",
    "max_result_characters": "most_characters",
}
_BENCH: Final = {name: name for name in McpWorkbenchDefinition.model_fields}
_ONE: Final = (
    "Give 'command', the program of a server on this machine, or 'url', the address of another one."
)


def read_servers(raw: Any, where: str, problems: Problems, *, folder: Path) -> list[McpServerEntry]:
    """The section `mcp_servers` of the file; `folder` is that of the file."""
    read: list[McpServerEntry] = []
    for name, item in (as_object(raw, where, problems, what="'mcp_servers'") or {}).items():
        place = pointer(where, name)
        source = as_object(item, place, problems, what="an MCP server")
        if source is not None:
            entry = _server(name, source, place, problems, folder=folder)
            read += [entry] if entry else []
    return read


def _server(
    name: str, source: JsonMapping, where: str, problems: Problems, *, folder: Path
) -> McpServerEntry | None:
    before = len(problems.found)
    fields = read_fields(source, where, _KNOWN, problems, what="an MCP server")
    _check_kind(fields, problems)
    _check_texts(source, where, problems)
    values = {**fields.values, "name": name}
    server = construct(_Server, fields, values, problems)
    if server is None or len(problems.found) > before:
        return None
    given = {_CONDUCT[key]: value for key, value in fields.values.items() if key in _CONDUCT}
    conduct = {key: value for key, value in given.items() if value is not None}
    if server.roots is not None:
        conduct["roots"] = [_path(each, folder) for each in server.roots]
    return McpServerEntry(name, _params(server, folder), conduct, where)


def _params(server: _Server, folder: Path) -> JsonObject:
    if server.url is None:
        given = server.command or ""
        words = [given] if isinstance(given, str) else [*given]
        return {
            "type": "StdioServerParams",
            "command": words[0],
            "args": [*words[1:], *(server.args or ())],
            "env": server.env,
            "cwd": str(folder) if server.cwd is None else _path(server.cwd, folder),
        }
    kind = _TRANSPORTS[server.transport or "streamable_http"]
    return {"type": kind, "url": server.url, "headers": server.headers}


def _path(written: str, folder: Path) -> str:
    """A path; one that is not absolute begins at the folder of the file."""
    return written if written.startswith("${") else str(folder / written)


def _check_kind(fields: Fields, problems: Problems) -> None:
    values = fields.values
    is_process, is_address = (values.get(name) is not None for name in ("command", "url"))
    if is_process == is_address:
        problems.add(fields.where, "invalid_definition", _ONE)
        return
    others, needed = (_OF_URL, "url") if is_process else (_OF_COMMAND, "command")
    for name in others:
        if values.get(name) is not None:
            detail = f"{name!r} is for a server with {needed!r}."
            problems.add(fields.place(name), "invalid_definition", detail)
    transport = values.get("transport")
    if transport is not None and transport not in _TRANSPORTS:
        hint = did_you_mean(str(transport), _TRANSPORTS)
        detail = f"'transport': {shown(transport)} is neither 'streamable_http' nor 'sse'.{hint}"
        problems.add(fields.place("transport"), "invalid_definition", detail)
    if values.get("on_unknown") and values.get("effects") not in (None, "write"):
        detail = "'on_unknown' is for tools with 'effects: write'; leave one of them out."
        problems.add(fields.place("on_unknown"), "invalid_definition", detail)
    if values.get("on_lost") and values.get("session") != "stateful":
        detail = "'on_lost' is for a server with 'session: stateful'; give both, or leave it out."
        problems.add(fields.place("on_lost"), "invalid_definition", detail)


def _check_texts(value: Any, where: str, problems: Problems) -> None:
    match value:
        case str() if malformed(value):
            problems.add(where, "invalid_definition", MALFORMED)
        case dict():
            for key, item in cast("JsonObject", value).items():
                _check_texts(item, pointer(where, str(key)), problems)
        case list():
            for index, item in enumerate(cast("list[Any]", value)):
                _check_texts(item, pointer(where, index), problems)
        case _:
            pass


def read_workbenches(
    raw: Any, where: str, scope: Scope, problems: Problems
) -> list[McpWorkbenchDefinition]:
    """The `workbench` of an agent: one object or a list; a text is the name of a server."""
    items: Any = [raw] if isinstance(raw, str | Mapping) else raw
    read: dict[str, McpWorkbenchDefinition] = {}
    for index, item in enumerate(as_list(items, where, problems, what="'workbench'")):
        place = where if items is not raw else pointer(where, index)
        source = {"server": item} if isinstance(item, str) else item
        mapping = as_object(source, place, problems, what="a workbench")
        if mapping is None:
            continue
        bench = _workbench(mapping, place, scope, problems)
        if bench is None:
            continue
        if bench.server in read:
            detail = f"The server {shown(bench.server)} occurs twice; list all its tools in one."
            problems.add(place, "invalid_definition", detail)
        read[bench.server] = bench
    return list(read.values())


def _workbench(
    source: JsonMapping, where: str, scope: Scope, problems: Problems
) -> McpWorkbenchDefinition | None:
    if any(name in source for name in ("command", "url")):
        detail = (
            "A server is referred to by 'server' here, not described: an operator registers it"
            f" under 'mcp_servers'. {scope.known_servers}"
        )
        problems.add(where, "source_not_allowed", detail)
        return None
    fields = read_fields(source, where, _BENCH, problems, what="a workbench")
    scope.check_server(fields.values.get("server"), fields.place("server"), problems)
    values = {key: value for key, value in fields.values.items() if value is not None}
    bench = construct(McpWorkbenchDefinition, fields, values, problems)
    if bench is not None and bench.tool_overrides:
        only = bench.tools
        strange = [name for name in bench.tool_overrides if only is not None and name not in only]
        for name in strange:
            place = pointer(fields.place("tool_overrides"), name)
            detail = f"{shown(name)} is not in 'tools', which lists what the agent gets."
            problems.add(place, "invalid_definition", detail)
        return None if strange else bench
    return bench
