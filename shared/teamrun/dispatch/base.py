"""The seam to a queue that asks workers to execute runs.

A message is a hint: it may be lost, duplicated or late, and the reaper sends it again. Above it:
the API, the engine and the reaper. Below it: `local.py` (same process) and `celery.py` (Redis).
`queues.py` has the names of the queues.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue

__all__ = ["Dispatcher", "QueueDepth"]


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
