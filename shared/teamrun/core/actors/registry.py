"""The agents of a runtime: by type, topic and tag, and how busy each instance is."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from teamrun.core.actors.ids import AgentId, AgentType, TopicId
from teamrun.core.actors.protocols import Agent
from teamrun.core.actors.subscriptions import Subscriptions

__all__ = ["AgentRegistry", "RegisteredType"]


@dataclass(slots=True, eq=False)
class RegisteredType:
    """A name under which agents are registered."""

    agent_type: AgentType
    tags: frozenset[str] = frozenset()
    """What the agents can do, in words of the user's own."""
    keys: list[str] = field(default_factory=lambda: ["default"])
    """The instances that share the messages which are sent to the type itself."""
    factory: Callable[[], Agent | Awaitable[Agent]] | None = None
    """Creates the agent of a new key; None: only objects are registered."""
    instance_class: type[Any] | None = None
    """The class of the objects."""

    @property
    def ids(self) -> list[AgentId]:
        """The addresses of the instances."""
        return [AgentId(self.agent_type, key) for key in self.keys]


class AgentRegistry:
    """What is registered in a runtime."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._types: dict[str, RegisteredType] = {}
        self._subscriptions = subscriptions
        self._open: Counter[AgentId] = Counter()

    def __contains__(self, type: str) -> bool:
        return type in self._types

    def find(
        self,
        *,
        type: str | AgentType | None = None,
        topic: str | TopicId | None = None,
        tag: str | None = None,
    ) -> list[RegisteredType]:
        """The types that fit every criterion, in the order of registration.

        Args:
            type: The name.
            topic: A topic, or its type, that the agents subscribe to.
            tag: One of the tags.
        """
        name = type.type if isinstance(type, AgentType) else type
        topic = TopicId(topic) if isinstance(topic, str) else topic
        ids = () if topic is None else self._subscriptions.recipients(topic)
        subscribed = {each.type for each in ids}
        return [
            each
            for each in self._types.values()
            if name in {None, each.agent_type.type}
            and (topic is None or each.agent_type.type in subscribed)
            and (tag is None or tag in each.tags)
        ]

    def load(self, agent_id: AgentId) -> int:
        """How many messages to this agent are waiting or being handled."""
        return self._open[agent_id]

    def least_loaded(self, type: str | AgentType) -> AgentId:
        """The instance of a type with the fewest open messages; of several, the first.

        Raises:
            LookupError: Nothing is registered under this name.
        """
        return min(self.registered(type).ids, key=self.load)

    def registered(self, type: str | AgentType) -> RegisteredType:
        """What is registered under a name.

        Raises:
            LookupError: Nothing is.
        """
        name = type.type if isinstance(type, AgentType) else type
        if name not in self._types:
            known = ", ".join(map(repr, self._types)) or "none"
            raise LookupError(f"Agent with name {name} not found. Registered types: {known}.")
        return self._types[name]

    def add_factory(
        self,
        type: AgentType,
        factory: Callable[[], Agent | Awaitable[Agent]],
        *,
        instances: int | None,
        tags: Collection[str],
    ) -> None:
        """Add a factory; `instances` of the type share its messages.

        Raises:
            ValueError: The name is in use, or the number of instances is below 1.
        """
        if type.type in self._types:
            raise ValueError(f"Agent with type {type.type} already exists.")
        if instances is not None and instances < 1:
            raise ValueError(f"`instances` is the number of agents, at least 1, not {instances}.")
        if isinstance(tags, str):
            raise ValueError(f"`tags` is a collection of words, such as [{tags!r}], not a text.")
        row = RegisteredType(type, tags=frozenset(tags), factory=factory)
        if instances is not None:
            row.keys = [str(number) for number in range(1, instances + 1)]
        self._types[type.type] = row

    def add_instance(self, agent: Agent, agent_id: AgentId) -> None:
        """Add an object.

        Raises:
            ValueError: The type belongs to a factory, or to objects of another class.
        """
        row = self._types.get(agent_id.type)
        if row is None:
            row = RegisteredType(AgentType(agent_id.type), keys=[], instance_class=type(agent))
            self._types[agent_id.type] = row
        if row.factory is not None:
            raise ValueError(
                "Agent factories and agent instances cannot be registered to the same type."
            )
        if row.instance_class is not type(agent):
            raise ValueError("Agent instances must be the same object type.")
        row.keys.append(agent_id.key)

    def opened(self, agent_id: AgentId) -> None:
        """Count a message to an agent."""
        self._open[agent_id] += 1

    def closed(self, agent_id: AgentId) -> None:
        """Count a message as handled."""
        self._open[agent_id] -= 1
        if not self._open[agent_id]:
            del self._open[agent_id]  # there may be a key for each conversation
