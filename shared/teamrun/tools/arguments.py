"""The JSON schema of a tool's arguments, made from a pydantic class."""

from typing import Any, cast

from pydantic import BaseModel

from teamrun.tools.schema import ParametersSchema

__all__ = ["parameters_of"]


def parameters_of(args_type: type[BaseModel], *, strict: bool = False) -> ParametersSchema:
    """The schema of the arguments, in the form that all model APIs take.

    Titles are left out and definitions are written where they are used, since not every
    provider follows `$ref`; only a class that contains itself keeps its `$defs`.

    Args:
        args_type: The class with one field per argument.
        strict: The provider will hold the model to the schema exactly.

    Raises:
        ValueError: `strict`, and an argument has a default, or further ones are allowed.
    """
    schema = args_type.model_json_schema()
    definitions = cast("dict[str, Any]", schema.get("$defs", {}))
    properties: dict[str, Any] = {
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


def _without_title(schema: Any) -> Any:
    # A property may itself be called "title": only text values are the keyword.
    if isinstance(schema, list):
        return [_without_title(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_title(value)
        for key, value in cast("dict[str, Any]", schema).items()
        if not (key == "title" and isinstance(value, str))
    }


def _inlined(schema: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, definitions, inside) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    fields = cast("dict[str, Any]", schema)
    name = str(fields.get("$ref", "")).removeprefix("#/$defs/")
    if name not in definitions or name in inside:
        return {key: _inlined(value, definitions, inside) for key, value in fields.items()}
    target = _inlined(_without_title(definitions[name]), definitions, (*inside, name))
    beside = {key: value for key, value in fields.items() if key != "$ref"}
    return {**target, **beside}
