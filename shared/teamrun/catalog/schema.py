"""JSON Schemas of what goes into a run of a team, and what comes out."""

from collections.abc import Iterator
from functools import cache

from pydantic import TypeAdapter

from teamrun.catalog.resources import TeamSchema
from teamrun.components.definitions.agents import UserProxyDefinition
from teamrun.components.definitions.base import (
    BaseTeamDefinition,
    ParticipantDefinition,
    TeamDefinition,
)
from teamrun.json_types import JsonObject
from teamrun.runs.log.output import Output
from teamrun.runs.log.spec import RunInput

__all__ = ["schema_of"]


def schema_of(definition: TeamDefinition, *, version: str) -> TeamSchema:
    """The schemas of a definition."""
    answers = {
        person.name: person.input_schema
        for person in _persons(definition)
        if person.input_schema is not None
    }
    return TeamSchema(version=version, input=_input(), output=_output(), answers=answers)


def _persons(part: ParticipantDefinition) -> Iterator[UserProxyDefinition]:
    if isinstance(part, UserProxyDefinition):
        yield part
    for member in part.participants if isinstance(part, BaseTeamDefinition) else ():
        yield from _persons(member)


@cache
def _input() -> JsonObject:
    return TypeAdapter[str | RunInput](str | RunInput).json_schema()


@cache
def _output() -> JsonObject:
    return Output.model_json_schema(mode="serialization")
