"""Objects written as components."""

import inspect
import math
from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, create_model
from pydantic_core import PydanticSerializationError

from teamrun.core.component.base import ComponentBase
from teamrun.core.component.model import KEEP_SECRETS, ComponentModel
from teamrun.core.component.table import COMPONENTS, Field, Row, inherited_row, load
from teamrun.errors import UsageError
from teamrun.json_types import JsonMapping, JsonObject

if TYPE_CHECKING:
    Anything = ComponentBase[Any]

__all__ = ["MASK", "as_object", "config_of", "masked", "provider_name", "schema_of", "written"]

MASK: Final = "**********"
"""A key in a component that was written as JSON, as pydantic masks it."""


def written(component: "Anything") -> ComponentModel:
    """An object as a component.

    Raises:
        UsageError: Something of it cannot be expressed.
        TypeError: The class is local to a function.
    """
    cls = type(component)
    provider = provider_name(cls)
    if "<locals>" in provider:
        raise TypeError(
            f"{cls.__name__} is local to a function; a component names a class of a module."
        )
    row = inherited_row(cls)
    config = component._to_config().model_dump(exclude_none=True, context=KEEP_SECRETS)  # pyright: ignore[reportPrivateUsage] - as in AutoGen
    if row is not None:
        nulls = [name for name, field in row.fields.items() if field.is_null_written]
        config = {**dict.fromkeys(nulls), **config}
    version = component.component_version
    return ComponentModel(
        provider=provider,
        component_type=component.component_type,
        version=version,
        component_version=version,
        description=component.component_description or _first_paragraph(cls),
        label=component.component_label or cls.__name__,
        config=config,
    )


def provider_name(cls: type) -> str:
    """The name of a class in components."""
    override = getattr(cls, "component_provider_override", None)
    return override or f"{cls.__module__}.{cls.__qualname__}"


def config_of(component: "Anything") -> Any:
    """The configuration of an object whose class, or whose base class, has a row in the table.

    Raises:
        UsageError: The class has no row, or something of the object cannot be expressed.
    """
    cls = type(component)
    row = inherited_row(cls)
    if row is None:
        raise UsageError(
            f"{cls.__name__} cannot be written as a component: derive it from Component, set "
            "'component_config_schema', and write '_to_config' and '_from_config'."
        )
    for attribute, argument in row.inexpressible.items():
        if getattr(component, attribute):
            raise UsageError(
                f"A component cannot express {argument!r} of {_called(component)}.",
                argument=argument,
            )
    return schema_of(cls)(**_values(component, row))


def schema_of(cls: type) -> type[BaseModel]:
    """The class of the configurations of a class, by its row; fields may have any JSON value.

    Raises:
        AttributeError: Neither the class nor its base class has a row.
    """
    row = inherited_row(cls)
    if row is None:
        raise AttributeError(f"{cls.__name__} has no 'component_config_schema'.")
    return _schema(row.cls)


def masked(data: JsonMapping) -> JsonObject:
    """JSON data without its keys."""
    return {key: _masked(value) for key, value in data.items()}


def as_object(model: ComponentModel) -> JsonObject:
    """A component as part of another one, with its keys."""
    return {key: value for key, value in dict(model).items() if value is not None}


def _masked(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, Mapping):
        return masked(cast("JsonMapping", value))
    if isinstance(value, list | tuple):
        return [_masked(item) for item in cast("Sequence[Any]", value)]
    return value


@cache
def _schema(name: str) -> type[BaseModel]:
    cls: type = load(name)
    row = COMPONENTS[cls.__name__]
    needed = {
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is parameter.empty
    }
    fields: dict[str, Any] = {name: (Any, ... if name in needed else None) for name in row.fields}
    options = ConfigDict(extra="forbid", protected_namespaces=())
    return create_model(f"{cls.__name__}Config", __config__=options, **fields)


def _values(component: "Anything", row: Row) -> JsonObject:
    special: JsonMapping = load(row.write)(component) if row.write else {}
    values: JsonObject = {}
    for name, field in row.fields.items():
        attribute = field.attribute or f"_{name}"
        value = special[name] if name in special else getattr(component, attribute)
        if value is not None and not (field.is_ours and not value):
            what = f"{name!r} of {_called(component)}"
            values[name] = _formed(value, field, what)
            if not _is_finite(values[name]):
                raise UsageError(
                    f"A component cannot express {what}: NaN and infinite numbers are no JSON."
                    " Use a finite number.",
                    argument=name,
                )
    return values


def _formed(value: Any, field: Field, what: str) -> Any:
    if field.holds == "part":
        return _part(value, what)
    if field.holds == "parts":
        return [_part(item, what) for item in value]
    if field.holds == "object":
        return _dumped(value, load(field.shape), what)
    if field.shape:
        return _shaped(value, load(field.shape))
    return sorted(cast("Set[str]", value)) if isinstance(value, Set) else value


def _part(value: Any, what: str) -> JsonObject:
    if not isinstance(value, ComponentBase):
        kind = type(value).__name__
        raise UsageError(f"{what} is a {kind}, which cannot be written as a component.")
    return as_object(cast("Anything", value).dump_component())


def _shaped(value: Any, shape: Any) -> Any:
    adapter: TypeAdapter[Any] = TypeAdapter(shape)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {
            key: adapter.dump_python(each, mode="json", exclude_none=True) for key, each in items
        }
    return [adapter.dump_python(item, mode="json", exclude_none=True) for item in value]


def _dumped(value: Any, shape: Any, what: str) -> Any:
    try:
        return TypeAdapter[Any](shape).dump_python(value, mode="json", exclude_none=True)
    except PydanticSerializationError as error:
        reason = str(error).rpartition("ValueError: ")[2]  # of a serializer of ours
        raise UsageError(f"A component cannot express {what}: {reason}") from error


def _is_finite(value: Any) -> bool:
    """Whether no number in the value is NaN or infinite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_is_finite, cast("Mapping[str, Any]", value).values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, cast("Sequence[Any]", value)))
    return True


def _called(component: "Anything") -> str:
    name = getattr(component, "name", None)
    kind = type(component).__name__
    return f"{kind} {name!r}" if isinstance(name, str) else f"a {kind}"


def _first_paragraph(cls: type) -> str | None:
    text = inspect.cleandoc(cls.__doc__ or "")
    return " ".join(text.partition("\n\n")[0].split()) or None
