"""An agent that receives a selection of the messages, by their sources."""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from teamrun.agents.base import BaseChatAgent
from teamrun.core.cancellation import CancellationToken
from teamrun.core.checks import checked_instance
from teamrun.core.emission import Emit
from teamrun.core.protocols import AnyMessage, Response
from teamrun.json_types import JsonMapping
from teamrun.messages.chat import BaseChatMessage

if TYPE_CHECKING:
    from types import CoroutineType
    from typing import Any

__all__ = ["MessageFilterAgent", "MessageFilterConfig", "PerSourceFilter"]


class PerSourceFilter(BaseModel, defer_build=True):
    """Which messages of one source pass."""

    source: str
    """The name of the agent or person that sent them."""
    position: Literal["first", "last"] | None = None
    """Which of them; None: all."""
    count: int | None = None
    """How many of the first or last ones; None: all."""


class MessageFilterConfig(BaseModel, defer_build=True):
    """Which messages pass; messages of other sources do not."""

    per_source: list[PerSourceFilter]
    """The selected messages are received in this order of their sources."""


class MessageFilterAgent(BaseChatAgent):
    """An agent that passes a selection of the messages to another one, and its answers on.

    The selection is made of the messages since the agent's last turn. The answers have the name of
    the other agent as their source.

    Args:
        name: A Python identifier, unique in a team.
        wrapped_agent: The agent that answers.
        filter: The messages that it receives.

    Raises:
        TypeError: `wrapped_agent` or `filter` is of another class.
    """

    def __init__(
        self, name: str, wrapped_agent: BaseChatAgent, filter: MessageFilterConfig
    ) -> None:
        agent = checked_instance(
            wrapped_agent, BaseChatAgent, parameter="wrapped_agent", expected="an agent"
        )
        super().__init__(name, f"{agent.description} (with message filtering)")
        self._wrapped_agent = wrapped_agent
        expected = "MessageFilterConfig(per_source=[PerSourceFilter(source=...)])"
        self._filter = checked_instance(
            filter, MessageFilterConfig, parameter="filter", expected=expected
        )

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The classes that its chat messages may have."""
        return self._wrapped_agent.produced_message_types

    @property
    def wrapped_agent(self) -> BaseChatAgent:
        """The agent that answers."""
        return self._wrapped_agent

    @property
    def speaks_as(self) -> str:
        """The source of its messages."""
        inner = self._wrapped_agent
        return inner.speaks_as if isinstance(inner, MessageFilterAgent) else inner.name

    def add_instructions(self, text: str) -> bool:
        """Add a text to the system message of the other agent."""
        return self._wrapped_agent.add_instructions(text)

    def copy_with(self, wrapped_agent: BaseChatAgent) -> "MessageFilterAgent":
        """The same filter before another agent."""
        return MessageFilterAgent(self._name, wrapped_agent, self._filter)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        """Let the other agent respond to the selected messages."""
        token = cancellation_token or CancellationToken()
        return await self._wrapped_agent.on_messages(self._selected(messages), token)

    def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        """Let the other agent respond to the selected messages; yields its items."""
        token = cancellation_token or CancellationToken()
        return self._wrapped_agent.on_messages_stream(self._selected(messages), token)

    def on_messages_emit(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None,
        emit: Emit[AnyMessage],
    ) -> "CoroutineType[Any, Any, Response | None]":
        """Do the same as `on_messages_stream` for a caller that awaits the response."""
        selected = self._selected(messages)
        return self._wrapped_agent.on_messages_emit(selected, cancellation_token, emit)

    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None:
        """Let the other agent forget everything."""
        await self._wrapped_agent.on_reset(cancellation_token or CancellationToken())

    async def on_pause(self, cancellation_token: CancellationToken | None = None) -> None:
        """Pass it on."""
        await self._wrapped_agent.on_pause(cancellation_token)

    async def on_resume(self, cancellation_token: CancellationToken | None = None) -> None:
        """Pass it on."""
        await self._wrapped_agent.on_resume(cancellation_token)

    async def save_state(self) -> JsonMapping:
        """The state of the other agent; AutoGen saves none."""
        inner = dict(await self._wrapped_agent.save_state())
        return {"type": "BaseState", "version": "1.0.0", "wrapped_agent": inner}

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from the result of `save_state`."""
        if (inner := state.get("wrapped_agent")) is not None:
            await self._wrapped_agent.load_state(inner)

    async def close(self) -> None:
        """Release the resources of the other agent."""
        await self._wrapped_agent.close()

    def _selected(self, messages: Sequence[BaseChatMessage]) -> list[BaseChatMessage]:
        return [message for each in self._filter.per_source for message in _passing(messages, each)]


def _passing(
    messages: Sequence[BaseChatMessage], of_source: PerSourceFilter
) -> Sequence[BaseChatMessage]:
    sent = [message for message in messages if message.source == of_source.source]
    match of_source.position:
        case "first" if of_source.count:
            return sent[: of_source.count]
        case "last" if of_source.count:
            return sent[-of_source.count :]
        case _:
            return sent
