"""The seam to a queue that asks workers to execute runs.

A message is a hint: it may be lost, duplicated or late, and the reaper sends it again. Above it:
the API, the engine and the reaper. Below it: `local.py` (same process) and `celery.py` (Redis).
"""

from typing import Protocol, runtime_checkable

from teamrun.core.refs import RunRef

__all__ = ["Dispatcher", "QueueDepth"]


class Dispatcher(Protocol):
    """Sends hints."""

    async def send(self, ref: RunRef) -> None:
        """Ask a worker to execute the run soon.

        Raises:
            DeliveryError: The queue did not accept the message within 2 seconds.
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
