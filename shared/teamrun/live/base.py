"""The seam to volatile shared state, split by purpose.

`PubSub` reaches live subscribers, `Leases` keep processes from doing the same work twice, `Views`
cache the states of runs, `Shares` divide the limits of model profiles (`models/pacing/base.py`),
and `Answers` keep answers of models (`models/answers.py`). `Live` is all five on one server. The
engine, the reaper and the API stay correct if all of it is empty or unreachable. `memory.py` (one
process) and `redis.py` implement it. If `Live.is_shared` is false, other processes of the
deployment have a state of their own: claims then have a term in the log, and the log is read at
intervals.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import NamedTuple, Protocol

from teamrun.models.answers import Answers
from teamrun.models.pacing.base import Shares

__all__ = ["Leases", "Live", "PubSub", "View", "Views"]


class View(NamedTuple):
    """A folded state, and the number of log entries that it was folded from."""

    entries: int
    state: bytes


class PubSub(Protocol):
    """Messages to the current subscribers.

    Methods raise `DeliveryError` if the server cannot be reached; callers continue without it.
    """

    async def publish(self, topic: str, message: bytes) -> None:
        """Send a message to the current subscribers."""
        ...

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The messages published while the context is entered.

        A slow reader loses the oldest messages; a lost connection ends the iteration.
        """
        ...


class Leases(Protocol):
    """Names that one owner has for a time.

    They only avoid duplicate work; correctness does not depend on them. Methods raise
    `DeliveryError` if the server cannot be reached.
    """

    async def acquire(self, name: str, owner: str, lease: timedelta) -> bool:
        """Take or renew the lease; returns False if another owner has it."""
        ...

    async def release(self, name: str, owner: str) -> None:
        """Release the lease if `owner` has it."""
        ...

    async def held(self, names: Sequence[str]) -> list[bool]:
        """Which of the leases have an owner."""
        ...

    async def age(self) -> timedelta | None:
        """How long this state has existed; None if it is new (flushed, replaced).

        The first call after a loss starts the count.
        """
        ...


class Views(Protocol):
    """Cached states of runs.

    Methods raise `DeliveryError` if the server cannot be reached; callers read the log instead.
    """

    async def set_view(self, key: str, view: View) -> None:
        """Store the view unless the stored one has as many entries or more."""
        ...

    async def views(self, keys: Sequence[str]) -> list[View | None]:
        """The stored views, in the order of `keys`."""
        ...

    async def drop_view(self, key: str) -> None:
        """Remove a stored view; does nothing if there is none."""
        ...


class Live(PubSub, Leases, Views, Shares, Answers, Protocol):
    """Volatile state, usually shared by the processes of one deployment."""

    @property
    def is_shared(self) -> bool:
        """Whether all processes that execute or serve the runs of the store use this state.

        If not, leases and notices reach only this process.
        """
        ...

    async def ping(self) -> None:
        """Check that the server responds and accepts writes."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
