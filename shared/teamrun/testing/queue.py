"""A queue in memory: messages stay until the test delivers them."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError

__all__ = ["MemoryQueue"]


class MemoryQueue:
    """Implements `Dispatcher`; a test can inspect, remove or duplicate messages.

    Each message names one run, and all queues have one order.
    """

    def __init__(self) -> None:
        self.sent: list[RunRef] = []
        """Everything that was ever sent, in order."""
        self.queues: dict[RunRef, Queue] = {}
        """The queue on which a run was last sent."""
        self.waiting: deque[RunRef] = deque()
        """The messages that have not been delivered."""
        self.is_down = False
        """Whether sending fails."""

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        """Keep the messages.

        Raises:
            DeliveryError: `is_down` is set.
        """
        if self.is_down:
            raise DeliveryError("the queue is down, as planned")
        self.sent.extend(refs)
        self.queues.update(dict.fromkeys(refs, queue))
        if first:
            self.waiting.extendleft(reversed(refs))
        else:
            self.waiting.extend(refs)

    async def deliver(self, execute: Callable[[RunRef], Awaitable[object]]) -> int:
        """Execute the waiting runs one after the other; returns how many."""
        delivered = 0
        while self.waiting:
            await execute(self.waiting.popleft())
            delivered += 1
        return delivered

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""
