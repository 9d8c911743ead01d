"""Retries messages that the queue did not accept, for times in which Redis is unavailable."""

import asyncio
import logging
from datetime import timedelta

from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher, QueueDepth
from teamrun.errors import DeliveryError

__all__ = ["PersistentDispatcher"]

logger = logging.getLogger(__name__)

_MOST = 10_000
"""Maximum number of messages to retry; further runs are left to the reaper."""


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
        self._refused: dict[RunRef, None] = {}
        self._sender: asyncio.Task[None] | None = None

    async def send(self, ref: RunRef) -> None:
        """Send the message; if the queue does not accept it, retry in the background.

        Raises:
            DeliveryError: The queue did not accept the message yet.
        """
        try:
            await self._inner.send(ref)
        except DeliveryError:
            if len(self._refused) < _MOST:
                self._refused[ref] = None
                if self._sender is None:
                    self._sender = asyncio.create_task(self._send_refused())
            raise

    async def depths(self) -> dict[str, int]:
        """The number of waiting messages in the queues of the inner dispatcher.

        Raises:
            DeliveryError: The queue cannot be reached.
        """
        return await self._inner.depths() if isinstance(self._inner, QueueDepth) else {}

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
                    ref = next(iter(self._refused))
                    await self._inner.send(ref)
                    del self._refused[ref]
            except DeliveryError:
                continue
        self._sender = None
