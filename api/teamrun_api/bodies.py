"""Request bodies: from bytes to a model, and from errors to faults with pointers."""

from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Generic, NamedTuple, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from teamrun.components.reading.json_text import load_json
from teamrun.components.reading.problems import did_you_mean, listed, pointer
from teamrun.runs.service.requests import ONE_TEAM
from teamrun.validation import Misfit, misfits
from teamrun_api.faults import InvalidBody, InvalidJson, RequestFault
from teamrun_api.limits import MAX_NODES, check_shape

__all__ = ["Defined", "DefinitionBody", "JsonBody", "parse_body"]

MAX_FAULTS = 20
"""How many faults of a body an answer lists."""

MAX_NAMES = 16
"""How many fields an error about an unknown one names; no request has more."""

M = TypeVar("M", bound=BaseModel)


class JsonBody(Generic[M]):
    """A dependency of a route: the request body as a model."""

    def __init__(
        self, model: type[M], *, optional: bool = False, most_values: int = MAX_NODES
    ) -> None:
        """Read bodies as `model`; if `optional`, a missing body is an empty object."""
        self._model = model
        self._optional = optional
        self._most_values = most_values

    async def __call__(self, request: Request) -> M:
        """The body of this request.

        Raises:
            InvalidJson: It is no JSON.
            InvalidBody: A field is invalid.
        """
        data = await request.body()
        if self._optional and not data:
            data = b"{}"
        return parse_body(data, self._model, most_values=self._most_values)


class Defined(NamedTuple, Generic[M]):
    """A body with a definition."""

    body: M
    at: str
    """Where the definition is in the body, as a JSON pointer."""


class DefinitionBody(Generic[M]):
    """A dependency of a route: a body with `team_spec`, or one that is the definition itself."""

    def __init__(self, model: type[M]) -> None:
        """Read bodies as `model`, which has a field `team_spec`."""
        self._model = model

    async def __call__(self, request: Request) -> Defined[M]:
        """The body of this request.

        Raises:
            InvalidJson: It is no JSON.
            InvalidBody: A field is invalid.
        """
        data, at = await request.body(), "/team_spec"

        def whole(value: object) -> object:
            nonlocal at
            if not isinstance(value, dict) or "team_spec" in value or value.keys().isdisjoint(_OWN):
                return cast("object", value)
            at = ""
            return {"team_spec": cast("object", value)}

        return Defined(parse_body(data, self._model, opened=whole), at)


_OWN = frozenset({"type", "provider", "agents", "participants", "component", "components"})
"""Fields by which a definition, a component, or a record with one inside, is recognized."""


def parse_body(
    data: bytes,
    model: type[M],
    *,
    most_values: int = MAX_NODES,
    opened: Callable[[object], object] | None = None,
) -> M:
    """Bytes as a model.

    Args:
        data: The bytes.
        model: The model.
        most_values: Maximum number of values.
        opened: Returns what is validated in the place of the JSON value.

    Raises:
        InvalidJson: They are no JSON, too deep or too large, or an object has a name twice.
        InvalidBody: A field is invalid.
    """
    try:
        value = cast(object, from_json(data, allow_inf_nan=False))
    except ValueError as error:
        raise InvalidJson(
            f"The body is not JSON: {error}. Send one JSON object in UTF-8."
        ) from None
    check_shape(value, most=most_values)
    _check_names(data)
    value = value if opened is None else opened(value)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _invalid(error, value, model) from None


def _check_names(data: bytes) -> None:
    """Refuse an object that has a name twice.

    The parser above keeps the last value. It is fast and bounds depth, so this one reads only
    bodies that it accepted.

    Raises:
        InvalidJson: An object has a duplicate name.
    """
    try:
        load_json(data)
    except ValueError as error:
        raise InvalidJson(f"In the body {error}.") from None


def _invalid(error: ValidationError, value: object, model: type[BaseModel]) -> InvalidBody:
    faults = [_fault_of(misfit, model) for misfit in misfits(error, value)]
    # A misspelt field is often the reason why another one is missing.
    faults.sort(key=lambda fault: fault.code != "extra_forbidden")
    faults += _no_choice(faults, value, model)
    first = faults[0]
    where = f"{first.pointer}: " if first.pointer else ""  # else the text begins with the body
    more = f" ({len(faults) - 1} more in `errors`)" if len(faults) > 1 else ""
    return InvalidBody(f"{where}{first.detail}{more}", faults=faults[:MAX_FAULTS])


def _no_choice(
    faults: Sequence[RequestFault], value: object, model: type[BaseModel]
) -> Sequence[RequestFault]:
    """The fault of a body that needs exactly one of some fields and has none.

    Later checks find it too, but only if every field is valid.
    """
    if model.model_config.get("json_schema_extra") != {"oneOf": ONE_TEAM}:
        return []
    if not isinstance(value, dict):
        return []
    is_whole = any(not fault.pointer for fault in faults)
    if is_whole or "team" in value or "team_spec" in value:
        return []
    text = "One of `team`, a name, and `team_spec`, a definition, is needed."
    return [RequestFault(text, "missing", pointer="/team")]


def _fault_of(misfit: Misfit, model: type[BaseModel]) -> RequestFault:
    path = misfit.path
    if misfit.kind == "extra_forbidden":
        text = _unknown_field(path, model)
    else:
        text = misfit.sentence(f"`{path[-1]}`" if path else "The body")
    return RequestFault(text, misfit.kind, pointer=pointer("", *path))


def _unknown_field(loc: Sequence[int | str], model: type[BaseModel]) -> str:
    name, known = str(loc[-1]), _fields_at(loc[:-1], model)
    if not known:
        return f"There is no field {name!r}; remove it."
    names = listed(known, most=MAX_NAMES)
    return f"There is no field {name!r}; remove it, or use one of {names}." + (
        did_you_mean(name, known)
    )


def _fields_at(path: Sequence[int | str], model: type[BaseModel]) -> set[str]:
    """The names of the fields that the object at a path of the body may have."""
    places: list[object] = [model]
    for part in path:
        places = [inner for place in places for inner in _inside(place, part)]
    return {name for place in places for name in _annotations(place)}


def _inside(place: object, part: int | str) -> Sequence[object]:
    """The types of the item or field `part` of a value."""
    if isinstance(place, type) and issubclass(place, BaseModel):
        return _branches(_annotations(place).get(str(part)))
    items = [each for each in get_args(place) if each is not Ellipsis]
    return _branches(items[-1]) if items else []


def _annotations(place: object) -> Mapping[str, object]:
    """The annotations of a model's fields, by their names in a body."""
    if not (isinstance(place, type) and issubclass(place, BaseModel)):
        return {}
    fields = place.model_fields.items()
    return {field.alias or name: field.annotation for name, field in fields}


def _branches(annotation: object) -> Sequence[object]:
    """The types of a union, or the one type, without metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _branches(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return [inner for each in get_args(annotation) for inner in _branches(each)]
    return [annotation]
