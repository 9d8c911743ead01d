"""Functions that are called in the course of an agent's turns, and the events of a team.

Watching an agent replaces its methods in the object, as tracing libraries do. So an agent without
functions does no work for this.
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from time import monotonic
from typing import Any, Literal, Protocol, TypeAlias

from teamrun.agents.base import last_response
from teamrun.core.bus import (
    AgentCompleted,
    AgentStarted,
    AgentStopped,
    Error,
    EventBus,
    LifecycleEvent,
    MessageReceived,
    MessageSent,
    ToolCompleted,
    ToolInvoked,
)
from teamrun.core.cancellation import CancellationToken
from teamrun.core.checks import wrong_type
from teamrun.core.protocols import AnyMessage, Response
from teamrun.messages.chat import BaseChatMessage
from teamrun.messages.events import ToolCallExecutionEvent, ToolCallRequestEvent

__all__ = ["Hook", "Lifecycle", "Moment", "watched"]

Moment: TypeAlias = Literal["initialized", "message", "error", "complete"]
Hook: TypeAlias = Callable[..., Any]
"""A function, async or not, without a parameter or with one for its subject."""

_KEY = "_teamrun_lifecycle"


class _Agent(Protocol):
    @property
    def name(self) -> str: ...

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response: ...

    def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]: ...


def watched(agent: _Agent) -> "Lifecycle":
    """The functions and buses of an agent, which is watched from now on."""
    known: Lifecycle | None = vars(agent).get(_KEY)
    if known is None:
        known = vars(agent)[_KEY] = Lifecycle(agent)
    return known


class Lifecycle:
    """The functions and buses of one agent."""

    def __init__(self, agent: _Agent) -> None:
        self._agent = agent
        self._answer, self._stream = agent.on_messages, agent.on_messages_stream
        self._is_inside = self._is_initialized = False
        self._tools_began: dict[str, float] = {}
        self._hooks: list[tuple[Moment, Hook, bool]] = []
        self._buses: list[EventBus] = []
        vars(agent).update(on_messages=self._answered, on_messages_stream=self._streamed)

    def add(self, moment: Moment, hook: Hook) -> None:
        """Call a function at a moment of each turn.

        Raises:
            TypeError: The hook is no function.
        """
        if not callable(hook):
            raise wrong_type("hook", "a function", hook)
        self._hooks.append((moment, hook, _takes_subject(hook)))

    def connect(self, bus: EventBus) -> None:
        """Emit the events of the agent to a bus."""
        if bus not in self._buses:
            self._buses.append(bus)

    async def _answered(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        if self._is_inside:  # the agent's own stream calls it
            return await self._answer(messages, cancellation_token)
        return await last_response(self._streamed(messages, cancellation_token))

    async def _streamed(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        if self._is_inside:  # the agent's own `on_messages` reads it
            async with aclosing(self._stream(messages, cancellation_token)) as items:
                async for item in items:
                    yield item
            return
        self._is_inside = True
        began = monotonic()
        try:
            await self._begin(messages)
            async with aclosing(self._stream(messages, cancellation_token)) as items:
                async for item in items:
                    if isinstance(item, Response):
                        await self._complete(item, began)
                    elif self._buses:
                        await self._report(item)
                    yield item
        except Exception as error:
            await self._emit(Error(agent_id=self._agent.name, error=error))
            await self._call("error", error)
            raise
        finally:
            self._is_inside = False
            await self._emit(AgentStopped(agent_id=self._agent.name))

    async def _begin(self, messages: Sequence[BaseChatMessage]) -> None:
        if not self._is_initialized:
            self._is_initialized = True
            await self._call("initialized", self._agent)
        await self._emit(AgentStarted(agent_id=self._agent.name))
        for message in messages:
            await self._emit(MessageReceived(agent_id=self._agent.name, message=message))
            await self._call("message", message)

    async def _complete(self, response: Response, began: float) -> None:
        name = self._agent.name
        await self._emit(MessageSent(agent_id=name, message=response.chat_message))
        await self._call("complete", response)
        duration_ms = (monotonic() - began) * 1000
        await self._emit(AgentCompleted(agent_id=name, response=response, duration_ms=duration_ms))

    async def _report(self, item: AnyMessage) -> None:
        # Messages of an agent that this one called as a tool, or that is inside, have its name. A
        # task that was delegated has the name of a user, though this agent wrote it.
        name = self._agent.name if item.source == "user" else item.source
        if isinstance(item, ToolCallRequestEvent):
            self._tools_began[name] = monotonic()
            for call in item.content:
                await self._emit(
                    ToolInvoked(
                        agent_id=name,
                        tool_name=call.name,
                        arguments=call.arguments,
                        call_id=call.id,
                    )
                )
        elif isinstance(item, ToolCallExecutionEvent):
            duration_ms = (monotonic() - self._tools_began.pop(name, monotonic())) * 1000
            for result in item.content:
                await self._emit(
                    ToolCompleted(
                        agent_id=name,
                        tool_name=result.name,
                        result=result.content,
                        is_error=bool(result.is_error),
                        call_id=result.call_id,
                        duration_ms=duration_ms,
                    )
                )
        elif isinstance(item, BaseChatMessage):
            await self._emit(MessageSent(agent_id=name, message=item))

    async def _emit(self, event: LifecycleEvent) -> None:
        for bus in self._buses:
            await bus.emit(event)

    async def _call(self, moment: Moment, subject: object) -> None:
        for at, hook, takes_subject in tuple(self._hooks):
            if at == moment:
                result = hook(subject) if takes_subject else hook()
                if inspect.isawaitable(result):
                    await result


def _takes_subject(hook: Hook) -> bool:
    try:
        inspect.signature(hook).bind(None)
    except TypeError:
        return False
    except ValueError:  # a function in C without a signature
        return True
    return True
