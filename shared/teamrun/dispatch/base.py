"""The seam to a queue: "look at this run", said to whatever executes runs.

A message is a hint that may be lost, doubled or late; the reaper sends it again. Above it: the
API, the engine and the reaper. Below it: `local.py` (same process) and `celery.py` (Redis).
"""

from typing import Protocol, runtime_checkable

from teamrun.core.refs import RunRef

__all__ = ["Dispatcher", "QueueDepth"]


class Dispatcher(Protocol):
    """Sends hints."""

    async def send(self, ref: RunRef) -> None:
        """Ask for `execute(ref)` soon.

        Raises:
            DeliveryError: The queue did not take it, within 2 seconds.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@runtime_checkable
class QueueDepth(Protocol):
    """A dispatcher that can count the messages that wait."""

    async def depths(self) -> dict[str, int]:
        """How many messages wait, by the name of the queue.

        Raises:
            DeliveryError: The queue cannot be asked.
        """
        ...
