"""What the runtime and its agents require of each other."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from teamrun.core.actors.contexts import MessageContext
from teamrun.core.actors.ids import AgentId, AgentMetadata, AgentType, TopicId
from teamrun.core.cancellation import CancellationToken

__all__ = ["Agent", "AgentRuntime", "Subscription", "UnboundSubscription"]


@runtime_checkable
class Agent(Protocol):
    """An actor: it has an address, and handles one message at a time or several."""

    @property
    def metadata(self) -> AgentMetadata:
        """Its address and description."""
        ...

    @property
    def id(self) -> AgentId:
        """Its address."""
        ...

    async def bind_id_and_runtime(self, id: AgentId, runtime: "AgentRuntime") -> None:
        """Take the address; it is called once."""
        ...

    async def on_message(self, message: Any, ctx: MessageContext) -> Any:
        """Handle a message, and return the response."""
        ...

    async def save_state(self) -> Mapping[str, Any]:
        """The state, as JSON."""
        ...

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `save_state` returned."""
        ...

    async def close(self) -> None:
        """Release resources; the runtime is closing."""
        ...


class Subscription(Protocol):
    """Which agent receives the messages of a topic."""

    @property
    def id(self) -> str:
        """A unique id, with which the subscription can be removed."""
        ...

    def is_match(self, topic_id: TopicId) -> bool:
        """Whether the subscription is for this topic."""
        ...

    def map_to_agent(self, topic_id: TopicId) -> AgentId:
        """The agent that receives its messages."""
        ...


UnboundSubscription = Callable[[], Sequence[Subscription] | Awaitable[Sequence[Subscription]]]
"""Creates the subscriptions of a type of agents, in a `SubscriptionInstantiationContext`."""

AgentT = TypeVar("AgentT", bound=Agent)


@runtime_checkable
class AgentRuntime(Protocol):
    """Delivers messages to agents; `SingleThreadedAgentRuntime` is one."""

    async def send_message(
        self,
        message: Any,
        recipient: AgentId | AgentType,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Send a message to one agent, and await its response."""
        ...

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> None:
        """Send a message to all agents that subscribe to a topic, and await nothing."""
        ...

    async def register_factory(
        self,
        type: str | AgentType,
        agent_factory: Callable[[], AgentT | Awaitable[AgentT]],
        *,
        expected_class: type[AgentT] | None = None,
        instances: int | None = None,
        tags: Collection[str] = (),
    ) -> AgentType:
        """Name a factory, which is called for each new key."""
        ...

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        """Give an agent that exists its address."""
        ...

    async def add_subscription(self, subscription: Subscription) -> None:
        """Deliver the messages of a topic from now on."""
        ...

    async def remove_subscription(self, id: str) -> None:
        """End a subscription."""
        ...

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        """The address and description of an agent."""
        ...

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """The state of one agent."""
        ...

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Load the state of one agent."""
        ...

    async def save_state(self) -> Mapping[str, Any]:
        """The states of all agents, by their ids as text."""
        ...

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Load the states of all agents."""
        ...
