"""Agents and teams as tools, read in both forms; what is inside may be in either."""

from collections.abc import Mapping
from typing import Final

from teamrun.components.autogen.composed import put_inner
from teamrun.components.autogen.reader import DefinitionReader
from teamrun.components.definitions.base import BaseDelegateDefinition
from teamrun.components.definitions.kinds import DELEGATES
from teamrun.components.reading.fields import construct, read_fields
from teamrun.components.reading.problems import Problems
from teamrun.components.reading.scope import Scope
from teamrun.json_types import JsonMapping

__all__ = ["read_delegate"]

_INNER: Final[Mapping[str, str]] = {"agent_tool": "agent", "team_tool": "team"}


def read_delegate(
    kind: str, source: JsonMapping, where: str, scope: Scope, problems: Problems
) -> BaseDelegateDefinition | None:
    """An agent or a team as a tool; None: a problem was added.

    Args:
        kind: The name of its row of `DELEGATES`.
        source: Its fields, which are the same in both forms.
        where: The pointer to them.
        scope: The names that may be used.
        problems: The list to add problems to.
    """
    before, row, inner = len(problems.found), DELEGATES[kind], _INNER[kind]
    what = f"{'an agent' if inner == 'agent' else 'a team'} as a tool"
    fields = read_fields(source, where, row.fields, problems, what=what)
    values = {name: value for name, value in fields.values.items() if value is not None}
    values["type"] = kind
    unknown = put_inner(fields, values, inner, DefinitionReader(scope, problems), scope)
    made = construct(row.model, fields, values, problems, unknown=unknown)
    return made if len(problems.found) == before else None
