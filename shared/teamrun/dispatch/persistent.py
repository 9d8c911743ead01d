"""Retries messages that the queue did not accept, for times in which Redis is unavailable."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Backlog, Dispatcher, QueueDepth, Waiting
from teamrun.dispatch.queues import MAX_REFS_PER_MESSAGE, Queue
from teamrun.errors import DeliveryError

__all__ = ["PersistentDispatcher"]

logger = logging.getLogger(__name__)

_MOST = 10_000
"""Maximum number of runs to retry; further ones are left to the reaper."""


class PersistentDispatcher:
    """Implements `Dispatcher` over another one, and retries messages that were not accepted.

    Without it, a run submitted while Redis is unavailable would start a lease later, when the
    reaper may assume that its message is lost.

    Args:
        inner: Sends the messages; closed together with this one.
        pause: The pause between attempts.
    """

    def __init__(
        self, inner: Dispatcher, *, pause: timedelta = timedelta(milliseconds=500)
    ) -> None:
        self._inner = inner
        self._pause_s = pause.total_seconds()
        self._refused: dict[RunRef, Queue] = {}
        self._sender: asyncio.Task[None] | None = None

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        """Send the messages; if the queue does not accept them, retry in the background.

        Raises:
            DeliveryError: The queue did not accept the messages yet.
        """
        try:
            await self._inner.send(refs, queue=queue, first=first)
        except DeliveryError:
            room = max(0, _MOST - len(self._refused))
            self._refused.update(dict.fromkeys(refs[:room], queue))
            if self._refused and self._sender is None:
                self._sender = asyncio.create_task(self._send_refused())
            raise

    async def depths(self) -> dict[str, int]:
        """The number of waiting messages in the queues of the inner dispatcher.

        Raises:
            DeliveryError: The queue cannot be reached.
        """
        return await self._inner.depths() if isinstance(self._inner, QueueDepth) else {}

    async def take(self, most: int, *, queues: Sequence[Queue]) -> list[Waiting]:
        """The next messages of the inner dispatcher; none if it has no such method.

        Raises:
            DeliveryError: The queue cannot be reached.
        """
        return (
            await self._inner.take(most, queues=queues) if isinstance(self._inner, Backlog) else []
        )

    async def close(self) -> None:
        """Drop the messages that were not accepted, and close the inner dispatcher."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        await self._inner.close()

    async def _send_refused(self) -> None:
        while self._refused:
            await asyncio.sleep(self._pause_s)
            try:
                while self._refused:
                    refs, queue = self._next()
                    await self._inner.send(refs, queue=queue)
                    for ref in refs:
                        self._refused.pop(ref, None)
            except DeliveryError:
                continue
        self._sender = None

    def _next(self) -> tuple[list[RunRef], Queue]:
        """The oldest refused runs that fit into one message."""
        queue = next(iter(self._refused.values()))
        ours = (ref for ref, wanted in self._refused.items() if wanted is queue)
        return [*islice(ours, MAX_REFS_PER_MESSAGE)], queue
