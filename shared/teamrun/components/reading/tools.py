"""The `tools` of the operator's file: a map from name to a Python function."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from teamrun.components.definitions.base import ToolName
from teamrun.components.definitions.operator_code import is_dotted
from teamrun.components.definitions.table import load
from teamrun.components.definitions.tools import PLANNED_TOOLS, TOOLS, RegisteredTool, ToolEntry
from teamrun.components.reading.fields import as_object, construct, read_fields
from teamrun.components.reading.problems import Problems, did_you_mean, listed, pointer, shown
from teamrun.json_types import JsonMapping
from teamrun.models.scalars import Seconds, Switch
from teamrun.tools.base import Effects, OnLost, OnUnknown, Session

__all__ = ["read_function", "read_tools"]


class _FunctionTool(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: ToolName
    function: str
    description: str | None = Field(default=None, min_length=1)
    strict: Switch = False
    timeout: Seconds | None = None
    effects: Effects | None = None
    on_unknown: OnUnknown | None = None
    session: Session | None = None
    on_lost: OnLost | None = None
    approval: Switch | None = None
    cache_results: Switch = False


_KNOWN: Final = {name: name for name in ("type", *_FunctionTool.model_fields)}
del _KNOWN["name"]


def read_tools(
    raw: Any, where: str, offered: Mapping[str, ToolEntry], problems: Problems
) -> list[RegisteredTool]:
    """All tools of the file; `offered` are those of installed packages, by name."""
    if raw is None:
        return []
    read: list[RegisteredTool] = []
    for name, item in (as_object(raw, where, problems, what="'tools'") or {}).items():
        place = pointer(where, name)
        source = as_object(item, place, problems, what="a tool")
        if source is None:
            continue
        written = source.get("type", "function")
        kind = TOOLS.get(written) if isinstance(written, str) else None
        if kind is None:
            _note_type(written, pointer(place, "type"), problems)
            continue
        entry = load(kind.read)(name, source, place, offered, problems)
        read += [entry] if entry else []
    return read


def read_function(
    name: str,
    source: JsonMapping,
    where: str,
    offered: Mapping[str, ToolEntry],
    problems: Problems,
) -> ToolEntry | None:
    """A Python function as a tool; None: a problem was added."""
    fields = read_fields(source, where, _KNOWN, problems, what="a function tool")
    effects = fields.values.get("effects")
    if fields.values.get("cache_results") is True and effects not in (None, "none"):
        detail = f"'cache_results' is for a tool with 'effects: none', not {shown(effects)}."
        problems.add(fields.place("cache_results"), "invalid_definition", detail)
    if fields.values.get("on_unknown") and fields.values.get("effects") != "write":
        detail = "'on_unknown' is for a tool with 'effects: write'; give both, or leave it out."
        problems.add(fields.place("on_unknown"), "invalid_definition", detail)
    if fields.values.get("on_lost") and fields.values.get("session") != "stateful":
        detail = "'on_lost' is for a tool with 'session: stateful'; give both, or leave it out."
        problems.add(fields.place("on_lost"), "invalid_definition", detail)
    values = {key: value for key, value in fields.values.items() if key != "type"}
    tool = construct(_FunctionTool, fields, {**values, "name": name}, problems)
    if tool is None:
        return None
    function = _function(tool.function, pointer(where, "function"), offered, problems)
    return ToolEntry(
        name=name,
        function=function,
        description=tool.description,
        strict=tool.strict,
        timeout_seconds=tool.timeout,
        effects=tool.effects,
        on_unknown=tool.on_unknown,
        session=tool.session,
        on_lost=tool.on_lost,
        approval=tool.approval,
        cache_results=tool.cache_results,
        where=where,
    )


def _function(
    written: str, where: str, offered: Mapping[str, ToolEntry], problems: Problems
) -> str:
    if is_dotted(written):
        return written
    if written in offered:
        return offered[written].function
    hint = did_you_mean(written, offered)
    detail = (
        f"'function': {written!r} is neither 'package.module:name' nor a tool of an installed"
        f" package.{hint}"
    )
    problems.add(where, "unknown_tool", detail)
    return written


def _note_type(kind: Any, where: str, problems: Problems) -> None:
    if kind == "mcp":
        detail = (
            "'type': an MCP server is registered under 'mcp_servers', and an agent gets its tools"
            " by 'workbench'."
        )
        problems.add(where, "invalid_definition", detail)
        return
    if isinstance(kind, str) and kind in PLANNED_TOOLS:
        detail = f"'type': {kind!r} is not available yet; tools of type 'function' are."
        problems.add(where, "not_available_yet", detail)
        return
    hint = did_you_mean(str(kind), [*TOOLS, *PLANNED_TOOLS])
    detail = f"'type': no tool type {shown(kind)}.{hint} There is {listed(TOOLS)}."
    problems.add(where, "invalid_definition", detail)
