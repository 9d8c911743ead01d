"""Binds calls to the methods of a client, so that each has the parameters of its call."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from teamrun.client.requests import Call

__all__ = ["Group", "Method", "Performer"]

P = ParamSpec("P")
R = TypeVar("R")


class Performer(Protocol):
    """What sends calls: the sender of either client."""

    def perform(self, call: Call) -> Any:
        """The value of a call, or what yields it."""
        ...


class Group:
    """The methods of one resource, such as `client.runs`."""

    def __init__(self, sender: Performer) -> None:
        self._sender = sender

    def perform(self, call: Call) -> Any:
        """Send a call of this group."""
        return self._sender.perform(call)


class Method(Generic[P, R]):
    """One method of a group: it makes the call from its arguments, and sends it.

    Args:
        call: Makes the call; its parameters and docstring become those of the method.
    """

    def __init__(self, call: Callable[P, Call]) -> None:
        self.call = call
        self.__doc__ = call.__doc__

    def __get__(self, group: Group, owner: type[Group]) -> Callable[P, R]:
        """The method of a group."""
        call = self.call

        @wraps(call)
        def method(*args: P.args, **kwargs: P.kwargs) -> R:
            return group.perform(call(*args, **kwargs))

        return method
