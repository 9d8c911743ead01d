"""Attributes that are read like properties, and that a subclass or an object may replace."""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["readable"]

ValueT = TypeVar("ValueT")


class readable(Generic[ValueT]):
    """A property that an object may shadow: `self.state = ...` of a subclass goes on working.

    Args:
        read: The getter.
    """

    def __init__(self, read: Callable[[Any], ValueT]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, owner: None, kind: type[object]) -> Self: ...

    @overload
    def __get__(self, owner: object, kind: type[object]) -> ValueT: ...

    def __get__(self, owner: object | None, kind: type[object]) -> Self | ValueT:
        return self if owner is None else self._read(owner)
