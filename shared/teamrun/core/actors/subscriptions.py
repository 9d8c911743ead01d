"""Subscriptions: which agents receive what is published to a topic."""

import uuid
from collections.abc import Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, TypeVar, overload

from teamrun.core.actors.contexts import SubscriptionInstantiationContext
from teamrun.core.actors.errors import CantHandleException
from teamrun.core.actors.ids import AgentId, AgentType, TopicId
from teamrun.core.actors.protocols import Subscription, UnboundSubscription

if TYPE_CHECKING:
    from teamrun.core.actors.agent import BaseAgent

__all__ = [
    "DefaultSubscription",
    "Subscriptions",
    "TypePrefixSubscription",
    "TypeSubscription",
    "created_for",
    "default_subscription",
    "type_subscription",
]

BaseAgentT = TypeVar("BaseAgentT", bound="BaseAgent")


class _OfType:
    """A subscription of a type of agents; the source of a topic is the key of the agent."""

    def __init__(self, topic: str, agent_type: str | AgentType, id: str | None) -> None:
        self._topic = topic
        self._agent_type = agent_type.type if isinstance(agent_type, AgentType) else agent_type
        self._id = id or str(uuid.uuid4())

    @property
    def id(self) -> str:
        """A unique id, with which the subscription can be removed."""
        return self._id

    @property
    def agent_type(self) -> str:
        """The type of the agents that receive the messages."""
        return self._agent_type

    def is_match(self, topic_id: TopicId) -> bool:
        """Whether the subscription is for this topic."""
        raise NotImplementedError

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        """The agent whose key is the source of the topic.

        Raises:
            CantHandleException: The subscription is for other topics.
        """
        if not self.is_match(topic_id):
            raise CantHandleException("TopicId does not match the subscription")
        return AgentId(self._agent_type, topic_id.source)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _OfType):
            return False
        mine, its = (self._topic, self._agent_type), (other._topic, other._agent_type)
        return self.id == other.id or (_kind(self) is _kind(other) and mine == its)


class TypeSubscription(_OfType):
    """The agents of a type receive the topics of one type.

    Args:
        topic_type: The type of the topics.
        agent_type: The type of the agents.
        id: A unique id; by default a UUID.
    """

    def __init__(self, topic_type: str, agent_type: str | AgentType, id: str | None = None) -> None:
        super().__init__(topic_type, agent_type, id)

    @property
    def topic_type(self) -> str:
        """The type of the topics."""
        return self._topic

    def is_match(self, topic_id: TopicId) -> bool:
        """Whether the topic is of this type."""
        return topic_id.type == self._topic


class TypePrefixSubscription(_OfType):
    """The agents of a type receive all topics whose types have one beginning.

    Args:
        topic_type_prefix: The beginning of the types of the topics.
        agent_type: The type of the agents.
        id: A unique id; by default a UUID.
    """

    def __init__(
        self, topic_type_prefix: str, agent_type: str | AgentType, id: str | None = None
    ) -> None:
        super().__init__(topic_type_prefix, agent_type, id)

    @property
    def topic_type_prefix(self) -> str:
        """The beginning of the types of the topics."""
        return self._topic

    def is_match(self, topic_id: TopicId) -> bool:
        """Whether the type of the topic begins so."""
        return topic_id.type.startswith(self._topic)


class DefaultSubscription(TypeSubscription):
    """A `TypeSubscription` to the topic `default` of the agents that are being registered.

    Raises:
        CantHandleException: No agents are being registered, and no `agent_type` is given.
    """

    def __init__(
        self, topic_type: str = "default", agent_type: str | AgentType | None = None
    ) -> None:
        try:
            agent_type = agent_type or SubscriptionInstantiationContext.agent_type()
        except RuntimeError as error:
            raise CantHandleException(
                "If agent_type is not specified DefaultSubscription must be created within the "
                "subscription callback in AgentRuntime.register"
            ) from error
        super().__init__(topic_type, agent_type)


def _kind(subscription: _OfType) -> type:
    is_prefix = isinstance(subscription, TypePrefixSubscription)
    return TypePrefixSubscription if is_prefix else TypeSubscription


@overload
def default_subscription() -> Callable[[type[BaseAgentT]], type[BaseAgentT]]: ...


@overload
def default_subscription(cls: type[BaseAgentT]) -> type[BaseAgentT]: ...


def default_subscription(
    cls: type[BaseAgentT] | None = None,
) -> Callable[[type[BaseAgentT]], type[BaseAgentT]] | type[BaseAgentT]:
    """Subscribe the agents of a class to the topic type `default`; with or without parentheses."""
    decorate = type_subscription("default")
    return decorate if cls is None else decorate(cls)


def type_subscription(topic_type: str) -> "Callable[[type[BaseAgentT]], type[BaseAgentT]]":
    """Subscribe the agents of a class to a topic type, under each type that they register as."""

    def decorate(cls: type[BaseAgentT]) -> type[BaseAgentT]:
        cls.internal_unbound_subscriptions_list.append(lambda: [DefaultSubscription(topic_type)])
        return cls

    return decorate


async def created_for(type: AgentType, *created: UnboundSubscription) -> list[Subscription]:
    """The subscriptions that functions create for a type of agents."""
    subscriptions: list[Subscription] = []
    with SubscriptionInstantiationContext.populate_context(type):
        for create in created:
            made = create()
            subscriptions += await made if isawaitable(made) else made
    return subscriptions


class Subscriptions:
    """All subscriptions of a runtime, in their order."""

    def __init__(self) -> None:
        self._all: list[Subscription] = []

    def add(self, subscription: Subscription) -> None:
        """Add one.

        Raises:
            ValueError: There is an equal one.
        """
        if any(each.id == subscription.id or each == subscription for each in self._all):
            raise ValueError("Subscription already exists")
        self._all.append(subscription)

    def remove(self, id: str) -> None:
        """Remove one.

        Raises:
            ValueError: There is none of this id.
        """
        kept = [each for each in self._all if each.id != id]
        if len(kept) == len(self._all):
            raise ValueError("Subscription does not exist")
        self._all = kept

    def recipients(self, topic: TopicId) -> list[AgentId]:
        """The agents that receive the messages of a topic, in the order of the subscriptions."""
        return [each.map_to_agent(topic) for each in self._all if each.is_match(topic)]
