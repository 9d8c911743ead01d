"""The items of all batches that have started and not ended.

They have no open marker, so a worker that reclaims its runs finds them here.
"""

import contextlib
from collections.abc import AsyncIterator

from teamrun.batches.chunks import StoredItems
from teamrun.batches.keys import BatchRef, item_run_id
from teamrun.batches.log import BatchLog
from teamrun.batches.progress import read_progress
from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import BatchNotFound, UnreadableEntry
from teamrun.runs.log.keys import BATCHES
from teamrun.storage.base import ObjectStore

__all__ = ["items_in_flight"]


async def items_in_flight(store: ObjectStore, clock: Clock) -> AsyncIterator[list[RunRef]]:
    """The runs of the items in flight, batch by batch; a damaged batch is left out.

    Raises:
        StorageError: Storage cannot be read.
    """
    after = ""
    while keys := await store.list(BATCHES, after=after):
        for key in keys:
            with contextlib.suppress(ValueError, BatchNotFound, UnreadableEntry):
                yield await _of_batch(store, BatchRef.parse(key.removeprefix(BATCHES)), clock)
        after = keys[-1]


async def _of_batch(store: ObjectStore, ref: BatchRef, clock: Clock) -> list[RunRef]:
    log = BatchLog(store, ref, writer="reclaim", clock=clock)
    progress = await read_progress(store, log, None)
    current = progress.state.round
    indices = await StoredItems(store, ref, progress.state.spec).indices(current)
    return [
        RunRef(ref.tenant, item_run_id(ref, current.number, indices[position]))
        for position in progress.in_flight
    ]
