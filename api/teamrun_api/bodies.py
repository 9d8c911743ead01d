"""Request bodies: from bytes to a model, and from errors to faults with pointers."""

from collections.abc import Sequence
from typing import Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from teamrun.components.reading.json_text import load_json
from teamrun.components.reading.problems import did_you_mean, listed, pointer
from teamrun.validation import Misfit, misfits
from teamrun_api.faults import InvalidBody, InvalidJson, RequestFault
from teamrun_api.limits import check_shape

__all__ = ["JsonBody", "parse_body"]

MAX_FAULTS = 20
"""How many faults of a body an answer lists."""

M = TypeVar("M", bound=BaseModel)


class JsonBody(Generic[M]):
    """A dependency of a route: the request body as a model."""

    def __init__(self, model: type[M], *, optional: bool = False) -> None:
        """Read bodies as `model`; if `optional`, a missing body is an empty object."""
        self._model = model
        self._optional = optional

    async def __call__(self, request: Request) -> M:
        """The body of this request.

        Raises:
            InvalidJson: It is no JSON.
            InvalidBody: A field is invalid.
        """
        data = await request.body()
        if self._optional and not data:
            data = b"{}"
        return parse_body(data, self._model)


def parse_body(data: bytes, model: type[M]) -> M:
    """Bytes as a model.

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
    check_shape(value)
    _check_names(data)
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
    first = faults[0]
    where = f"{first.pointer}: " if first.pointer else ""  # else the text begins with the body
    more = f" ({len(faults) - 1} more in `errors`)" if len(faults) > 1 else ""
    return InvalidBody(f"{where}{first.detail}{more}", faults=faults[:MAX_FAULTS])


def _fault_of(misfit: Misfit, model: type[BaseModel]) -> RequestFault:
    path = misfit.path
    if misfit.kind == "extra_forbidden":
        text = _unknown_field(path, model)
    else:
        text = misfit.sentence(f"`{path[-1]}`" if path else "The body")
    return RequestFault(text, misfit.kind, pointer=pointer("", *path))


def _unknown_field(loc: Sequence[int | str], model: type[BaseModel]) -> str:
    name = str(loc[-1])
    if len(loc) > 1:
        return f"There is no field {name!r} here; remove it."
    known = [field.alias or name for name, field in model.model_fields.items()]
    return f"There is no field {name!r}; remove it, or use one of {listed(known)}." + (
        did_you_mean(name, known)
    )
