"""Actors whose methods each handle some types of messages."""

import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from inspect import getattr_static
from types import NoneType, UnionType
from typing import (
    Any,
    Final,
    Protocol,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from teamrun.core.actors.agent import BaseAgent
from teamrun.core.actors.contexts import MessageContext
from teamrun.core.actors.errors import CantHandleException

__all__ = ["MessageHandler", "RoutedAgent", "event", "message_handler", "rpc", "types_of"]

logger = logging.getLogger(__name__)

AgentT = TypeVar("AgentT")
MessageT = TypeVar("MessageT")
ResponseT = TypeVar("ResponseT")
AgentT_contra = TypeVar("AgentT_contra", contravariant=True)
MessageT_contra = TypeVar("MessageT_contra", contravariant=True)
ResponseT_co = TypeVar("ResponseT_co", covariant=True)

Method = Callable[[AgentT, MessageT, MessageContext], Coroutine[Any, Any, ResponseT]]
Match = Callable[[MessageT, MessageContext], bool]


class MessageHandler(Protocol[AgentT_contra, MessageT_contra, ResponseT_co]):
    """A method that one of the decorators below has marked."""

    target_types: Sequence[Any]
    """The types of messages."""
    produces_types: Sequence[Any]
    """The types of responses."""
    router: Callable[[Any, MessageContext], bool]
    """Whether it takes this message."""

    @staticmethod
    def __call__(
        agent_instance: AgentT_contra, message: MessageT_contra, ctx: MessageContext
    ) -> Coroutine[Any, Any, ResponseT_co]:
        """Handle a message."""
        ...


class RoutedAgent(BaseAgent):
    """An actor that passes each message to the method for its type.

    The type must be exactly that of the annotation. Of several methods for one type, the first in
    alphabetical order whose `match` accepts the message is called. A message without a method is
    logged; override `on_unhandled_message` to change that.

    Args:
        description: The agent's purpose.
    """

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self._handlers: dict[Any, list[MessageHandler[Any, Any, Any]]] = {}
        for name in sorted(dir(type(self))):
            handler = getattr_static(type(self), name)
            for target in getattr(handler, _MARK, ()):
                self._handlers.setdefault(target, []).append(handler)

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        """Call the first method that takes the message."""
        for handler in self._handlers.get(type(message), ()):
            if handler.router(message, ctx):
                return await handler(self, message, ctx)
        return await self.on_unhandled_message(message, ctx)

    async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> None:
        """Log a message that no method takes."""
        logger.info(
            "Unhandled message", extra={"action": "actors.unhandled", "agent": str(self.id)}
        )


@overload
def message_handler(
    func: Method[AgentT, MessageT, ResponseT],
) -> MessageHandler[AgentT, MessageT, ResponseT]: ...


@overload
def message_handler(
    func: None = None, *, strict: bool = True, match: Match[MessageT] | None = None
) -> Callable[
    [Method[AgentT, MessageT, ResponseT]], MessageHandler[AgentT, MessageT, ResponseT]
]: ...


def message_handler(
    func: Any = None, *, strict: bool = True, match: Callable[..., bool] | None = None
) -> Any:
    """Mark an async method that handles messages, sent or published.

    The annotation of the parameter `message` is the type of messages, or a union of types; that of
    the return value is the type of responses.

    Args:
        func: The method.
        strict: Raise an error for a message or response of another type; otherwise log it.
        match: Whether the method takes this message.

    Raises:
        AssertionError: An annotation is missing.
    """
    return _marked(func, strict, match or (lambda message, ctx: True))


@overload
def event(
    func: Method[AgentT, MessageT, None],
) -> MessageHandler[AgentT, MessageT, None]: ...


@overload
def event(
    func: None = None, *, strict: bool = True, match: Match[MessageT] | None = None
) -> Callable[[Method[AgentT, MessageT, None]], MessageHandler[AgentT, MessageT, None]]: ...


def event(
    func: Any = None, *, strict: bool = True, match: Callable[..., bool] | None = None
) -> Any:
    """Mark an async method that handles published messages, and returns None.

    The arguments and errors are those of `message_handler`.
    """
    return _marked(
        func,
        strict,
        lambda message, ctx: not ctx.is_rpc and (match is None or match(message, ctx)),
        is_event=True,
    )


@overload
def rpc(
    func: Method[AgentT, MessageT, ResponseT],
) -> MessageHandler[AgentT, MessageT, ResponseT]: ...


@overload
def rpc(
    func: None = None, *, strict: bool = True, match: Match[MessageT] | None = None
) -> Callable[
    [Method[AgentT, MessageT, ResponseT]], MessageHandler[AgentT, MessageT, ResponseT]
]: ...


def rpc(func: Any = None, *, strict: bool = True, match: Callable[..., bool] | None = None) -> Any:
    """Mark an async method that handles messages which were sent to this agent alone.

    The arguments and errors are those of `message_handler`.
    """
    return _marked(
        func,
        strict,
        lambda message, ctx: ctx.is_rpc and (match is None or match(message, ctx)),
    )


_MARK: Final = "target_types"


def _marked(
    func: Any, strict: bool, router: Callable[[Any, MessageContext], bool], is_event: bool = False
) -> Any:
    if func is None:

        def decorate(method: Any) -> Any:
            return _marked(method, strict, router, is_event)

        return decorate
    if not callable(func):
        raise ValueError("Invalid arguments")
    method = cast("Callable[[Any, Any, MessageContext], Coroutine[Any, Any, Any]]", func)
    hints = get_type_hints(method)
    for name in ("message", "return"):
        if name not in hints:
            raise AssertionError(f"{name} parameter not found in function signature")
    targets = types_of(hints["message"], "Message")
    responses = (NoneType,) if is_event else types_of(hints["return"], "Return")

    @wraps(method)
    async def handle(agent: Any, message: Any, ctx: MessageContext) -> Any:
        if type(message) not in targets:
            text = f"Message type {type(message)} not in target types {targets}"
            _refuse(CantHandleException(text), strict)
        response = await method(agent, message, ctx)
        if is_event and response is not None:
            _refuse(ValueError(f"Return type {type(response)} is not None."), strict)
            return None
        if Any not in responses and type(response) not in responses:
            _refuse(
                ValueError(f"Return type {type(response)} not in return types {responses}"), strict
            )
        return response

    marked: Any = handle
    marked.target_types = list(targets)
    marked.produces_types = list(responses)
    marked.router = router
    return marked


def _refuse(error: Exception, strict: bool) -> None:
    if strict:
        raise error
    logger.warning("%s", error, extra={"action": "actors.wrong_message"})


def types_of(annotation: Any, what: str) -> tuple[Any, ...]:
    """The types of an annotation; `Any` is one.

    Raises:
        AssertionError: It is neither a class nor a union.
    """
    if get_origin(annotation) in {Union, UnionType}:
        return get_args(annotation)
    if annotation is Any or isinstance(annotation, type):
        return (annotation,)
    raise AssertionError(f"{what} type not found")
