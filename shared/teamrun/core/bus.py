"""Typed events of agents and teams, and the bus that delivers them to functions.

They are for scripts and notebooks: nothing is created unless a function has subscribed. The events
of a durable run are another thing, see `docs/reference/events.md`.
"""

import inspect
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    from teamrun.core.protocols import Response
    from teamrun.messages.chat import BaseChatMessage

__all__ = [
    "AgentCompleted",
    "AgentStarted",
    "AgentStopped",
    "Error",
    "EventBus",
    "LifecycleEvent",
    "MessageReceived",
    "MessageSent",
    "ToolCompleted",
    "ToolInvoked",
]

_MOST_EVENTS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent:
    """The base of the events: subscribe to it for all of them."""

    agent_id: str
    """The name of the agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStarted(LifecycleEvent):
    """An agent begins a turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStopped(LifecycleEvent):
    """A turn is over, with an answer or without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCompleted(LifecycleEvent):
    """An agent has answered."""

    response: "Response"
    duration_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(LifecycleEvent):
    """An agent gets a message, at the beginning of its turn."""

    message: "BaseChatMessage"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent(LifecycleEvent):
    """An agent has sent a message."""

    message: "BaseChatMessage"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInvoked(LifecycleEvent):
    """A model has requested a tool call, which begins."""

    tool_name: str
    arguments: str
    """JSON text, as the model wrote it."""
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCompleted(LifecycleEvent):
    """A tool call has ended."""

    tool_name: str
    result: str
    is_error: bool
    call_id: str
    duration_ms: float
    """Of all calls that the model requested together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(LifecycleEvent):
    """A turn has raised an exception."""

    error: BaseException


EventT = TypeVar("EventT", bound=LifecycleEvent)
Function: TypeAlias = Callable[[Any], Any]


class EventBus:
    """Delivers events to the functions that subscribed to their class, in order.

    A function may be async; it is awaited. Its exception is raised where the event is emitted, so
    that of a team's event ends the turn. The last 10,000 events are kept for `get_events`.
    """

    def __init__(self) -> None:
        self._functions: list[tuple[type[LifecycleEvent], Function]] = []
        self._events: deque[LifecycleEvent] = deque(maxlen=_MOST_EVENTS)

    def subscribe(self, kind: type[EventT], function: Callable[[EventT], Any]) -> None:
        """Call a function with each event of a class.

        Raises:
            TypeError: The class is not one of the events.
        """
        if not (isinstance(kind, type) and issubclass(kind, LifecycleEvent)):  # pyright: ignore[reportUnnecessaryIsInstance] - untyped callers
            raise TypeError(
                f"Events are classes such as AgentStarted or MessageSent, not {kind!r}."
            )
        self._functions.append((kind, function))

    def unsubscribe(self, kind: type[EventT], function: Callable[[EventT], Any]) -> None:
        """Undo a subscription.

        Raises:
            ValueError: There is none.
        """
        try:
            self._functions.remove((kind, function))
        except ValueError:
            raise ValueError(f"The function is not subscribed to {kind.__name__}.") from None

    async def emit(self, event: LifecycleEvent) -> None:
        """Keep an event, and call the functions that subscribed to its class or a base of it."""
        self._events.append(event)
        for kind, function in tuple(self._functions):
            if isinstance(event, kind):
                result = function(event)
                if inspect.isawaitable(result):
                    await result

    @overload
    def get_events(self) -> Sequence[LifecycleEvent]: ...

    @overload
    def get_events(self, kind: type[EventT]) -> Sequence[EventT]: ...

    def get_events(self, kind: type[LifecycleEvent] = LifecycleEvent) -> Sequence[LifecycleEvent]:
        """The events of a class so far, oldest first; all events without one."""
        return [event for event in self._events if isinstance(event, kind)]
