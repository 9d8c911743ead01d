"""A pydantic model as the JSON schema that providers accept for strict structured output."""

from functools import lru_cache
from typing import Any, cast

from pydantic import BaseModel

from teamrun.errors import UsageError

__all__ = ["response_format", "strict_schema"]

Schema = dict[str, Any]


@lru_cache(maxsize=128)
def response_format(model: type[BaseModel]) -> Schema:
    """The `response_format` of a chat completion whose answer is to be read as `model`.

    It is `strict` unless the model has a field that a strict schema cannot say: a mapping with
    free keys. The answer is then validated all the same, by whoever reads it.
    """
    schema = model.model_json_schema()
    strict = not _has_free_keys(schema)
    body = strict_schema(schema) if strict else schema
    return {
        "type": "json_schema",
        "json_schema": {"name": model.__name__[:64], "schema": body, "strict": strict},
    }


def strict_schema(schema: Schema) -> Schema:
    """A copy in which objects are closed, all properties required, and defaults are gone.

    Raises:
        UsageError: A `$ref` points to nothing in the schema.
    """
    return cast(Schema, _strict(schema, root=schema))


def _strict(node: Any, *, root: Schema) -> Any:
    if isinstance(node, list):
        return [_strict(item, root=root) for item in cast(list[Any], node)]
    if not isinstance(node, dict):
        return node
    return _strict_object(_flattened(cast(Schema, node), root=root), root=root)


def _strict_object(node: Schema, *, root: Schema) -> Schema:
    out: Schema = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):  # names chosen by the user, not keywords
            out[key] = {name: _strict(item, root=root) for name, item in value.items()}
        elif key in ("enum", "const", "examples"):
            out[key] = value
        elif key != "default":
            out[key] = _strict(value, root=root)
    if "properties" in out or out.get("type") == "object":
        out["required"] = list(out.get("properties", {}))
        out["additionalProperties"] = False
    return out


def _flattened(node: Schema, *, root: Schema) -> Schema:
    """Without `$ref` beside other keywords, and without an `allOf` of one: strict mode has neither.

    A `$ref` alone stays, so a recursive model stays finite.
    """
    node = {key: value for key, value in node.items() if key != "default"}
    if len(node.get("allOf", ())) == 1:
        node = {**node.pop("allOf")[0], **node}
    if "$ref" in node and len(node) > 1:
        target = _resolve(node.pop("$ref"), root=root)
        return _flattened({**target, **node}, root=root)
    return node


def _resolve(ref: str, *, root: Schema) -> Schema:
    node: Any = root
    for part in ref.removeprefix("#/").split("/"):
        if part not in node:
            raise UsageError(f"The JSON schema refers to {ref!r}, which it does not define.")
        node = node[part]
    return cast(Schema, node)


def _has_free_keys(node: Any) -> bool:
    if isinstance(node, list):
        return any(map(_has_free_keys, cast(list[Any], node)))
    if not isinstance(node, dict):
        return False
    schema = cast(Schema, node)
    if schema.get("type") == "object" and "properties" not in schema:
        return True
    if schema.get("additionalProperties") not in (None, False):
        return True
    return any(map(_has_free_keys, schema.values()))
