"""The schemas of the OpenAPI document, in the form that client generators understand.

Each concept has one schema, in requests and answers alike. A choice between two bodies is a plain
`oneOf` of named schemas. A field that is optional in a request has no `default`, since some
generators then treat the field as always present; its description states the default. A field of a
response is always sent, so it is required, unless it is left out when it is empty.
"""

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, cast, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from teamrun.core.tolerance import MAY_BE_ABSENT
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import CancelMode, Decision
from teamrun.runs.log.status import RunStatus
from teamrun.runs.service.listing import Order

__all__ = ["plain", "schemas"]

Schema = JsonObject

REFERENCE = "#/components/schemas/{model}"

_NAMED: Mapping[str, tuple[str, ...]] = {
    "CancelMode": get_args(CancelMode),
    "Decision": get_args(Decision),
    "Order": get_args(Order),
    "RunStatus": get_args(RunStatus),
}
"""Enumerations with their own schema."""

_CHOICES: Mapping[str, Mapping[str, str]] = {
    "RunRequest": {"team": "RunOfRegisteredTeam", "team_spec": "RunOfOwnTeam"},
    "ValidateRequest": {"team": "ValidateRegisteredTeam", "team_spec": "ValidateOwnTeam"},
}
"""Bodies with exactly one of some fields: the name of the schema that has each."""

_SPARSE = frozenset({"Problem", "FieldError"})
"""Answers that are sent without their empty fields."""


def schemas(
    *, requests: Iterable[type[BaseModel]], answers: Iterable[type[BaseModel]]
) -> dict[str, Schema]:
    """The schemas of all models that are sent or answered, by name."""
    asked = _definitions(requests, "validation")
    told = _definitions(answers, "serialization")
    found: dict[str, Schema] = {}
    for name, schema in told.items():
        found[name] = _sparse(schema) if name in _SPARSE else _complete(schema)
    for name, schema in asked.items():
        found |= _chosen(name, _sparse(schema)) if name in _CHOICES else {name: _sparse(schema)}
    enums = {name: {"type": "string", "enum": list(values)} for name, values in _NAMED.items()}
    return dict(sorted(({name: plain(found[name]) for name in found} | enums).items()))


def plain(node: Schema) -> Schema:
    """A schema without generated titles, and with references to named enumerations."""
    for name, values in _NAMED.items():
        if node.get("enum") == list(values):
            kept = {"description": node["description"]} if "description" in node else {}
            return {"$ref": REFERENCE.format(model=name), **kept}
    return _walked({key: value for key, value in node.items() if key != "title"}, plain)


def _walked(node: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """A copy of a schema whose direct subschemas are changed."""
    walked = dict(node)
    for key in ("properties", "$defs"):
        if key in node:
            members = cast("dict[str, Schema]", node[key])
            walked[key] = {name: change(schema) for name, schema in members.items()}
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if key in node:
            walked[key] = [change(schema) for schema in node[key]]
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(node.get(key), dict):
            walked[key] = change(node[key])
    return walked


def _definitions(
    models: Iterable[type[BaseModel]], mode: Literal["validation", "serialization"]
) -> dict[str, Schema]:
    given = list(dict.fromkeys(models))
    _, made = models_json_schema([(model, mode) for model in given], ref_template=REFERENCE)
    found: dict[str, Schema] = made["$defs"]
    texts = _field_texts(given)
    for name, schema in found.items():
        for field, text in texts.get(name, {}).items():
            if field in schema.get("properties", {}):
                schema["properties"][field].setdefault("description", text)
    return found


def _sparse(schema: Schema) -> Schema:
    """A schema of an object with optional fields; their descriptions state the defaults."""

    def without_default(field: Schema) -> Schema:
        kept = {key: value for key, value in field.items() if key != "default"}
        default = field.get("default")
        if isinstance(default, str | int | float):
            text = str(default).lower() if isinstance(default, bool) else str(default)
            sentence = f"Default: `{text}`."
            kept["description"] = f"{kept.get('description', '')} {sentence}".strip()
        return kept

    return _with_fields(schema, without_default)


def _complete(schema: Schema) -> Schema:
    """An object of which every field is always there, but those that are left out when empty."""

    def without_default(field: Schema) -> Schema:
        return {key: value for key, value in field.items() if key not in ("default", MAY_BE_ABSENT)}

    if "properties" not in schema:
        return schema
    fields: dict[str, Schema] = schema["properties"]
    required = [name for name, field in fields.items() if not field.get(MAY_BE_ABSENT)]
    return {**_with_fields(schema, without_default), "required": required}


def _with_fields(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    fields: dict[str, Schema] = schema.get("properties", {})
    return {**schema, "properties": {name: change(field) for name, field in fields.items()}}


def _chosen(name: str, schema: Schema) -> dict[str, Schema]:
    """A body with exactly one of some fields, as a choice of named bodies."""
    choice = _CHOICES[name]
    found: dict[str, Schema] = {}
    for field, title in choice.items():
        others = choice.keys() - {field}
        fields = {key: value for key, value in schema["properties"].items() if key not in others}
        fields[field] = _not_null(fields[field])
        found[title] = {
            **{key: value for key, value in schema.items() if key != "oneOf"},
            "properties": fields,
            "required": [field, *schema.get("required", ())],
        }
    found[name] = {
        "description": schema["description"],
        "oneOf": [{"$ref": REFERENCE.format(model=title)} for title in choice.values()],
    }
    return found


def _not_null(field: Schema) -> Schema:
    [schema] = [branch for branch in field["anyOf"] if branch != {"type": "null"}]
    return {**{key: value for key, value in field.items() if key != "anyOf"}, **schema}


# The texts under the fields of models


def _field_texts(models: Sequence[type[BaseModel]]) -> dict[str, dict[str, str]]:
    """The docstring under each field, by class and by the field's name in JSON."""
    names = {cls.__module__ for model in models for cls in model.__mro__}
    modules = {name for name in names if name.startswith("teamrun")} | set(_MODULES)
    found: dict[str, dict[str, str]] = {}
    for module in sorted(modules):
        found |= _texts_in(module)
    return found


_MODULES = tuple(
    f"teamrun.runs.{name}"
    for name in (
        "log.archive",
        "log.entries",
        "log.limits",
        "log.output",
        "log.spec",
        "log.status",
        "log.usage",
        "service.requests",
        "service.resources",
    )
)
"""The modules of models that are fields of others."""


def _texts_in(module: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.ClassDef):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            texts = {key: text for base in bases for key, text in found.get(base, {}).items()}
            found[node.name] = texts | _texts_under(node)
    return found


def _texts_under(node: ast.ClassDef) -> dict[str, str]:
    texts: dict[str, str] = {}
    for field, after in zip(node.body, node.body[1:], strict=False):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                texts[_alias(field) or name] = " ".join(text.split())
            case _:
                pass
    return texts


def _alias(field: ast.AnnAssign) -> str | None:
    calls = [node for node in ast.walk(field) if isinstance(node, ast.keyword)]
    for keyword in calls:
        if keyword.arg == "alias" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None
