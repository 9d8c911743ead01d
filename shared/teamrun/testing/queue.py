"""A queue in memory: messages stay until the test delivers them."""

from collections import deque
from collections.abc import Awaitable, Callable

from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError

__all__ = ["MemoryQueue"]


class MemoryQueue:
    """Implements `Dispatcher`; a test can inspect, remove or duplicate messages."""

    def __init__(self) -> None:
        self.sent: list[RunRef] = []
        """Everything that was ever sent, in order."""
        self.waiting: deque[RunRef] = deque()
        """The messages that have not been delivered."""
        self.is_down = False
        """Whether sending fails."""

    async def send(self, ref: RunRef) -> None:
        """Keep the message.

        Raises:
            DeliveryError: `is_down` is set.
        """
        if self.is_down:
            raise DeliveryError("the queue is down, as planned")
        self.sent.append(ref)
        self.waiting.append(ref)

    async def deliver(self, execute: Callable[[RunRef], Awaitable[object]]) -> int:
        """Execute the waiting runs one after the other; returns how many."""
        delivered = 0
        while self.waiting:
            await execute(self.waiting.popleft())
            delivered += 1
        return delivered

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""
