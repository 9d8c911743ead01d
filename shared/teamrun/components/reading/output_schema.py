"""The `output_schema` of a run: which schemas are accepted, and how answers are validated.

Any client that may submit a run may send a schema. So its size is bounded, references stay within
the schema and are filled in before use, nothing is fetched, and keywords whose check could take a
long time are refused (JSON Schema 2020-12, https://json-schema.org/draft/2020-12).
"""

import importlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple, cast

from pydantic import BaseModel
from pydantic_core import from_json

from teamrun.components.reading.bounds import is_within
from teamrun.components.reading.problems import Problems, did_you_mean, pointer, shown
from teamrun.core.optional import require
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.structured_call import answer_class, unfenced

__all__ = ["OutputForm", "Unfit", "check_output_schema"]

_MAX_CHARS: Final = 65_536
_MAX_VALUES: Final = 2_000
_MAX_DEPTH: Final = 32
_MAX_ANSWER_DEPTH: Final = 64
_MAX_ANSWER_VALUES: Final = 20_000
_MAX_PAIRS: Final = 1_000_000
"""Values of a schema times values of an answer: with `anyOf`, each may meet each. About a second.
"""
_MOST_UNFIT: Final = 10

_MAPS: Final = frozenset({"properties", "$defs", "definitions"})
"""Keywords whose value maps names to schemas."""
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMAS: Final = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"}
)
_PLAIN: Final = frozenset(
    {
        *("type", "enum", "const", "required", "dependentRequired", "multipleOf"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains"),
        *("minProperties", "maxProperties", "format", "contentEncoding", "contentMediaType"),
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
        *("$schema", "$comment"),
        "discriminator",  # of OpenAPI; pydantic writes it
    }
)
_DESCRIBING: Final = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
)
_KNOWN: Final = frozenset({*_MAPS, *_LISTS, *_SCHEMAS, *_PLAIN, "$ref"})
_REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"),
        "refer to '#/$defs/NAME'",
    ),
    **dict.fromkeys(("pattern", "patternProperties", "uniqueItems"), "remove it"),
    **dict.fromkeys(
        ("unevaluatedItems", "unevaluatedProperties", "dependentSchemas", "contentSchema"),
        "remove it",
    ),
}
_DRAFTS: Final = ("draft/2020-12/schema", "draft/2019-09/schema", "draft-07/schema")


class Unfit(NamedTuple):
    """A place where an answer does not fit."""

    pointer: str
    """JSON pointer into the answer; empty for the whole answer."""
    detail: str

    @property
    def sentence(self) -> str:
        """The place and what is wrong there."""
        return f"{self.pointer or 'The answer'}: {self.detail}"


def check_output_schema(schema: JsonMapping, where: str = "/output_schema") -> None:
    """Refuse a schema that answers cannot be validated with.

    Args:
        schema: The schema.
        where: The pointer to it in the request.

    Raises:
        DefinitionError: It is too large, is no schema of an object, refers to something outside of
            itself, or has a keyword that is unknown or not supported; has `pointer`.
        MissingPackage: `jsonschema` is not installed.
    """
    require("jsonschema", extra="api", needed_by="'output_schema'")
    problems = Problems()
    _check(schema, where, problems)
    problems.raise_any()


class OutputForm:
    """A schema that `check_output_schema` has accepted, ready for use."""

    @staticmethod
    def of(schema: JsonMapping) -> "OutputForm":
        """The form of a schema; an equal schema gives the same object."""
        return _form_of(json.dumps(schema))

    def __init__(self, schema: JsonObject) -> None:
        self.schema: Final[JsonObject] = _filled(schema, _definitions(schema))
        """With its references filled in."""
        self._most_values = min(_MAX_ANSWER_VALUES, _MAX_PAIRS // _count(self.schema))

    @cached_property
    def type(self) -> type[BaseModel]:
        """The class that a model client takes as `json_output`."""
        return answer_class(self.schema)

    def read(self, text: str) -> tuple[Any, list[Unfit]]:
        """The data of a text, and where they do not fit; a Markdown fence around is removed."""
        try:
            data = from_json(unfenced(text).encode(), allow_inf_nan=False)
        except ValueError as error:
            return None, [Unfit("", f"It is not JSON: {error}.")]
        return data, self.unfit(data)

    def unfit(self, data: Any) -> list[Unfit]:
        """Where data do not fit, at most ten places."""
        if not is_within(data, values=self._most_values, levels=_MAX_ANSWER_DEPTH):
            limits = f"{self._most_values} values and {_MAX_ANSWER_DEPTH} levels"
            return [Unfit("", f"It is too large: at most {limits} can be validated.")]
        found: Iterator[Any] = self._validator.iter_errors(data)
        return [
            Unfit(pointer("", *error.absolute_path), f"{str(error.message)[:200]}.")
            for error in islice(found, _MOST_UNFIT)
        ]

    @cached_property
    def _validator(self) -> Any:
        return _validator_class()(self.schema)


@lru_cache(maxsize=64)
def _form_of(text: str) -> OutputForm:
    return OutputForm(json.loads(text))


def _validator_class() -> Any:
    require("jsonschema", extra="worker", needed_by="'output_schema'")
    return importlib.import_module("jsonschema.validators").Draft202012Validator


def _check(schema: JsonMapping, where: str, problems: Problems) -> None:
    is_short = is_within(schema, values=_MAX_VALUES, levels=_MAX_DEPTH)
    if not is_short or len(json.dumps(schema)) > _MAX_CHARS:
        problems.add(where, "too_large", _limits())
        return
    _check_keywords(schema, where, problems)
    if problems.found:
        return
    validator = _validator_class()
    for error in islice(validator(validator.META_SCHEMA).iter_errors(schema), _MOST_UNFIT):
        place = pointer(where, *error.absolute_path)
        problems.add(place, "invalid_definition", f"No JSON Schema: {str(error.message)[:200]}.")
    if problems.found:
        return
    definitions = _definitions(schema)
    if not _has_end(schema, definitions, where, problems):
        return
    filled = _filled(schema, definitions)
    if _count(filled) > _MAX_VALUES:
        problems.add(where, "too_large", _limits())
    elif filled.get("type") != "object":
        detail = 'The output is an object: write "type": "object" and its \'properties\'.'
        problems.add(pointer(where, "type"), "invalid_definition", detail)


def _check_keywords(schema: Any, where: str, problems: Problems) -> None:
    """Add the problems of the keywords of a schema and of those inside."""
    if not isinstance(schema, Mapping):
        return  # true, false, or a mistake that the meta-schema finds
    for keyword, value in cast("JsonMapping", schema).items():
        place = pointer(where, keyword)
        if keyword in _REFUSED:
            detail = f"{shown(keyword)} is not supported in a schema here: {_REFUSED[keyword]}."
            problems.add(place, "invalid_definition", detail)
        elif keyword not in _KNOWN:
            hint = did_you_mean(keyword, _KNOWN)
            detail = f"{shown(keyword)} is no keyword of JSON Schema 2020-12.{hint}"
            problems.add(place, "unknown_field", detail)
        elif keyword == "$schema":
            _check_draft(value, place, problems)
        elif keyword in _MAPS or keyword in _LISTS:
            for name, item in _inside(value):
                _check_keywords(item, pointer(place, name), problems)
        elif keyword in _SCHEMAS:
            _check_keywords(value, place, problems)


def _check_draft(value: Any, where: str, problems: Problems) -> None:
    draft = value.rstrip("#").partition("json-schema.org/")[2] if isinstance(value, str) else ""
    if draft not in _DRAFTS:
        detail = f"'$schema': unknown draft {shown(value)}; remove it: 2020-12 is used."
        problems.add(where, "invalid_definition", detail)


def _has_end(schema: Any, definitions: JsonMapping, where: str, problems: Problems) -> bool:
    """Whether all references lead to a definition, none of them back, and not to too much."""
    left = [_MAX_VALUES]

    def walk(node: Any, place: str, inside: tuple[str, ...], depth: int) -> bool:
        left[0] -= 1
        if left[0] < 0 or depth > _MAX_DEPTH:
            problems.add(where, "too_large", _limits())
            return False
        if not isinstance(node, Mapping):
            return True
        fields = cast("JsonMapping", node)
        if "$ref" in fields:
            ref = fields["$ref"]
            if ref not in definitions:
                detail = f"'$ref' {shown(ref)} is no '#/$defs/NAME' of this schema."
                problems.add(pointer(place, "$ref"), "invalid_definition", detail)
                return False
            if ref in inside:
                detail = f"{shown(ref)} contains itself, which is not supported: bound its levels."
                problems.add(pointer(place, "$ref"), "invalid_definition", detail)
                return False
            if not walk(definitions[ref], where + ref[1:], (*inside, ref), depth + 1):
                return False
        return all(
            walk(item, pointer(place, *path), inside, depth + 1)
            for path, item in _schemas_in(fields)
        )

    return walk(schema, where, ("#",), 0)


def _schemas_in(fields: JsonMapping) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The schemas directly inside of one, with their paths; definitions are not."""
    for keyword, value in fields.items():
        if keyword == "properties" or keyword in _LISTS:
            for name, item in _inside(value):
                yield (keyword, name), item
        elif keyword in _SCHEMAS:
            yield (keyword,), value


def _definitions(schema: JsonMapping) -> JsonMapping:
    """The definitions of a schema by the references to them; `#` is the schema itself."""
    found: JsonObject = {"#": schema}
    for keyword in ("$defs", "definitions"):
        for name, item in _inside(schema.get(keyword)):
            found[f"#{pointer(f'/{keyword}', name)}"] = item
    return found


def _filled(node: Any, definitions: JsonMapping) -> Any:
    """A schema with its references filled in, and without what only describes the schema itself."""
    if not isinstance(node, Mapping):
        return node
    fields = cast("JsonMapping", node)
    out: JsonObject = {}
    for keyword, value in fields.items():
        if keyword in ("$defs", "definitions", "$ref", "$schema", "$comment", "discriminator"):
            continue
        if keyword == "properties":
            out[keyword] = {name: _filled(item, definitions) for name, item in _inside(value)}
        elif keyword in _LISTS:
            out[keyword] = [_filled(item, definitions) for _, item in _inside(value)]
        elif keyword in _SCHEMAS:
            out[keyword] = _filled(value, definitions)
        else:
            out[keyword] = value
    if "$ref" not in fields:
        return out
    target = _filled(definitions[fields["$ref"]], definitions)
    # Other keywords beside a reference apply as well, and each only knows those next to it.
    if isinstance(target, dict) and out.keys() <= _DESCRIBING:
        return {**cast("JsonObject", target), **out}
    both: JsonObject = {"allOf": [target], **out}
    return both


def _count(value: Any) -> int:
    return 1 + sum(_count(item) for _, item in _inside(value))


def _inside(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return [*cast("JsonMapping", value).items()]
    return [*enumerate(cast("list[Any]", value))] if isinstance(value, list) else []


def _limits() -> str:
    return (
        f"The schema is too large: at most {_MAX_VALUES} values, {_MAX_DEPTH} levels and "
        f"{_MAX_CHARS} characters are accepted, with references filled in; ask for less."
    )
