"""The calls of one profile that wait to start, in their order."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

__all__ = ["Line", "Waiter"]


@dataclass(slots=True, eq=False)
class Waiter:
    """One call that waits."""

    started: asyncio.Future[None]
    tokens: int
    """An estimate; 0 if they are not limited."""


@dataclass(slots=True)
class Line:
    """First come, first served; calls of batches come after all others."""

    _single: deque[Waiter] = field(default_factory=deque[Waiter])
    _batch: deque[Waiter] = field(default_factory=deque[Waiter])

    def __len__(self) -> int:
        return len(self._single) + len(self._batch)

    def __iter__(self) -> Iterator[Waiter]:
        return chain(self._single, self._batch)

    def add(self, waiter: Waiter, *, is_batch: bool, is_first: bool) -> None:
        """Add a call.

        Args:
            waiter: The call.
            is_batch: Whether its run is an item of a batch.
            is_first: Whether it comes before the others of its kind, because it was rejected.
        """
        part = self._batch if is_batch else self._single
        if is_first:
            part.appendleft(waiter)
        else:
            part.append(waiter)

    def head(self) -> Waiter:
        """The call that is the next to start; there must be one."""
        return (self._single or self._batch)[0]

    def take(self) -> None:
        """Remove the head."""
        (self._single or self._batch).popleft()

    def discard(self, waiter: Waiter) -> None:
        """Remove a call, if it is there."""
        for part in (self._single, self._batch):
            if waiter in part:
                part.remove(waiter)
