"""The `roles` of the operator's file, and the fields that an agent gets from its role."""

from collections.abc import Mapping
from typing import Any, Final

from teamrun.components.definitions.roles import ROLES, RoleDefinition
from teamrun.components.reading.fields import as_list, as_object, construct, read_fields
from teamrun.components.reading.problems import Problems, pointer
from teamrun.components.reading.scope import Scope
from teamrun.json_types import JsonMapping, JsonObject

__all__ = ["read_roles", "with_role"]

_KNOWN: Final = {name: name for name in RoleDefinition.model_fields}
_NONE: Final[JsonMapping] = {}


def read_roles(
    raw: Any, where: str, scope: Scope, problems: Problems
) -> Mapping[str, JsonMapping | None]:
    """The roles by name, presets included; None for an invalid one.

    A role with the name of a preset has the preset's fields that it does not give.
    """
    if raw is None:
        return ROLES
    roles: dict[str, JsonMapping | None] = {**ROLES}
    for name, item in (as_object(raw, where, problems, what="'roles'") or {}).items():
        roles[name] = _role(item, pointer(where, name), ROLES.get(name, _NONE), scope, problems)
    return roles


def _role(
    raw: Any, where: str, preset: JsonMapping, scope: Scope, problems: Problems
) -> JsonMapping | None:
    before = len(problems.found)
    source = as_object(raw, where, problems, what="a role")
    if source is None:
        return None
    fields = read_fields(source, where, _KNOWN, problems, what="a role")
    if fields.values.get("tools") is not None:
        place = fields.place("tools")
        for index, tool in enumerate(
            as_list(fields.values["tools"], place, problems, what="'tools'")
        ):
            scope.check_tool(tool, pointer(place, index), problems)
    values = {key: value for key, value in fields.values.items() if value is not None}
    role = construct(RoleDefinition, fields, values, problems)
    if role is None or len(problems.found) > before:
        return None
    return {**preset, **role.model_dump(exclude_unset=True)}


def with_role(values: JsonObject, role: JsonMapping) -> JsonObject:
    """The fields of an agent with those of its role.

    The system messages are joined, the role's first, and so are the tools. Of other fields the
    agent's own win.
    """
    joined = {**role, **values}
    texts = (role.get("system_message"), values.get("system_message"))
    if any(texts):
        joined["system_message"] = "\n\n".join(filter(None, texts))
    given, own = role.get("tools") or (), values.get("tools") or ()
    if given or own:
        joined["tools"] = [*given, *(tool for tool in own if tool not in given)]
    return joined
