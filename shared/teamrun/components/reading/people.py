"""Persons in a definition: the form that their answers must have."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from teamrun.components.reading.bounds import is_within
from teamrun.components.reading.fields import Fields
from teamrun.components.reading.problems import Problems, pointer, shown
from teamrun.core.optional import require
from teamrun.json_types import JsonMapping

__all__ = ["check_person"]

# Every value of an answer may meet every part of the schema.
_MAX_VALUES: Final = 500
_MAX_DEPTH: Final = 16

# The API validates answers by schemas of any client that may submit a run: a reference
# could name a foreign host or itself, a pattern take for ever; unique items are compared in pairs.
_REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor"),
        "write the referenced schema in its place",
    ),
    **dict.fromkeys(("pattern", "patternProperties", "uniqueItems"), "remove it"),
}
_MAPS: Final = frozenset({"properties", "dependentSchemas", "dependencies", "$defs", "definitions"})
"""Keywords whose value maps names to schemas."""
_DATA: Final = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose value is a value of the answer."""


def check_person(fields: Fields, problems: Problems) -> None:
    """Add the problems of the schema and the default answer of a user proxy.

    Raises:
        MissingPackage: There is a schema, and `jsonschema` is not installed.
    """
    schema, default = fields.values.get("input_schema"), fields.values.get("default_answer")
    if default is not None and fields.values.get("expires_in_seconds") is None:
        detail = "'default_answer' is for a question that expires: give 'expires_in_seconds', too."
        problems.add(fields.place("default_answer"), "invalid_definition", detail)
    if schema is None:
        if default is not None and not isinstance(default, str):
            detail = "'default_answer' must be a text if there is no 'input_schema'."
            problems.add(fields.place("default_answer"), "invalid_definition", detail)
        return
    if not isinstance(schema, Mapping):
        return  # reported by the field's type
    before, form = len(problems.found), cast("JsonMapping", schema)
    _check_schema(form, fields.place("input_schema"), problems)
    if default is not None and len(problems.found) == before:
        for error in _validator(form)(form).iter_errors(default):
            place = pointer(fields.place("default_answer"), *error.absolute_path)
            problems.add(place, "invalid_definition", f"It does not fit: {error.message[:200]}.")


def _check_schema(schema: JsonMapping, where: str, problems: Problems) -> None:
    if not is_within(schema, values=_MAX_VALUES, levels=_MAX_DEPTH):
        detail = (
            f"A schema can have at most {_MAX_VALUES} values and {_MAX_DEPTH} levels; split the"
            " question."
        )
        problems.add(where, "too_large", detail)
        return
    before = len(problems.found)
    _refuse_keywords(schema, where, problems)
    if len(problems.found) > before:
        return
    validator = _validator(schema)
    if validator is None:
        detail = f"'$schema': unknown draft {shown(schema['$schema'])}; remove it."
        problems.add(pointer(where, "$schema"), "invalid_definition", detail)
        return
    for error in validator(validator.META_SCHEMA).iter_errors(schema):
        place = pointer(where, *error.absolute_path)
        problems.add(place, "invalid_definition", f"No JSON Schema: {error.message[:200]}.")


def _validator(schema: JsonMapping) -> Any:
    """The validator class of this schema; None if its draft is unknown."""
    require("jsonschema", extra="api", needed_by="'input_schema'")
    validators: Any = importlib.import_module("jsonschema.validators")
    draft = schema.get("$schema")
    if draft is not None and not isinstance(draft, str):
        return None
    latest = validators.Draft202012Validator
    return latest if draft is None else validators.validator_for(schema, default=None)


def _refuse_keywords(schema: Any, where: str, problems: Problems) -> None:
    for keyword, value in _inside(schema):
        place = pointer(where, keyword)
        if keyword in _REFUSED:
            reason = _REFUSED[str(keyword)]
            detail = f"{shown(keyword)} is not supported in a schema here: {reason}."
            problems.add(place, "invalid_definition", detail)
        elif keyword in _MAPS:
            for name, item in _inside(value):
                _refuse_keywords(item, pointer(place, name), problems)
        elif keyword not in _DATA:
            _refuse_keywords(value, place, problems)


def _inside(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        yield from cast("JsonMapping", value).items()
    elif isinstance(value, list):
        yield from enumerate(cast("list[Any]", value))
