"""A worker with a stable name reclaims the runs of its previous process when it starts."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import DeliveryError, StorageError
from teamrun.live.base import Live
from teamrun.runs.log.keys import OPEN, ref_of_marker
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["ReclaimingSweeper", "reclaim"]

logger = logging.getLogger(__name__)


_PAGE = 1_000


_PAUSE_S = 1.0


_ATTEMPTS = 100
"""After these attempts the runs are left to the reaper, which finds them when leases expire."""


Pages = Callable[[], AsyncIterator[Sequence[RunRef]]]
"""Runs that may be in flight, in pages."""


async def reclaim(
    owner: str,
    *,
    store: ObjectStore,
    live: Live,
    dispatcher: Dispatcher,
    further: Pages | None = None,
) -> int:
    """Send the open runs that `owner` had claimed to the queue; returns how many.

    Call this only if the previous process of that name has ended. The engine continues such a run
    without waiting for the lease to expire, because it is the owner.

    Args:
        owner: The stable name of the worker.
        store: The object store with the runs.
        live: The shared live state.
        dispatcher: The queue.
        further: Runs without an open marker, such as the items of batches.

    Raises:
        DeliveryError: The queue cannot be reached.
        StorageError: Storage cannot be read.
    """
    reader, count = RunReader(store=store, live=live, clock=SystemClock()), 0
    for pages in (partial(_open_runs, store), further):
        if pages is None:
            continue
        async for refs in pages():
            found = zip(refs, await reader.states(refs), strict=True)
            ours = [
                (ref, state)
                for ref, state in found
                if isinstance(state, RunState) and state.end is None and state.owner == owner
            ]
            for queue in {state.spec.queue for _, state in ours}:
                await dispatcher.send(
                    [ref for ref, state in ours if state.spec.queue is queue], queue=queue
                )
            count += len(ours)
    return count


async def _open_runs(store: ObjectStore) -> AsyncIterator[Sequence[RunRef]]:
    after = ""
    while keys := await store.list(OPEN, after=after, limit=_PAGE):
        yield [*_refs(keys)]
        after = keys[-1]


def _refs(keys: list[str]) -> Iterator[RunRef]:
    for key in keys:
        with contextlib.suppress(ValueError):  # not a marker; the reaper reports it
            yield ref_of_marker(key)


class _Sweeper(Protocol):
    async def run(self, stop: asyncio.Event) -> None: ...


class ReclaimingSweeper:
    """Reclaims the runs of `owner` while it sweeps.

    Args:
        sweeper: The reaper.
        owner: The stable name of the worker.
        store: The object store with the runs.
        live: The shared live state.
        dispatcher: The queue.
        further: Runs without an open marker.
    """

    def __init__(
        self,
        sweeper: _Sweeper,
        *,
        owner: str,
        store: ObjectStore,
        live: Live,
        dispatcher: Dispatcher,
        further: Pages | None = None,
    ) -> None:
        self._further = further
        self._sweeper = sweeper
        self._owner = owner
        self._store = store
        self._live = live
        self._dispatcher = dispatcher

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep until `stop` is set; reclaim once, as soon as the queue and the store respond."""
        reclaiming = asyncio.create_task(self._reclaim())
        try:
            await self._sweeper.run(stop)
        finally:
            reclaiming.cancel()
            await asyncio.gather(reclaiming, return_exceptions=True)

    async def _reclaim(self) -> None:
        for _ in range(_ATTEMPTS):
            try:
                count = await reclaim(
                    self._owner,
                    store=self._store,
                    live=self._live,
                    dispatcher=self._dispatcher,
                    further=self._further,
                )
            except (DeliveryError, StorageError):
                await asyncio.sleep(_PAUSE_S)
            else:
                data = {"action": "worker.runs_reclaimed", "runs": count}
                logger.info("The worker reclaimed the runs of its previous process", extra=data)
                return
