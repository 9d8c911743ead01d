"""Tools of the operator's file that execute code."""

from collections.abc import Mapping
from typing import Any, Final

from teamrun.components.definitions.agents import INLINE_TOOLS
from teamrun.components.definitions.code_execution import CodeExecutionEntry
from teamrun.components.definitions.tools import ToolEntry
from teamrun.components.reading.fields import construct, read_fields
from teamrun.components.reading.problems import Problems, shown
from teamrun.json_types import JsonMapping

__all__ = ["read_code_execution", "read_inline_tools"]

_KNOWN: Final = {
    name: name for name in CodeExecutionEntry.model_fields if name not in {"name", "where"}
}


def read_code_execution(
    name: str,
    source: JsonMapping,
    where: str,
    offered: Mapping[str, ToolEntry],
    problems: Problems,
) -> CodeExecutionEntry | None:
    """A tool that executes code; None: a problem was added."""
    fields = read_fields(source, where, _KNOWN, problems, what="a code_execution tool")
    values = {key: value for key, value in fields.values.items() if value is not None}
    return construct(CodeExecutionEntry, fields, {**values, "name": name, "where": where}, problems)


def read_inline_tools(raw: Any, where: str, problems: Problems) -> list[CodeExecutionEntry]:
    """The tool that executes the source of definitions, if the file allows that."""
    if raw != "sandbox":
        detail = f"'inline_tools' takes 'sandbox', not {shown(raw)}; leave it out to refuse source."
        problems.add(where, "invalid_definition", detail)
        return []
    return [CodeExecutionEntry(name=INLINE_TOOLS, where=where)]
