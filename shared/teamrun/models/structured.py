"""JSON schemas in the form that providers accept as strict: for answers and for arguments of tools.

Strict mode is a subset of JSON Schema
(https://platform.openai.com/docs/guides/structured-outputs#supported-schemas): every object is
closed and needs all of its properties, a choice is `anyOf`, and a reference is `#/$defs/Name` with
nothing beside it.
"""

import re
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote

from pydantic import BaseModel

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject

__all__ = ["NotStrict", "response_format", "strict_schema"]

Schema = JsonObject

# They restrict or describe values; without them the schema allows what it allowed, or more, and
# the reader of the answer validates it.
_DROPPED = frozenset(
    {
        "$defs",
        "$schema",
        "contains",
        "contentEncoding",
        "contentMediaType",
        "default",
        "definitions",
        "deprecated",
        "discriminator",
        "maxContains",
        "maxProperties",
        "minContains",
        "minProperties",
        "readOnly",
        "uniqueItems",
        "writeOnly",
    }
)
_REFUSED = (
    "allOf",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "not",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)


class NotStrict(UsageError):
    """The schema has something that strict mode cannot express."""

    code = "not_strict"


@lru_cache(maxsize=128)
def response_format(model: type[BaseModel]) -> Schema:
    """The `response_format` of a chat completion whose answer is to be read as `model`.

    It is `strict` unless the model has a field that a strict schema cannot express, such as a
    mapping with free keys. The reader of the answer validates it all the same.
    """
    schema = model.model_json_schema()
    try:
        body, strict = strict_schema(schema), True
    except NotStrict:
        body, strict = schema, False
    return {
        "type": "json_schema",
        "json_schema": {"name": model.__name__[:64], "schema": body, "strict": strict},
    }


def strict_schema(schema: Schema) -> Schema:
    """A copy in which objects are closed, all properties required, and defaults are gone.

    Raises:
        NotStrict: The schema has something that strict mode cannot express.
        UsageError: A `$ref` refers to nothing in the schema.
    """
    return _Strict(schema).document()


class _Strict:
    """The rewriting of one schema."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self._definitions: Schema = {}
        self._names: dict[str, str] = {}
        """Of definitions, by the pointer that the schema has for them."""

    def document(self) -> Schema:
        top = self.root
        if "$ref" in top:
            beside = {key: value for key, value in top.items() if key not in ("$ref", "$defs")}
            top = {**_resolve(top["$ref"], root=self.root), **beside}
        out = self._node(top, ())
        if out.get("type") != "object" or "anyOf" in out:
            raise NotStrict("A strict schema is an object at its top level, and no choice.")
        return {**out, "$defs": self._definitions} if self._definitions else out

    def _node(self, raw: Any, inside: tuple[str, ...]) -> Schema:
        """A schema rewritten; `inside` are the references that have been replaced around it."""
        if not isinstance(raw, dict):
            raise NotStrict("A strict schema cannot allow every value; name the type.")
        node = _without_single_all_of(cast(Schema, raw))
        if "properties" in node and "type" not in node:
            node = {"type": "object", **node}
        if "$ref" in node:
            return self._reference(node, inside)
        if refused := [name for name in _REFUSED if name in node]:
            raise NotStrict(f"A strict schema has no {refused[0]!r}.")
        if not {"type", "anyOf", "oneOf", "enum", "const"} & node.keys():
            raise NotStrict("A strict schema cannot allow every value; name the type.")
        return self._closed({key: self._member(key, node[key], inside) for key in node}, node)

    def _member(self, key: str, value: Any, inside: tuple[str, ...]) -> Any:
        match key:
            case "properties":
                return {name: self._node(item, inside) for name, item in value.items()}
            case "anyOf" | "oneOf":
                return [self._node(item, inside) for item in value]
            case "items":
                return self._node(value, inside)
            case _:
                return value

    def _closed(self, out: Schema, node: Schema) -> Schema:
        if "oneOf" in out:
            out["anyOf"] = [*out.get("anyOf", ()), *out.pop("oneOf")]
        types = out.get("type")
        if types == "array" and "items" not in out:
            raise NotStrict("A strict schema cannot allow every value; name the type of items.")
        if types == "object" or (isinstance(types, list) and "object" in types):
            if "properties" not in out or node.get("additionalProperties") not in (None, False):
                raise NotStrict("A strict schema has no mapping with free keys.")
            out["required"] = list(out["properties"])
            out["additionalProperties"] = False
        return {key: value for key, value in out.items() if key not in _DROPPED}

    def _reference(self, node: Schema, inside: tuple[str, ...]) -> Schema:
        ref = node["$ref"]
        beside = {key: value for key, value in node.items() if key not in {"$ref", *_DROPPED}}
        if not beside or ref in inside:  # else a class that contains itself would never end
            return {"$ref": self._pointer(ref)}
        return self._node({**_resolve(ref, root=self.root), **beside}, (*inside, ref))

    def _pointer(self, ref: str) -> str:
        if ref not in self._names:
            target = _resolve(ref, root=self.root)
            name = re.sub(r"[^A-Za-z0-9_.-]", "_", ref.rpartition("/")[2].lstrip("#")) or "root"
            while name in self._definitions:
                name += "_"
            self._names[ref] = name
            self._definitions[name] = {}  # taken before its own references are followed
            self._definitions[name] = self._node(target, ())
        return f"#/$defs/{self._names[ref]}"


def _without_single_all_of(node: Schema) -> Schema:
    """An `allOf` of one is how some generators write a reference with a description."""
    parts = node.get("allOf")
    if not isinstance(parts, list) or len(cast("list[Any]", parts)) != 1:
        return node
    rest = {key: value for key, value in node.items() if key != "allOf"}
    return {**cast("list[Schema]", parts)[0], **rest}


def _resolve(ref: str, *, root: Schema) -> Schema:
    """The target of a reference (RFC 6901, in the fragment of a URI)."""
    node: Any = root
    for part in ref.removeprefix("#").split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        inner: Any = None
        if isinstance(node, dict):
            inner = cast(Schema, node).get(name)
        elif isinstance(node, list) and name.isdigit():
            inner = dict(enumerate(cast("list[Any]", node))).get(int(name))
        node = inner
    if not ref.startswith("#") or not isinstance(node, dict):
        raise UsageError(
            f"The JSON schema refers to {ref!r}, which it does not define.", reference=ref
        )
    return cast(Schema, node)
