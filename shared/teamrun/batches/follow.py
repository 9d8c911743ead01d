"""Follows batches: their progress after each change, and their events."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from teamrun.batches.ends import batch_topic
from teamrun.batches.keys import BatchRef
from teamrun.batches.log import BatchLog
from teamrun.batches.progress import Progress, read_progress
from teamrun.batches.public import public_events
from teamrun.batches.resources import BatchEvent
from teamrun.batches.state import BatchState
from teamrun.core.clock import Clock
from teamrun.errors import DeliveryError, StorageError
from teamrun.live.base import PubSub
from teamrun.storage.base import ObjectStore

__all__ = ["BatchFollower"]

_POLL_S = 1.0
"""How often a batch is read while a client waits for a change that no notice announces."""

_GATHER_S = 0.1


class BatchFollower:
    """Reads batches while they change.

    Args:
        store: The store.
        live: Has the notices of changes.
        clock: The clock.
    """

    def __init__(self, *, store: ObjectStore, live: PubSub, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._clock = clock

    async def progresses(self, ref: BatchRef) -> AsyncGenerator[Progress, None]:
        """The progress now, and again after each change, up to the end.

        Raises:
            BatchNotFound: There is no such batch.
        """
        woken, log = asyncio.Event(), self._log(ref)
        listening = asyncio.create_task(self._listen(ref, woken))
        try:
            state = await log.existing()
            known: int | None = None
            while True:
                woken.clear()
                progress = await read_progress(self._store, log, state)
                if progress.revision != known:
                    known = progress.revision
                    yield progress
                if state.end is not None:
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await woken.wait()
                        await asyncio.sleep(_GATHER_S)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def events(self, ref: BatchRef, *, after: int) -> list[BatchEvent]:
        """The logged events with a `seq` greater than `after`.

        Raises:
            BatchNotFound: There is no such batch.
        """
        return await self.events_of(ref, await self._log(ref).existing(), after)

    async def events_of(self, ref: BatchRef, state: BatchState, after: int) -> list[BatchEvent]:
        """The same events of a state."""
        entries = [] if after >= state.seq - 1 else state.eventful
        found = public_events(ref, await self._log(ref).entries(entries))
        return [event for event in found if event.seq > after]

    async def _listen(self, ref: BatchRef, woken: asyncio.Event) -> None:
        with contextlib.suppress(DeliveryError, StorageError):
            async with self._live.subscribe(batch_topic(ref)) as messages:
                async for _ in messages:
                    woken.set()

    def _log(self, ref: BatchRef) -> BatchLog:
        return BatchLog(self._store, ref, writer="api", clock=self._clock)
