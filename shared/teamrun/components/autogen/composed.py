"""Agents with an agent or a team inside, read in both forms; what is inside may be in either."""

from collections.abc import Mapping
from typing import Any, Final

from teamrun.components.autogen.reader import DefinitionReader
from teamrun.components.definitions.base import BaseTeamDefinition, ParticipantDefinition
from teamrun.components.definitions.composed import (
    MessageFilterDefinition,
    SocietyOfMindDefinition,
)
from teamrun.components.definitions.kinds import AGENTS
from teamrun.components.reading.fields import Fields, construct, read_fields
from teamrun.components.reading.problems import Problems
from teamrun.components.reading.scope import Scope
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.validation import kind_of

__all__ = [
    "component_message_filter",
    "component_society_of_mind",
    "put_inner",
    "read_message_filter",
    "read_society_of_mind",
]

_MAX_DEPTH: Final = 8

_SOCIETY: Final[Mapping[str, str]] = {
    **{name: name for name in ("name", "description", "team", "instruction", "response_prompt")},
    "model_context": "model_context",
    "model_client": "model",
}
_FILTER: Final[Mapping[str, str]] = {"name": "name", "wrapped_agent": "agent", "filter": "filter"}


def read_society_of_mind(
    source: JsonMapping, where: str, scope: Scope, problems: Problems, *, name: str | None
) -> SocietyOfMindDefinition | None:
    """An agent that answers for a team, as people write it."""
    known = AGENTS["society_of_mind_agent"].fields
    return _society(source, where, scope, problems, known, name)


def component_society_of_mind(
    config: JsonMapping, where: str, scope: Scope, problems: Problems
) -> SocietyOfMindDefinition | None:
    """An agent that answers for a team, as AutoGen writes it."""
    return _society(config, where, scope, problems, _SOCIETY, None)


def read_message_filter(
    source: JsonMapping, where: str, scope: Scope, problems: Problems, *, name: str | None
) -> MessageFilterDefinition | None:
    """An agent behind a filter, as people write it."""
    known = AGENTS["message_filter_agent"].fields
    return _filter(source, where, scope, problems, known, name)


def component_message_filter(
    config: JsonMapping, where: str, scope: Scope, problems: Problems
) -> MessageFilterDefinition | None:
    """An agent behind a filter, as AutoGen writes it."""
    return _filter(config, where, scope, problems, _FILTER, None)


def _society(
    source: JsonMapping,
    where: str,
    scope: Scope,
    problems: Problems,
    known: Mapping[str, str],
    name: str | None,
) -> SocietyOfMindDefinition | None:
    before = len(problems.found)
    reader = DefinitionReader(scope, problems)
    fields = read_fields(source, where, known, problems, what="a society of mind")
    values = _values(fields, "society_of_mind_agent", name)
    spelled = fields.spelled.get("model", "model")
    values["model"] = reader.model(values.get("model"), fields.place("model"), spelled)
    unknown = put_inner(fields, values, "team", reader, scope)
    if values.get("model_context") is not None:
        place = fields.place("model_context")
        values["model_context"] = reader.context(values["model_context"], place)
    given = _without_none(values)
    made = construct(SocietyOfMindDefinition, fields, given, problems, unknown=unknown)
    return made if len(problems.found) == before else None


def _filter(
    source: JsonMapping,
    where: str,
    scope: Scope,
    problems: Problems,
    known: Mapping[str, str],
    name: str | None,
) -> MessageFilterDefinition | None:
    before = len(problems.found)
    reader = DefinitionReader(scope, problems)
    fields = read_fields(source, where, known, problems, what="a message filter")
    values = _values(fields, "message_filter_agent", name)
    unknown = put_inner(fields, values, "agent", reader, scope)
    given = _without_none(values)
    made = construct(MessageFilterDefinition, fields, given, problems, unknown=unknown)
    return made if len(problems.found) == before else None


def put_inner(
    fields: Fields, values: JsonObject, field: str, reader: DefinitionReader, scope: Scope
) -> tuple[str, ...]:
    """Read the agent or team inside; a problem is added if it is the other one.

    Returns:
        The field if it was given and has a problem.
    """
    raw, place = values.pop(field, None), fields.place(field)
    if raw is None:
        return ()
    if scope.depth >= _MAX_DEPTH:
        detail = f"Agents and teams are nested more than {_MAX_DEPTH} levels deep."
        reader.problems.add(place, "too_large", detail)
        return (field,)
    if not isinstance(raw, (Mapping, str)):
        detail = f"{fields.spelled[field]!r} must be an object, not {kind_of(raw)}."
        reader.problems.add(place, "invalid_definition", detail)
        return (field,)
    member = reader.member(raw, place, scope.depth + 1)
    if member is None:
        return (field,)
    inner: ParticipantDefinition = member.definition
    if isinstance(inner, BaseTeamDefinition) != (field == "team"):
        other, wanted = ("an agent", "a team") if field == "team" else ("a team", "an agent")
        detail = f"{fields.spelled[field]!r} must be {wanted}; {inner.name!r} is {other}."
        reader.problems.add(place, "invalid_definition", detail)
        return (field,)
    values[field] = inner
    return ()


def _values(fields: Fields, kind: str, name: str | None) -> JsonObject:
    values: JsonObject = {**fields.values, "type": kind}
    if name is not None:
        values.setdefault("name", name)
    return values


def _without_none(values: JsonMapping) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
