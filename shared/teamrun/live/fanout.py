"""Delivers the messages of topics to all readers within one process."""

import asyncio
from collections import deque

__all__ = ["Fanout", "Reader"]

_CAPACITY = 1024


class Reader:
    """Iterates over the messages of one topic; beyond `capacity` the oldest are dropped."""

    __slots__ = ("_ended", "_messages", "_waiter")

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._messages: deque[bytes] = deque(maxlen=capacity)
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    def give(self, message: bytes) -> None:
        """Add a message."""
        self._messages.append(message)
        self._wake()

    def end(self) -> None:
        """End the iteration after the messages that are already there."""
        self._ended = True
        self._wake()

    def __aiter__(self) -> "Reader":
        return self

    async def __anext__(self) -> bytes:
        while not self._messages:
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._messages.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Fanout:
    """The readers of each topic."""

    def __init__(self, *, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._topics: dict[str, dict[Reader, None]] = {}
        """In the order in which they came, so that a schedule can be repeated."""

    def join(self, topic: str) -> Reader:
        """Add a reader of the topic."""
        reader = Reader(self._capacity)
        self._topics.setdefault(topic, {})[reader] = None
        return reader

    def leave(self, topic: str, reader: Reader) -> bool:
        """Remove a reader; returns True if it was the last one of the topic."""
        readers = self._topics.get(topic)
        if readers is None or reader not in readers:
            return False
        del readers[reader]
        if readers:
            return False
        del self._topics[topic]
        return True

    def deliver(self, topic: str, message: bytes) -> None:
        """Deliver a message to the readers of its topic."""
        for reader in self._topics.get(topic, ()):
            reader.give(message)

    def end(self) -> None:
        """End every iteration and remove all readers."""
        topics, self._topics = self._topics, {}
        for readers in topics.values():
            for reader in readers:
                reader.end()
