"""Tools of the operator's file that execute code."""

from collections.abc import Mapping
from typing import Final

from teamrun.components.definitions.code_execution import CodeExecutionEntry
from teamrun.components.definitions.tools import ToolEntry
from teamrun.components.reading.fields import construct, read_fields
from teamrun.components.reading.problems import Problems
from teamrun.json_types import JsonMapping

__all__ = ["read_code_execution"]

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
