"""The queue of a runtime: messages in their order, and how many are not yet handled."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from teamrun.core.actors.contexts import MessageContext
from teamrun.core.actors.errors import UndeliverableException
from teamrun.core.actors.ids import AgentId, TopicId

__all__ = ["Answered", "Item", "Mailbox", "Published", "Sent", "settle"]


@dataclass(slots=True)
class Sent:
    """A message to one agent."""

    message: Any
    context: MessageContext
    recipient: AgentId
    response: "asyncio.Future[Any]"


@dataclass(slots=True)
class Published:
    """A message to a topic."""

    message: Any
    context: MessageContext
    topic: TopicId


@dataclass(slots=True)
class Answered:
    """The response to a message."""

    message: Any
    sender: AgentId
    recipient: AgentId | None
    response: "asyncio.Future[Any]"


Item = Sent | Published | Answered


@dataclass(slots=True)
class Mailbox:
    """A queue that can be closed, which `asyncio.Queue` cannot before Python 3.13."""

    is_closed: bool = False
    _items: deque[Item] = field(default_factory=deque[Item])
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _open: int = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Add a message.

        Raises:
            UndeliverableException: The queue is closed.
        """
        if self.is_closed:
            raise _stopped()
        self._items.append(item)
        self._open += 1
        self._arrived.set()

    async def get(self) -> Item | None:
        """The next message; None when the queue is closed. Call `done` when it is handled."""
        while not self._items:
            if self.is_closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return self._items.popleft()

    def done(self) -> None:
        """Count a message as handled."""
        self._open -= 1
        if self._open == 0:
            self._idle.set()

    async def until_idle(self) -> None:
        """Wait until every message is handled."""
        while self._open:
            self._idle.clear()
            await self._idle.wait()

    def close(self) -> None:
        """Drop what is waiting; whoever awaits a response gets an `UndeliverableException`."""
        self.is_closed = True
        while self._items:
            item = self._items.popleft()
            if isinstance(item, Answered):
                settle(item.response, item.message)
            elif isinstance(item, Sent):
                settle(item.response, error=_stopped())
            self.done()
        self._arrived.set()


def settle(
    response: "asyncio.Future[Any]", value: Any = None, *, error: BaseException | None = None
) -> None:
    """Give the sender the response or the error, unless it no longer waits."""
    if response.done():
        return
    if error is None:
        response.set_result(value)
    elif isinstance(error, asyncio.CancelledError):
        response.cancel()
    else:
        response.set_exception(error)


def _stopped() -> UndeliverableException:
    return UndeliverableException(
        "The runtime was stopped before it handled this message. Use `stop_when_idle` to handle "
        "all messages first."
    )
