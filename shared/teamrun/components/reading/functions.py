"""What the operator's file says of functions, and teams that are written in Python."""

from collections.abc import Mapping
from typing import Any, Final, cast

from teamrun.components.definitions.custom_teams import CustomTeamDefinition
from teamrun.components.definitions.operator_code import CodeEntry, is_dotted
from teamrun.components.reading.fields import as_object, construct, read_fields
from teamrun.components.reading.problems import Problems, pointer, shown
from teamrun.components.reading.scope import Member, Scope
from teamrun.components.reading.teams import Opened
from teamrun.json_types import JsonMapping, JsonObject

__all__ = ["read_custom_team", "read_functions", "read_team_functions"]

_FUNCTION: Final = {name: name for name in ("function", "options")}


def read_functions(raw: Any, where: str, problems: Problems) -> list[CodeEntry]:
    """The section `functions` of the file."""
    read: list[CodeEntry] = []
    for name, item in (as_object(raw, where, problems, what="'functions'") or {}).items():
        place = pointer(where, name)
        source = as_object(item, place, problems, what="a function")
        if source is not None:
            fields = read_fields(source, place, _FUNCTION, problems, what="a function")
            read.append(_entry(name, fields.values, place, problems))
    return read


def read_team_functions(
    teams: JsonMapping, where: str, known: Mapping[str, CodeEntry], problems: Problems
) -> list[CodeEntry]:
    """The functions that make teams of the file, by the keys of the teams.

    Args:
        teams: The section `teams`.
        where: The pointer to it.
        known: The section `functions`.
        problems: The list to add problems to.
    """
    read: list[CodeEntry] = []
    for name, item in teams.items():
        source = cast("JsonMapping", item if isinstance(item, Mapping) else {})
        if not is_own(source):
            continue
        place = pointer(where, name)
        if name in known:
            detail = f"There is a function {shown(name)} already; give one of them another name."
            problems.add(place, "invalid_definition", detail)
        read.append(_entry(name, source, place, problems))
    return read


def is_own(source: JsonMapping) -> bool:
    """Whether an object names a function of a module."""
    target = source.get("function")
    return isinstance(target, str) and is_dotted(target)


def _entry(name: str, source: JsonMapping, where: str, problems: Problems) -> CodeEntry:
    target, options = source.get("function"), source.get("options")
    if not is_own(source):
        detail = f"'function': {shown(target)} is not of the form 'package.module:name'."
        problems.add(pointer(where, "function"), "invalid_definition", detail)
    if options is not None:
        options = as_object(options, pointer(where, "options"), problems, what="'options'")
    return CodeEntry(name=name, target=str(target), options=options or {}, where=where)


def read_custom_team(
    opened: Opened, scope: Scope, problems: Problems, *, name: str | None
) -> Member | None:
    """A team of the operator's own code; None: a problem was added.

    Args:
        opened: The team.
        scope: The names that the document may use.
        problems: The list to add problems to.
        name: Its key in the operator's file.
    """
    before, where = len(problems.found), opened.where
    known = dict(opened.known)
    registers = scope.operator and name is not None and is_own(opened.source)
    known |= {"options": "options"} if registers else {}
    fields = read_fields(opened.source, where, known, problems, what="a custom_team")
    values: JsonObject = {k: v for k, v in fields.values.items() if v is not None}
    values.pop("options", None)
    values["type"] = opened.kind.type
    if name is not None:
        values.setdefault("name", name)
    if registers:
        values["function"] = name
    scope.check_function(values.get("function"), fields.place("function"), problems)
    for field in ("model", "output_model"):
        scope.check_model(values.get(field), fields.place(field), problems)
    if isinstance(values.get("output"), str):
        values["output"] = (values["output"],)
    team = construct(CustomTeamDefinition, fields, values, problems)
    if team is None or len(problems.found) > before:
        return None
    return Member(team, where)
