"""The seam to shared state that may vanish at any time: live subscribers, leases, views.

Above it: the engine, the reaper and the API, which stay correct when all of this is empty or
unreachable. Below it: `memory.py` (one process) and `redis.py`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import NamedTuple, Protocol

__all__ = ["Live", "View"]


class View(NamedTuple):
    """A folded state beside the number of log entries it was folded from."""

    entries: int
    state: bytes


class Live(Protocol):
    """Volatile state shared by the processes of one deployment.

    Methods raise `DeliveryError` where the server cannot be reached; callers go on without.
    """

    async def publish(self, topic: str, message: bytes) -> None:
        """Send to whoever subscribes at this moment."""
        ...

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Messages published from the time the context is entered until it is left.

        A slow reader loses the oldest; a lost connection ends the iteration.
        """
        ...

    async def acquire(self, name: str, owner: str, lease: timedelta) -> bool:
        """Take the lease, or renew it where `owner` has it; False where another holds it."""
        ...

    async def release(self, name: str, owner: str) -> None:
        """Give the lease up, where `owner` has it."""
        ...

    async def held(self, names: Sequence[str]) -> list[bool]:
        """Which of the leases somebody holds."""
        ...

    async def age(self) -> timedelta | None:
        """How long this state has existed; None where it has just been made (flushed, replaced).

        The first call after a loss starts the count.
        """
        ...

    async def set_view(self, key: str, view: View) -> None:
        """Store the view unless one of as many or more entries is there."""
        ...

    async def views(self, keys: Sequence[str]) -> list[View | None]:
        """The stored views, in the order of `keys`."""
        ...

    async def drop_view(self, key: str) -> None:
        """Remove a stored view; nothing happens if there is none."""
        ...

    async def ping(self) -> None:
        """Prove that the server answers and takes writes."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
