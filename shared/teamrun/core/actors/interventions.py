"""Handlers that see, change or drop the messages of a runtime."""

import warnings
from typing import Any, Protocol, final

from teamrun.core.actors.contexts import MessageContext
from teamrun.core.actors.ids import AgentId

__all__ = [
    "DefaultInterventionHandler",
    "DropMessage",
    "InterventionHandler",
    "is_dropped",
    "passed",
]


@final
class DropMessage:
    """A handler returns this class, or an object of it, to drop a message."""


class InterventionHandler(Protocol):
    """Each method returns the message, another one in its place, or `DropMessage`."""

    async def on_send(
        self, message: Any, *, message_context: MessageContext, recipient: AgentId
    ) -> Any | type[DropMessage]:
        """A message to one agent, before it is delivered. The sender gets an exception."""
        ...

    async def on_publish(
        self, message: Any, *, message_context: MessageContext
    ) -> Any | type[DropMessage]:
        """A message to a topic, before it is delivered; an exception is logged, and drops it."""
        ...

    async def on_response(
        self, message: Any, *, sender: AgentId, recipient: AgentId | None
    ) -> Any | type[DropMessage]:
        """A response, before its recipient has it, who gets an exception."""
        ...


class DefaultInterventionHandler(InterventionHandler):
    """A handler that passes everything on; override what you need."""

    async def on_send(
        self, message: Any, *, message_context: MessageContext, recipient: AgentId
    ) -> Any | type[DropMessage]:
        """Pass it on."""
        return message

    async def on_publish(
        self, message: Any, *, message_context: MessageContext
    ) -> Any | type[DropMessage]:
        """Pass it on."""
        return message

    async def on_response(
        self, message: Any, *, sender: AgentId, recipient: AgentId | None
    ) -> Any | type[DropMessage]:
        """Pass it on."""
        return message


def is_dropped(value: Any) -> bool:
    """Whether a handler dropped the message."""
    return value is DropMessage or isinstance(value, DropMessage)


def passed(value: Any, message: Any, method: str) -> Any:
    """The message that a handler passed on; None is taken as a missing `return`."""
    if value is None and message is not None:
        warnings.warn(
            f"Intervention handler {method} returned None. This might be unintentional. Consider "
            "returning the original message or DropMessage explicitly.",
            RuntimeWarning,
            stacklevel=2,
        )
        return message
    return value
