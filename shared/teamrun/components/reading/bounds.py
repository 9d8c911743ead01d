"""Size limits of a definition that a client sent, checked before it is read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from teamrun.components.definitions.environment import variables
from teamrun.components.reading.problems import Problems, pointer

__all__ = ["is_within", "within_bounds"]

_MAX_DEPTH = 48
_MAX_VALUES = 10_000
_MAX_CHARS = 262_144
_ANSWERS: Final = ("output_schema", "json_schema")
"""The fields with the schema of an agent's answers, here and in component JSON."""
_MAX_SCHEMA_VALUES: Final = 1_000
_MAX_SCHEMA_OBJECTS: Final = 100


def within_bounds(raw: Any, where: str, problems: Problems) -> bool:
    """Whether a value is JSON within the size limits and without `${NAME}`; adds the problems.

    A reference to the environment is refused rather than kept as text: its author expects it to
    be replaced, and only the operator's file may read the environment.
    """
    before = len(problems.found)
    pending: list[tuple[Any, str, int]] = [(raw, where, 0)]
    values = chars = 0
    schemas: list[Any] = []
    while pending:
        value, place, depth = pending.pop()
        values += 1
        if isinstance(value, str):
            chars += len(value)
            _refuse_variables(value, place, problems)
        if depth > _MAX_DEPTH or values > _MAX_VALUES or chars > _MAX_CHARS:
            problems.add(where, "too_large", _limits())
            return False
        for key, item in _inside(value):
            pending.append((item, pointer(place, key), depth + 1))
            if key in _ANSWERS:
                schemas.append(item)
        chars += sum(len(str(key)) for key, _ in _inside(value))
    _check_schemas(schemas, where, problems)
    return len(problems.found) == before


def _check_schemas(schemas: list[Any], where: str, problems: Problems) -> None:
    """Bound the time to make classes of the different schemas of a definition."""
    values = objects = 0
    pending = list({json.dumps(schema, default=str): schema for schema in schemas}.values())
    while pending:
        inside = _inside(pending.pop())
        values += len(inside)
        objects += sum(key == "properties" for key, _ in inside)
        pending += [item for _, item in inside]
    if values > _MAX_SCHEMA_VALUES or objects > _MAX_SCHEMA_OBJECTS:
        problems.add(
            where,
            "too_large",
            f"The schemas of answers are too large: different ones have at most"
            f" {_MAX_SCHEMA_VALUES} values and {_MAX_SCHEMA_OBJECTS} objects in all; ask for less,"
            " or give agents the same schema.",
        )


def is_within(raw: Any, *, values: int, levels: int) -> bool:
    """Whether JSON has at most `values` values and `levels` levels of nesting."""
    pending: list[tuple[Any, int]] = [(raw, 0)]
    met = 0
    while pending:
        value, depth = pending.pop()
        met += 1
        if met > values or depth > levels:
            return False
        pending += [(item, depth + 1) for _, item in _inside(value)]
    return True


def _inside(value: Any) -> Sequence[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in cast("Mapping[Any, Any]", value).items()][::-1]
    if isinstance(value, (list, tuple)):
        return list(enumerate(cast("list[Any]", value)))[::-1]
    return []


def _refuse_variables(text: str, place: str, problems: Problems) -> None:
    for name in sorted(variables(text)):
        problems.add(
            place,
            "environment_not_allowed",
            f"${{{name}}} is expanded in the operator's file only; write the text itself,"
            f" or $${{{name}}} for a literal one.",
        )


def _limits() -> str:
    return (
        f"The definition is too large: at most {_MAX_CHARS} characters, {_MAX_VALUES} values and"
        f" {_MAX_DEPTH} levels are taken."
    )
