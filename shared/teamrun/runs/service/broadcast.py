"""One source of items for many readers: the source is read once, and every reader gets each item.

A source runs while it has readers. Each reader has a bounded buffer. If a reader is too slow for
it, the items that wait are dropped; the reader is told so and reads them elsewhere.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing, asynccontextmanager
from contextvars import Context
from typing import Generic, TypeVar

__all__ = ["Broadcast", "Listener", "Source"]

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

Source = Callable[[], AsyncGenerator[T | None, None]]
"""Makes a source, which yields None when it is open: whatever happens then leads to an item."""

_OVERHEAD = 256
"""Bytes that an item in a buffer takes besides its own size."""


class Listener(Generic[T]):
    """One reader of a source.

    Args:
        limit: The size in bytes of the items that may wait; one item may always wait.
    """

    __slots__ = ("_bytes", "_dropped", "_ended", "_error", "_items", "_limit", "_waiter", "has_gap")

    has_gap: bool
    """Whether items were dropped before those that `next` has returned last."""

    def __init__(self, *, limit: int) -> None:
        self.has_gap = self._dropped = False
        self._limit = limit
        self._items: list[T] = []
        self._bytes = 0
        self._ended = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def give(self, item: T, size: int) -> None:
        """Add an item of so many bytes; if the buffer is full, the items in it are dropped."""
        if self._bytes + size > self._limit:
            self._dropped = self._dropped or bool(self._items)
            self._items, self._bytes = [], 0
        self._items.append(item)
        self._bytes += size
        self._wake()

    def end(self, error: BaseException | None) -> None:
        """End the items, with the error of the source if it failed."""
        self._ended, self._error = True, error
        self._wake()

    async def next(self) -> list[T]:
        """The items that wait, at least one; an empty list if the source has ended.

        Afterwards, `has_gap` tells whether items before them were dropped.

        Raises:
            BaseException: The error of the source, after the items before it.
        """
        while not self._items:
            if self._error is not None:  # every reader raises it: it must not grow
                raise self._error.with_traceback(None)
            if self._ended:
                return []
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        items, self._items, self._bytes = self._items, [], 0
        self.has_gap, self._dropped = self._dropped, False
        return items

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Channel(Generic[T]):
    """A source that runs, and its readers."""

    def __init__(self, source: Source[T], size: Callable[[T], int]) -> None:
        self._size = size
        self.listeners: set[Listener[T]] = set()
        self.ready = asyncio.Event()
        # In a context of its own: it serves other requests than the one that began it.
        self.task = asyncio.get_running_loop().create_task(self._run(source), context=Context())
        self.task.add_done_callback(self._end)

    async def _run(self, source: Source[T]) -> None:
        async with aclosing(source()) as items:
            async for item in items:
                if item is None:
                    self.ready.set()
                    continue
                size = self._size(item) + _OVERHEAD
                for listener in self.listeners:
                    listener.give(item, size)

    def _end(self, task: "asyncio.Task[None]") -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        for listener in self.listeners:
            listener.end(error)
        self.ready.set()


class Broadcast(Generic[K, T]):
    """Sources by key, each of them open once.

    Args:
        limit: The size in bytes of the items that may wait for one reader.
        size: Returns the size of an item in bytes.
    """

    def __init__(self, *, limit: int, size: Callable[[T], int]) -> None:
        self._limit = limit
        self._size = size
        self._channels: dict[K, _Channel[T]] = {}

    @asynccontextmanager
    async def joined(self, key: K, source: Source[T]) -> AsyncGenerator[Listener[T], None]:
        """A reader of the source with this key; `source` opens it if it is not open yet.

        The source is open when the block begins. When the last reader leaves, it has been
        closed when the block ends.
        """
        channel = self._channels.get(key)
        if channel is None or channel.task.done():
            channel = self._channels[key] = _Channel(source, self._size)
        listener = Listener[T](limit=self._limit)
        channel.listeners.add(listener)
        try:
            await channel.ready.wait()
            yield listener
        finally:
            channel.listeners.discard(listener)
            if not channel.listeners:
                await self._close(key, channel)

    async def _close(self, key: K, channel: _Channel[T]) -> None:
        if self._channels.get(key) is channel:
            del self._channels[key]
        channel.task.cancel()
        await asyncio.wait([channel.task])
