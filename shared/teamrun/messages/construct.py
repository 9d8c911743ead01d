"""Objects of pydantic classes whose values are valid already, without their validation."""

from functools import cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from teamrun.json_types import JsonObject

__all__ = ["made"]

ModelT = TypeVar("ModelT", bound=BaseModel)

# The layout of pydantic 2, as its `model_construct` fills it; a test compares both.
_new: Final = object.__new__
_set: Final = object.__setattr__
_set_fields_set: Final[Any] = vars(BaseModel)["__pydantic_fields_set__"].__set__
_set_extra: Final[Any] = vars(BaseModel)["__pydantic_extra__"].__set__
_set_private: Final[Any] = vars(BaseModel)["__pydantic_private__"].__set__


def made(cls: type[ModelT], fields: JsonObject) -> ModelT:
    """An object of a class without private attributes; all of its fields count as set.

    Args:
        cls: The class of the object.
        fields: A value for every field, in the order of the class, valid and of the exact type.
    """
    message = _new(cls)
    _set(message, "__dict__", fields)
    _set_fields_set(message, _all_fields(cls))
    _set_extra(message, None)
    _set_private(message, None)
    return message


@cache
def _all_fields(cls: type[BaseModel]) -> set[str]:
    # One set for all objects of the class, since each would take 216 bytes. Pydantic adds the names
    # of fields that are set later, and all of them are in it.
    return set(cls.model_fields)
