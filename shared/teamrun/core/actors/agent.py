"""The base class of actors: an address, and the runtime that delivers to it."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Self, final

from teamrun.core.actors.contexts import AgentInstantiationContext, MessageContext
from teamrun.core.actors.ids import AgentId, AgentMetadata, AgentType, TopicId
from teamrun.core.actors.protocols import AgentRuntime, UnboundSubscription
from teamrun.core.actors.subscriptions import (
    TypePrefixSubscription,
    TypeSubscription,
    created_for,
)
from teamrun.core.cancellation import CancellationToken

__all__ = ["AgentProxy", "BaseAgent"]


class BaseAgent(ABC):
    """An actor. Derive from `RoutedAgent`, which finds a handler for each type of message.

    Args:
        description: The agent's purpose.

    Raises:
        ValueError: The description is no text.
    """

    internal_unbound_subscriptions_list: ClassVar[list[UnboundSubscription]] = []
    """What the class decorators, such as `default_subscription`, have added."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.internal_unbound_subscriptions_list = []

    def __init__(self, description: str) -> None:
        if not isinstance(description, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a check
            raise ValueError("Agent description must be a string")
        self._description = description
        if AgentInstantiationContext.is_in_factory_call():
            self._id = AgentInstantiationContext.current_agent_id()
            self._runtime = AgentInstantiationContext.current_runtime()

    async def bind_id_and_runtime(self, id: AgentId, runtime: AgentRuntime) -> None:
        """Give the agent its address; the runtime calls it.

        Raises:
            RuntimeError: It has another one.
        """
        if getattr(self, "_id", id) != id:
            raise RuntimeError("Agent is already bound to a different ID")
        if getattr(self, "_runtime", runtime) is not runtime:
            raise RuntimeError("Agent is already bound to a different runtime")
        self._id = id
        self._runtime = runtime

    @property
    def id(self) -> AgentId:
        """The address."""
        return self._id

    @property
    def type(self) -> str:
        """The name under which the agent was registered."""
        return self._id.type

    @property
    def runtime(self) -> AgentRuntime:
        """The runtime that delivers to it."""
        return self._runtime

    @property
    def metadata(self) -> AgentMetadata:
        """The address and the description."""
        return AgentMetadata(key=self._id.key, type=self._id.type, description=self._description)

    @final
    async def on_message(self, message: Any, ctx: MessageContext) -> Any:
        """Handle a message; the runtime calls it."""
        return await self.on_message_impl(message, ctx)

    @abstractmethod
    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        """Handle a message, and return the response."""

    async def send_message(
        self,
        message: Any,
        recipient: AgentId | AgentType,
        *,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Send a message to one agent, and await its response.

        Args:
            message: Any object; it is passed as it is.
            recipient: The agent. A type: the instance with the fewest open messages.
            cancellation_token: Ends the wait with `CancelledError`, and the handler can see it.
            message_id: By default a UUID.
            timeout: Seconds to wait for the response.

        Raises:
            TimeoutError: There was no response in time; the handler's token is cancelled.
            Exception: What the handler raised.
        """
        # Runtimes that were written for AutoGen have no such parameter.
        limits = {} if timeout is None else {"timeout": timeout}
        return await self._runtime.send_message(
            message,
            recipient,
            sender=self.id,
            cancellation_token=cancellation_token,
            message_id=message_id,
            **limits,
        )

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        cancellation_token: CancellationToken | None = None,
    ) -> None:
        """Send a message to the subscribers of a topic, except to this agent."""
        await self._runtime.publish_message(
            message, topic_id, sender=self.id, cancellation_token=cancellation_token
        )

    async def save_state(self) -> Mapping[str, Any]:
        """The state, as JSON; empty unless the class overrides this."""
        warnings.warn("save_state not implemented", stacklevel=2)
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state; the class overrides this."""
        warnings.warn("load_state not implemented", stacklevel=2)

    async def close(self) -> None:  # noqa: B027 - most agents have nothing to release
        """Release resources; the class can override this."""

    @classmethod
    async def register(
        cls,
        runtime: AgentRuntime,
        type: str,
        factory: Callable[[], Self | Awaitable[Self]],
        *,
        skip_class_subscriptions: bool = False,
        skip_direct_message_subscription: bool = False,
        instances: int | None = None,
        tags: Collection[str] = (),
    ) -> AgentType:
        """Register a factory, and the subscriptions of the class.

        Args:
            runtime: Where.
            type: The name; agents are addressed as `AgentId(type, key)`.
            factory: Creates an agent; it is called at the first message for a key.
            skip_class_subscriptions: Leave out those of the decorators.
            skip_direct_message_subscription: Leave out the topics that begin with `type:`.
            instances: How many instances share the messages that are sent to the type itself.
            tags: Words with which `runtime.registry` finds the type.

        Raises:
            ValueError: The name is in use.
        """
        agent_type = AgentType(type)
        more: dict[str, Any] = (
            {} if instances is None and not tags else {"instances": instances, "tags": tags}
        )
        await runtime.register_factory(agent_type, factory, expected_class=cls, **more)
        if not skip_class_subscriptions:
            for each in await created_for(agent_type, *cls.internal_unbound_subscriptions_list):
                await runtime.add_subscription(each)
        if not skip_direct_message_subscription:
            await runtime.add_subscription(TypePrefixSubscription(f"{type}:", type))
        return agent_type

    async def register_instance(
        self,
        runtime: AgentRuntime,
        agent_id: AgentId,
        *,
        skip_class_subscriptions: bool = True,
        skip_direct_message_subscription: bool = False,
    ) -> AgentId:
        """Register this object; only `agent_id` is delivered to it.

        Raises:
            ValueError: The id is in use, or the type belongs to a factory or to another class.
        """
        await runtime.register_agent_instance(self, agent_id)
        await runtime.add_subscription(TypeSubscription(agent_id.key, agent_id.type))
        if not skip_class_subscriptions:
            unbound = self.internal_unbound_subscriptions_list
            for each in await created_for(AgentType(agent_id.type), *unbound):
                await runtime.add_subscription(each)
        if not skip_direct_message_subscription:
            with suppress(ValueError):  # another instance of the type has it
                await runtime.add_subscription(
                    TypePrefixSubscription(f"{agent_id.type}:", agent_id.type)
                )
        return agent_id


class AgentProxy:
    """An agent of which only the address is known.

    Args:
        agent: The address.
        runtime: The runtime that delivers to it.
    """

    def __init__(self, agent: AgentId, runtime: AgentRuntime) -> None:
        self._agent = agent
        self._runtime = runtime

    @property
    def id(self) -> AgentId:
        """The address."""
        return self._agent

    @property
    def metadata(self) -> Awaitable[AgentMetadata]:
        """The address and the description."""
        return self._runtime.agent_metadata(self._agent)

    async def send_message(
        self,
        message: Any,
        *,
        sender: AgentId,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send a message, and await the response."""
        return await self._runtime.send_message(
            message,
            self._agent,
            sender=sender,
            cancellation_token=cancellation_token,
            message_id=message_id,
        )

    async def save_state(self) -> Mapping[str, Any]:
        """The state, as JSON."""
        return await self._runtime.agent_save_state(self._agent)

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `save_state` returned."""
        await self._runtime.agent_load_state(self._agent, state)
