"""Actors that are one function, such as the collector of results."""

import warnings
from collections.abc import Awaitable, Callable, Mapping
from inspect import getfullargspec
from typing import Any, Literal, Protocol, TypeVar, get_type_hints

from teamrun.core.actors.agent import BaseAgent
from teamrun.core.actors.contexts import AgentInstantiationContext, MessageContext
from teamrun.core.actors.errors import CantHandleException
from teamrun.core.actors.ids import AgentId, AgentType, TopicId
from teamrun.core.actors.protocols import AgentRuntime, UnboundSubscription
from teamrun.core.actors.routing import types_of
from teamrun.core.actors.subscriptions import created_for
from teamrun.core.cancellation import CancellationToken

__all__ = ["ClosureAgent", "ClosureContext"]

MessageT = TypeVar("MessageT")
UnknownTypePolicy = Literal["error", "warn", "ignore"]


class ClosureContext(Protocol):
    """What the function can do: it is the agent itself."""

    @property
    def id(self) -> AgentId:
        """The address."""
        ...

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send a message to one agent, and await its response."""
        ...

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        cancellation_token: CancellationToken | None = None,
    ) -> None:
        """Send a message to the subscribers of a topic."""
        ...


Closure = Callable[[ClosureContext, MessageT, MessageContext], Awaitable[Any]]


class ClosureAgent(BaseAgent):
    """An actor whose only handler is a function; `register_closure` creates it.

    Args:
        description: The agent's purpose.
        closure: An async function of the agent, the message and its context. The annotation of
            the message is the type, or a union of types, that it takes.
        unknown_type_policy: What happens to a message of another type. `error`: it raises
            `CantHandleException`; `warn`: a warning, and the response None; `ignore`: the function
            is called.

    Raises:
        RuntimeError: No runtime is creating the agent.
        AssertionError: The function has not three parameters, or an annotation is missing.
    """

    def __init__(
        self,
        description: str,
        closure: Closure[Any],
        *,
        unknown_type_policy: UnknownTypePolicy = "warn",
    ) -> None:
        if not AgentInstantiationContext.is_in_factory_call():
            raise RuntimeError(
                "ClosureAgent must be instantiated within the context of an AgentRuntime. It "
                "cannot be directly instantiated."
            )
        super().__init__(description)
        self._types = _taken_by(closure)
        self._closure = closure
        self._unknown_type_policy = unknown_type_policy

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        """Call the function."""
        if type(message) not in self._types and Any not in self._types:
            text = f"Message type {type(message)} not in target types {self._types} of {self.id}."
            if self._unknown_type_policy == "error":
                raise CantHandleException(
                    f"{text} Set unknown_type_policy to 'warn' to suppress this exception, or "
                    "'ignore' to suppress this warning."
                )
            if self._unknown_type_policy == "warn":
                warnings.warn(
                    f"{text} Set unknown_type_policy to 'error' to raise an exception, or 'ignore' "
                    "to suppress this warning.",
                    stacklevel=1,
                )
                return None
        return await self._closure(self, message, ctx)

    async def save_state(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""

    @classmethod
    async def register_closure(
        cls,
        runtime: AgentRuntime,
        type: str,
        closure: Closure[MessageT],
        *,
        unknown_type_policy: UnknownTypePolicy = "warn",
        skip_direct_message_subscription: bool = False,
        description: str = "",
        subscriptions: UnboundSubscription | None = None,
    ) -> AgentType:
        """Register a function as an agent.

        Args:
            runtime: Where.
            type: The name of the agents.
            closure: The function; see the class.
            unknown_type_policy: See the class.
            skip_direct_message_subscription: Leave out the topics that begin with `type:`.
            description: The agent's purpose.
            subscriptions: Creates the subscriptions, such as `lambda: [DefaultSubscription()]`.

        Raises:
            ValueError: The name is in use.
        """
        _taken_by(closure)  # at once, not at the first message
        agent_type = await cls.register(
            runtime,
            type,
            lambda: cls(description, closure, unknown_type_policy=unknown_type_policy),
            skip_class_subscriptions=True,
            skip_direct_message_subscription=skip_direct_message_subscription,
        )
        for each in await created_for(agent_type, *((subscriptions,) if subscriptions else ())):
            await runtime.add_subscription(each)
        return agent_type


def _taken_by(closure: Closure[Any]) -> tuple[Any, ...]:
    parameters = getfullargspec(closure).args
    if len(parameters) != 3:
        raise AssertionError("Closure must have 3 arguments: the agent, the message, the context")
    hints = get_type_hints(closure)
    for name in (parameters[1], "return"):
        if name not in hints:
            raise AssertionError(f"{name} not found in function signature")
    return types_of(hints[parameters[1]], "Message")
