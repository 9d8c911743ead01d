"""Answers of a newer server: what an older client does not know must not fail it.

A field of an answer that has a closed set of values is annotated with `OPEN`. The server itself
validates it as usual. `read_tolerantly` ignores unknown fields, and keeps a value that is not in
the set as the text that it is.
"""

from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

__all__ = ["MAY_BE_ABSENT", "OPEN", "read_tolerantly"]

T = TypeVar("T")

_TOLERANT: Final = object()
"""The validation context that `OPEN` recognizes."""


def _open(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    if info.context is _TOLERANT and isinstance(value, str):
        return value
    return handler(value)


OPEN: Final = WrapValidator(_open)
"""Marks a field of an answer whose set of values may grow: `status: Annotated[Status, OPEN]`."""

MAY_BE_ABSENT: Final = "x-may-be-absent"
"""Marks a field of an answer, in `json_schema_extra`, that is left out if it is empty."""


def read_tolerantly(adapter: TypeAdapter[T], text: str | bytes) -> T:
    """The value of a JSON text, which a newer release may have written.

    Raises:
        pydantic.ValidationError: The text is not JSON, or a known field has another type.
    """
    return adapter.validate_json(text, extra="ignore", context=_TOLERANT)
