"""What follows the entries of an item's run: its result for the batch, and a notice to the feeder.

The result is a duty, since it must not be lost. The notices only make the feeder quicker.
"""

import asyncio
import contextlib

from teamrun.batches.keys import BatchRef, done_folder
from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError
from teamrun.live.base import PubSub
from teamrun.runs.log.entries import Entry, Signal, Wait
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.spec import RunSpec
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["NEWS", "ItemEnds", "answer_notice", "batch_of", "batch_topic", "wait_notice"]

NEWS = "batches"
"""The topic of batches that a client has submitted, or sent a signal to."""

_WAKING = frozenset({"input", "resume"})

_GATHER_S = 0.01
"""How long notices of one batch are gathered."""


def batch_topic(ref: BatchRef) -> str:
    """The topic of a batch: an item has ended (empty), waits or goes on (round and position)."""
    return f"batch:{ref}"


def batch_of(spec: RunSpec) -> BatchRef | None:
    """The batch that a run belongs to."""
    return spec.batch and BatchRef(spec.tenant, spec.batch.batch_id)


def wait_notice(number: int, position: int) -> bytes:
    """The notice that an item waits for a person."""
    return f"{number}:{position}".encode()


def answer_notice(number: int, position: int) -> bytes:
    """The notice that an item waits no longer."""
    return f"{number}:{position}:goes on".encode()


class ItemEnds:
    """The duty and the observer of one process.

    Args:
        live: Receives the notices.
    """

    def __init__(self, live: PubSub) -> None:
        self._live = live
        self._waiting: dict[tuple[BatchRef, bytes], None] = {}
        self._task: asyncio.Task[None] | None = None

    async def record(self, store: ObjectStore, log: RunLog, state: RunState) -> None:
        """The duty: store the result of an item that has ended.

        Raises:
            Unavailable: Storage does not respond.
        """
        item, end, ref = state.spec.batch, state.end, batch_of(state.spec)
        if item is None or ref is None:
            return
        assert end is not None
        from teamrun.batches.done import done_key, line_of  # most runs belong to no batch

        folder = done_folder(ref, item.round)
        key = done_key(folder, item.position, end.status, state.usage)
        await store.put(key, line_of(state))
        self._notify(ref, b"")

    def appended(self, ref: RunRef, entry: Entry, state: RunState | None) -> None:
        """The observer: an item that waits for a person leaves its place to another one.

        An item that is answered or resumed takes a place again.
        """
        if state is None or not isinstance(entry.body, Wait | Signal):
            return
        item, batch = state.spec.batch, batch_of(state.spec)
        if item is None or batch is None:
            return
        if isinstance(entry.body, Wait):
            self._notify(batch, wait_notice(item.round, item.position))
        elif entry.body.signal in _WAKING:
            self._notify(batch, answer_notice(item.round, item.position))

    def _notify(self, ref: BatchRef, notice: bytes) -> None:
        self._waiting[ref, notice] = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        try:
            await asyncio.sleep(_GATHER_S)
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                with contextlib.suppress(DeliveryError):
                    for ref, notice in batch:
                        await self._live.publish(batch_topic(ref), notice)
        finally:
            self._task = None
