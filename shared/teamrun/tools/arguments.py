"""The arguments of a tool: their JSON schema, made from a pydantic class, and the check."""

import json
import math
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from teamrun.errors import InvalidArguments
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.structured import NotStrict, strict_schema
from teamrun.tools.schema import ParametersSchema
from teamrun.validation import misfits

__all__ = ["checked_arguments", "parameters_of"]

ArgsT = TypeVar("ArgsT", bound=BaseModel)

_SCHEMAS_BY_NAME = frozenset({"$defs", "properties"})
_VALUES = frozenset({"const", "default", "enum", "examples"})
"""Keywords of JSON Schema whose value is data and not a schema."""


def parameters_of(args_type: type[BaseModel], *, strict: bool = False) -> ParametersSchema:
    """The schema of the arguments, in the form that all model APIs take.

    Titles and numbers that JSON does not have are left out. Definitions are written where they
    are used, since not every provider follows `$ref`; only a class that contains itself keeps its
    `$defs`.

    Args:
        args_type: The class with one field per argument.
        strict: The provider enforces the schema exactly.

    Raises:
        ValueError: `strict`, and an argument has a default, further ones are allowed, or the
            schema has something that strict mode cannot express.
    """
    schema = _finite(args_type.model_json_schema())
    definitions = cast("JsonObject", schema.get("$defs", {}))
    if "$ref" in schema:  # a class that contains itself
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    properties: JsonObject = {
        name: _inlined(_without_title(value), definitions, ())
        for name, value in schema.get("properties", {}).items()
    }
    parameters = ParametersSchema(
        type="object",
        properties=properties,
        required=schema.get("required", []),
        additionalProperties=bool(schema.get("additionalProperties", False)),
    )
    if "'$ref'" in repr(properties):
        parameters["$defs"] = {name: _without_title(value) for name, value in definitions.items()}
    if strict:
        _check_strict(parameters)
    return parameters


def checked_arguments(args_type: type[ArgsT], args: JsonMapping, *, tool: str) -> ArgsT:
    """The arguments as the class that they must fit.

    Raises:
        InvalidArguments: They do not; the text tells the model which arguments are wrong and why.
    """
    try:
        return args_type.model_validate(args)
    except ValidationError as error:
        found = " ".join(
            misfit.sentence(repr(".".join(map(str, misfit.path))) if misfit.path else "The object")
            for misfit in misfits(error, args)
        )
        raise InvalidArguments(
            f"The arguments of {tool!r} do not match its schema. {found}"
        ) from error


def _check_strict(parameters: ParametersSchema) -> None:
    if set(parameters.get("required", ())) != set(parameters["properties"]):
        raise ValueError(
            "Strict mode is enabled, but not all input arguments are marked as required. "
            "Default arguments are not allowed in strict mode."
        )
    if parameters.get("additionalProperties"):
        raise ValueError(
            "Strict mode is enabled, but additional properties are allowed; "
            "forbid extra fields in the arguments class."
        )
    try:
        strict_schema(cast("JsonObject", parameters))
    except NotStrict as error:
        raise ValueError(f"Strict mode is enabled, but: {error.message}") from error


def _finite(schema: Any, *, named: bool = False) -> Any:
    """Without the keywords whose value JSON does not have: NaN and the infinities (RFC 8259, 6).

    An argument whose default is infinite stays optional; the model is not shown the default.

    Args:
        schema: A schema, or a list of them.
        named: The members are schemas by name, not keywords.
    """
    if isinstance(schema, list):
        return [_finite(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _finite(value, named=not named and key in _SCHEMAS_BY_NAME)
        for key, value in cast("JsonObject", schema).items()
        if named or _is_json(value, deep=key in _VALUES)
    }


def _is_json(value: Any, *, deep: bool) -> bool:
    if not deep:
        return not isinstance(value, float) or math.isfinite(value)
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _without_title(schema: Any) -> Any:
    """Without titles, and without OpenAPI's `discriminator`, whose pointers would lead nowhere."""
    # A property may itself be called "title": only text values are the keyword.
    if isinstance(schema, list):
        return [_without_title(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_title(value)
        for key, value in cast("JsonObject", schema).items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "discriminator" and "propertyName" in value)
    }


def _inlined(schema: Any, definitions: JsonObject, inside: tuple[str, ...]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, definitions, inside) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    fields = cast("JsonObject", schema)
    name = str(fields.get("$ref", "")).removeprefix("#/$defs/")
    if name not in definitions or name in inside:
        return {key: _inlined(value, definitions, inside) for key, value in fields.items()}
    target = _inlined(_without_title(definitions[name]), definitions, (*inside, name))
    beside = {key: value for key, value in fields.items() if key != "$ref"}
    return {**target, **beside}
