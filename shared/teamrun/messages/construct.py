"""Objects of pydantic classes whose values are valid already, without their validation."""

from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict

from teamrun.json_types import JsonObject

__all__ = ["Compact", "blank", "made"]

ModelT = TypeVar("ModelT", bound=BaseModel)

# The layout of pydantic 2, as its `model_construct` fills it; a test compares both.
_new: Final = object.__new__
_set_fields_set: Final[Any] = vars(BaseModel)["__pydantic_fields_set__"].__set__
_set_extra: Final[Any] = vars(BaseModel)["__pydantic_extra__"].__set__
_set_private: Final[Any] = vars(BaseModel)["__pydantic_private__"].__set__


class Compact(BaseModel):
    """The base of classes whose objects share the names of their fields, if `blank` makes them."""

    # Built at first use: most programs need few of the classes, and a start is faster.
    model_config = ConfigDict(defer_build=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        if not cls.__abstractmethods__:
            # A class takes the names from its first objects only, and validation gives it none.
            values: Any = _new(cls).__dict__
            for name in cls.model_fields:
                values[name] = None


def made(cls: type[ModelT], fields: JsonObject) -> ModelT:
    """An object of a class without private attributes; all of its fields count as set.

    Args:
        cls: The class of the object.
        fields: A value for every field, in the order of the class, valid and of the exact type.
    """
    message, values = blank(cls)
    for name, value in fields.items():
        values[name] = value
    return message


def blank(cls: type[ModelT]) -> tuple[ModelT, JsonObject]:
    """An object as `made` makes it, and the dictionary of its values, which the caller fills.

    Values that are set in it one by one have their names in a `Compact` class, and not in the
    object: half of the memory of a dictionary with names of its own.
    """
    message = _new(cls)
    _set_fields_set(message, _all_fields[cls])
    _set_extra(message, None)
    _set_private(message, None)
    return message, message.__dict__  # pyright: ignore[reportReturnType] - that of an object


class _FieldNames(dict[type[BaseModel], set[str]]):
    # One set for all objects of a class, since each would take 216 bytes. Pydantic adds the names
    # of fields that are set later, and all of them are in it.
    def __missing__(self, cls: type[BaseModel]) -> set[str]:
        names = self[cls] = set(cls.model_fields)
        return names


_all_fields: Final = _FieldNames()
