"""The seam to a queue that asks workers to execute runs.

A message is a hint: it may be lost, duplicated or late, and the reaper sends it again. Above it:
the API, the engine and the reaper. Below it: `local.py` (same process) and `celery.py` (Redis).
`queues.py` has the names of the queues.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue

__all__ = ["Backlog", "Dispatcher", "QueueDepth", "Waiting"]


class Dispatcher(Protocol):
    """Sends hints."""

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        """Ask workers to execute the runs soon.

        Args:
            refs: The runs; one message names as many of them as the transport allows.
            queue: The queue to send them on.
            first: Put them before the messages that wait, if the transport has an order. It is for
                runs that were taken from the queue and could not be executed.

        Raises:
            DeliveryError: The queue did not accept the messages within 2 seconds. Some of them may
                have been accepted.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@runtime_checkable
class QueueDepth(Protocol):
    """A dispatcher that can count the waiting messages."""

    async def depths(self) -> dict[str, int]:
        """The number of waiting messages, by the name of the queue.

        Raises:
            DeliveryError: The queue cannot be reached.
        """
        ...


class Waiting(NamedTuple):
    """A message that was taken from a queue."""

    queue: Queue
    refs: list[RunRef]


@runtime_checkable
class Backlog(Protocol):
    """A dispatcher whose waiting messages a worker can take many at a time."""

    async def take(self, most: int, *, queues: Sequence[Queue]) -> list[Waiting]:
        """The next messages that name runs, at most so many, those of the first queue first.

        They are removed. If the worker ends before it has started their runs, the reaper sends
        them again.

        Raises:
            DeliveryError: The queue cannot be reached.
        """
        ...
