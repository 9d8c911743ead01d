"""The seam to a queue: "look at this run", said to whatever executes runs.

A message is a hint that may be lost, doubled or late; the reaper sends it again. Above it: the
API, the engine and the reaper. Below it: `local.py` (same process) and `celery.py` (Redis).
"""

from typing import NamedTuple, Protocol, Self, runtime_checkable

__all__ = ["Dispatcher", "QueueDepth", "RunRef"]


class RunRef(NamedTuple):
    """Names one run; `str(ref)` is the queue message, `{tenant}.{run_id}`."""

    tenant: str
    run_id: str

    def __str__(self) -> str:
        """The form on the wire."""
        return f"{self.tenant}.{self.run_id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form on the wire; neither part may hold `.` or `/`.

        Raises:
            ValueError: The text is not of the form.
        """
        tenant, dot, run_id = text.partition(".")
        if not (tenant and dot and run_id) or "/" in text or "." in run_id:
            raise ValueError(f"{text!r} is not of the form tenant.run_id")
        return cls(tenant, run_id)


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
