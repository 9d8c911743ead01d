"""What the runtime makes known to code that it calls: handlers, factories, subscriptions."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from teamrun.core.cancellation import CancellationToken

if TYPE_CHECKING:
    from teamrun.core.actors.ids import AgentId, AgentType, TopicId
    from teamrun.core.actors.protocols import AgentRuntime

__all__ = [
    "AgentInstantiationContext",
    "MessageContext",
    "MessageHandlerContext",
    "SubscriptionInstantiationContext",
]

T = TypeVar("T")

_HANDLING: Final[ContextVar["AgentId | None"]] = ContextVar("handling", default=None)
_CREATED: Final[ContextVar["tuple[AgentRuntime, AgentId] | None"]] = ContextVar(
    "created", default=None
)
_SUBSCRIBED: Final[ContextVar["AgentType | None"]] = ContextVar("subscribed", default=None)


@dataclass
class MessageContext:
    """How a message came to its handler."""

    sender: "AgentId | None"
    """None: it was sent from outside of an agent."""
    topic_id: "TopicId | None"
    """The topic that it was published to; None: it was sent to this agent alone."""
    is_rpc: bool
    """Whether the sender awaits a response."""
    cancellation_token: CancellationToken
    """Cancelled if the sender no longer waits."""
    message_id: str
    """A UUID, or the id that the sender gave."""
    runtime: "AgentRuntime | None" = field(default=None, repr=False, compare=False)
    """The runtime that delivered the message; None in a context that you created yourself."""
    recipient: "AgentId | None" = field(default=None, repr=False, compare=False)
    """The agent that handles the message."""

    @property
    def topic(self) -> str | None:
        """The type of the topic."""
        return None if self.topic_id is None else self.topic_id.type

    async def send_message(self, message: Any, recipient: "AgentId | AgentType") -> Any:
        """Send a message from the agent that handles this one; the same as its `send_message`.

        Raises:
            RuntimeError: No runtime delivered this message.
            Exception: See `BaseAgent.send_message`.
        """
        if self.runtime is None:
            raise RuntimeError("This MessageContext has no runtime: none delivered its message.")
        return await self.runtime.send_message(message, recipient, sender=self.recipient)


class MessageHandlerContext:
    """The agent whose handler is running."""

    @staticmethod
    def current() -> "AgentId | None":
        """Its id; None outside of a handler."""
        return _HANDLING.get()

    @staticmethod
    def agent_id() -> "AgentId":
        """Its id.

        Raises:
            RuntimeError: No handler is running.
        """
        return _present(
            _HANDLING, "MessageHandlerContext.agent_id() must be called within a message handler."
        )

    @staticmethod
    @contextmanager
    def populate_context(ctx: "AgentId") -> Generator[None]:
        """Set the agent."""
        with _set(_HANDLING, ctx):
            yield


class AgentInstantiationContext:
    """The runtime and the id of the agent that a factory creates."""

    @staticmethod
    def is_in_factory_call() -> bool:
        """Whether a factory is running."""
        return _CREATED.get() is not None

    @staticmethod
    def current_runtime() -> "AgentRuntime":
        """The runtime that called the factory.

        Raises:
            RuntimeError: No factory is running.
        """
        return _present(_CREATED, _NO_FACTORY)[0]

    @staticmethod
    def current_agent_id() -> "AgentId":
        """The id of the new agent.

        Raises:
            RuntimeError: No factory is running.
        """
        return _present(_CREATED, _NO_FACTORY)[1]

    @staticmethod
    @contextmanager
    def populate_context(ctx: "tuple[AgentRuntime, AgentId]") -> Generator[None]:
        """Set the runtime and the id."""
        with _set(_CREATED, ctx):
            yield


class SubscriptionInstantiationContext:
    """The type of agents whose subscriptions are created."""

    @staticmethod
    def agent_type() -> "AgentType":
        """The type.

        Raises:
            RuntimeError: No subscriptions are being created.
        """
        return _present(
            _SUBSCRIBED,
            "There is no agent type here: create the subscription in the function that is passed "
            "to `register`, or name the type.",
        )

    @staticmethod
    @contextmanager
    def populate_context(ctx: "AgentType") -> Generator[None]:
        """Set the type."""
        with _set(_SUBSCRIBED, ctx):
            yield


_NO_FACTORY: Final = (
    "No runtime is creating an agent here: register a factory with the runtime, which calls it, "
    "instead of creating the agent yourself."
)


def _present(variable: ContextVar[T | None], message: str) -> T:
    value = variable.get()
    if value is None:
        raise RuntimeError(message)
    return value


@contextmanager
def _set(variable: ContextVar[T | None], value: T) -> Generator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
