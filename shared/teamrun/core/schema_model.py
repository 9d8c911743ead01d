"""Classes of structured answers, made of their JSON Schemas.

A schema may come from anyone who submits a team. So its size is bounded, references stay within the
schema and do not lead back, and nothing that could take long to check is taken.
"""

import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, Optional, Union, cast

from pydantic import BaseModel, ConfigDict, Field, create_model

from teamrun.json_types import JsonMapping, JsonObject

__all__ = ["UnusableSchema", "model_of_schema"]

MAX_VALUES: Final = 500
MAX_DEPTH: Final = 16
_MAX_CLASSES: Final = 50
"""Objects with properties in one schema: the class of each costs about a millisecond."""
_MAX_LENGTH: Final = 1_000_000_000
_REFUSED: Final = (
    *("pattern", "patternProperties", "uniqueItems", "not", "if", "dependentSchemas"),
    *("prefixItems", "propertyNames", "contains", "unevaluatedProperties", "$dynamicRef", "$id"),
)
_PLAIN: Final[Mapping[str, Any]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": None,
}
_LENGTHS: Final = {
    "minLength": ("min_length", "string"),
    "maxLength": ("max_length", "string"),
    "minItems": ("min_length", "array"),
    "maxItems": ("max_length", "array"),
}
_LIMITS: Final = {
    # A whole number is at least 1.5 if it is at least 2, and above 1.5 if it is above 1.
    "minimum": ("ge", math.ceil),
    "maximum": ("le", math.floor),
    "exclusiveMinimum": ("gt", math.floor),
    "exclusiveMaximum": ("lt", math.ceil),
}


class UnusableSchema(ValueError):
    """A schema of which no class can be made; `path` is the place in it."""

    def __init__(self, message: str, path: Iterable[str | int] = ()) -> None:
        self.path: tuple[str | int, ...] = tuple(path)
        place = "".join(f"/{step}" for step in self.path)
        super().__init__(f"{message.removesuffix('.')} (at {place})." if place else message)


_CONFIG: Final = ConfigDict(protected_namespaces=(), serialize_by_alias=True, populate_by_name=True)


def model_of_schema(schema: JsonMapping, name: str | None = None) -> type[BaseModel]:
    """A pydantic class whose objects fit a JSON Schema.

    The last classes are kept: an equal schema gives the same class. A keyword that does not apply
    to its type, such as `minLength` of an integer, is ignored (JSON Schema 2020-12, validation,
    section 6).

    Args:
        schema: The schema of an object. It has at most 500 values, 50 objects and 16 levels;
            `$ref` names one of its `$defs`.
        name: The name of the class; by default the schema's `title`, or `Answer`.

    Raises:
        UnusableSchema: It is too large, is no schema of an object, or has a keyword or a value
            that is not supported.
    """
    _check_size(schema)
    named = name or schema.get("title") or "Answer"
    if not isinstance(named, str) or not named.isidentifier():
        raise UnusableSchema(f"The name of a class must be an identifier, not {named!r:.80}.")
    return _made(json.dumps(schema, sort_keys=False), named)


@lru_cache(maxsize=16)
def _made(text: str, name: str) -> type[BaseModel]:
    schema: JsonObject = json.loads(text)
    return _Reader(schema).object(_entered(schema, schema, ()), name, (), ())


class _Reader:
    """The reading of one schema."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._classes = 0
        self._made: dict[str, Any] = {}
        """The types of the `$defs`: each is made once, however often it is named."""

    def object(
        self,
        schema: JsonMapping,
        name: str,
        path: tuple[str | int, ...],
        inside: tuple[str, ...],
    ) -> type[BaseModel]:
        """The class of an object; `inside` are the references that lead to it."""
        _refuse(schema, path)
        properties = schema.get("properties")
        if schema.get("type", "object") != "object" or not isinstance(properties, dict):
            raise UnusableSchema(
                "A structured answer is an object: write 'type': 'object' and 'properties'.", path
            )
        required = schema.get("required", [])
        if not isinstance(required, list):
            raise UnusableSchema("'required' must be a list.", (*path, "required"))
        self._classes += 1
        if self._classes > _MAX_CLASSES:
            raise UnusableSchema(
                f"A schema can have at most {_MAX_CLASSES} objects with properties; ask for less.",
                path,
            )
        fields: JsonObject = {}
        names = _field_names(cast("JsonObject", properties))
        for key, raw in cast("JsonObject", properties).items():
            place = (*path, "properties", key)
            item = _mapping(raw, place)
            kind = self._type(item, f"{name}_{_identifier(key)}", place, inside)
            fields[names[key]] = _field(key, kind, item, is_needed=key in required)
        extra = "forbid" if schema.get("additionalProperties") is False else "ignore"
        config: ConfigDict = {**_CONFIG, "extra": extra}
        description = schema.get("description")
        try:
            return create_model(
                name,
                __config__=config,
                __doc__=description if isinstance(description, str) else None,
                **fields,
            )
        except Exception as error:
            # Anyone may send a schema, and pydantic documents no list of what it raises.
            raise UnusableSchema(
                f"No class can be made of this object ({type(error).__name__}); simplify it.", path
            ) from error

    def _type(
        self,
        schema: JsonMapping,
        name: str,
        path: tuple[str | int, ...],
        inside: tuple[str, ...],
    ) -> Any:
        _refuse(schema, path)
        _check_bounds(schema, path)
        if "$ref" in schema:
            return self._referred(schema["$ref"], path, inside)
        if "const" in schema or "enum" in schema:
            values = schema["enum"] if "enum" in schema else [schema["const"]]
            return _literal(values, path)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in schema:
                return self._any_of(schema[keyword], keyword, name, path, inside)
        kind = schema.get("type")
        if isinstance(kind, list):
            kinds = cast("list[Any]", kind)
            if not kinds or any(kinds.count(each) > 1 for each in kinds):
                raise UnusableSchema(
                    "A list of types must name at least one, and each once.", (*path, "type")
                )
            several = [self._of_kind(each, schema, name, path, inside) for each in kinds]
            return _union(several)
        return self._of_kind(kind, schema, name, path, inside)

    def _of_kind(
        self,
        kind: Any,
        schema: JsonMapping,
        name: str,
        path: tuple[str | int, ...],
        inside: tuple[str, ...],
    ) -> Any:
        if kind == "object" or (kind is None and "properties" in schema):
            if "properties" in schema:
                title = schema.get("title")
                usable = isinstance(title, str) and title.isidentifier()
                return self.object(schema, str(title) if usable else name, path, inside)
            rest = schema.get("additionalProperties")
            value = (
                self._type(cast("JsonMapping", rest), name, (*path, "additionalProperties"), inside)
                if isinstance(rest, Mapping)
                else Any
            )
            return dict[str, value]
        if kind == "array":
            raw = schema.get("items", {})
            item = self._type(_mapping(raw, (*path, "items")), name, (*path, "items"), inside)
            return _bounded(list[item], kind, schema)
        if kind is None:
            return Any
        if not isinstance(kind, str) or kind not in _PLAIN:
            known = ", ".join((*_PLAIN, "array", "object"))
            raise UnusableSchema(f"'type' is {kind!r:.80}; there are {known}.", (*path, "type"))
        return _bounded(_PLAIN[kind], kind, schema)

    def _any_of(
        self,
        raw: Any,
        keyword: str,
        name: str,
        path: tuple[str | int, ...],
        inside: tuple[str, ...],
    ) -> Any:
        place = (*path, keyword)
        if not isinstance(raw, list) or not raw:
            raise UnusableSchema(f"{keyword!r} must be a list of schemas.", place)
        items = cast("list[Any]", raw)
        if keyword == "allOf" and len(items) > 1:
            raise UnusableSchema("'allOf' takes one schema here; merge them.", place)
        several = [
            self._type(_mapping(item, (*place, n)), f"{name}_{n}", (*place, n), inside)
            for n, item in enumerate(items)
        ]
        return _union(several)

    def _referred(self, ref: Any, path: tuple[str | int, ...], inside: tuple[str, ...]) -> Any:
        place = (*path, "$ref")
        definitions: Any = self._root.get("$defs") or self._root.get("definitions") or {}
        key = str(ref).rpartition("/")[2]
        is_local = ref in (f"#/$defs/{key}", f"#/definitions/{key}")
        if not is_local or not isinstance(definitions, dict) or key not in definitions:
            raise UnusableSchema(f"'$ref' {ref!r:.80} names nothing in '$defs'.", place)
        if key in inside:
            raise UnusableSchema(f"{key!r} contains itself, which is not supported.", place)
        if len(inside) >= MAX_DEPTH:
            raise UnusableSchema(f"References lead over more than {MAX_DEPTH} others.", place)
        if key not in self._made:
            target = {"title": key, **_mapping(definitions[key], place)}
            self._made[key] = self._type(target, _identifier(key), place, (*inside, key))
        return self._made[key]


def _check_size(schema: JsonMapping) -> None:
    count, level = 0, [cast("Any", schema)]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                inner += cast("JsonMapping", value).values()
            elif isinstance(value, list):
                inner += cast("list[Any]", value)
        count += len(inner)
        if not inner:
            return
        if count > MAX_VALUES:
            break
        level = inner
    raise UnusableSchema(
        f"A schema can have at most {MAX_VALUES} values and {MAX_DEPTH} levels; ask for less."
    )


def _entered(schema: JsonObject, root: JsonObject, inside: tuple[str, ...]) -> JsonMapping:
    """The schema itself, or the one that its `$ref` at the top names."""
    ref = schema.get("$ref")
    if ref is None:
        return schema
    key = str(ref).rpartition("/")[2]
    definitions: Any = root.get("$defs") or {}
    if key in inside or not isinstance(definitions, dict) or key not in definitions:
        raise UnusableSchema(f"'$ref' {ref!r:.80} names nothing in '$defs'.", ("$ref",))
    target = cast("JsonObject", _mapping(definitions[key], ("$ref",)))
    return _entered(target, root, (*inside, key))


def _refuse(schema: JsonMapping, path: tuple[str | int, ...]) -> None:
    for keyword in _REFUSED:
        if keyword in schema:
            raise UnusableSchema(
                f"{keyword!r} is not supported in a schema here; remove it.", (*path, keyword)
            )


def _mapping(raw: Any, path: tuple[str | int, ...]) -> JsonMapping:
    if raw is True:
        return {}
    if not isinstance(raw, Mapping):
        raise UnusableSchema(f"A schema must be an object, not {raw!r:.40}.", path)
    return cast("JsonMapping", raw)


def _literal(raw: Any, path: tuple[str | int, ...]) -> Any:
    values = cast("list[Any]", raw) if isinstance(raw, list) else []
    if not values or not all(isinstance(v, str | int | bool | None) for v in values):
        raise UnusableSchema("'enum' and 'const' take texts, whole numbers and null.", path)
    return Literal[tuple(values)]


def _union(kinds: list[Any]) -> Any:
    return Union[tuple(kinds)]  # noqa: UP007 - of a tuple made at run time


def _check_bounds(schema: JsonMapping, path: tuple[str | int, ...]) -> None:
    for keyword in _LENGTHS:
        if keyword in schema and not _is_length(schema[keyword]):
            raise UnusableSchema(
                f"{keyword!r} must be a whole number from 0 to {_MAX_LENGTH}.", (*path, keyword)
            )
    for keyword in _LIMITS:
        if keyword in schema and not _is_finite(schema[keyword]):
            raise UnusableSchema(
                f"{keyword!r} must be a number of the range of a 64-bit float.", (*path, keyword)
            )


def _is_length(value: Any) -> bool:
    return _is_finite(value) and value == int(value) and 0 <= value <= _MAX_LENGTH


def _is_finite(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _bounded(kind: Any, name: str, schema: JsonMapping) -> Any:
    """A type with the bounds that apply to types of its name."""
    found: JsonObject = {
        option: int(schema[keyword])
        for keyword, (option, applies_to) in _LENGTHS.items()
        if applies_to == name and keyword in schema
    }
    if name in ("integer", "number"):
        for keyword, (option, rounded) in _LIMITS.items():
            if keyword in schema:
                value = schema[keyword]
                found[option] = rounded(value) if name == "integer" else value
    return Annotated[kind, Field(**found)] if found else kind


def _field(key: str, kind: Any, schema: JsonMapping, *, is_needed: bool) -> tuple[Any, Any]:
    description, title = schema.get("description"), schema.get("title")
    options: JsonObject = {
        "description": description if isinstance(description, str) else None,
        "title": title if isinstance(title, str) else None,
        "alias": key,
    }
    if is_needed:
        return kind, Field(**options)
    if "default" in schema:
        return kind, Field(default=schema["default"], **options)
    return Optional[kind], Field(default=None, **options)  # noqa: UP045 - `kind` is a value


def _field_names(properties: JsonMapping) -> dict[str, str]:
    """The names of the attributes: those of the properties, unless pydantic uses them itself."""
    names = {key: key for key in properties if _is_usable(key)}
    for number, key in enumerate(properties):
        if key not in names:
            name = f"field_{number}"
            while name in properties:
                name += "_"
            names[key] = name
    return names


def _is_usable(key: str) -> bool:
    is_taken = key == "Config" or hasattr(BaseModel, key)
    return key.isidentifier() and not key.startswith("_") and not is_taken


def _identifier(key: str) -> str:
    return key if key.isidentifier() else "Part"
