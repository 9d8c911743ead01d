"""Signals of clients to batches: cancel, pause, resume, and another round."""

import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from pydantic_core import to_json

from teamrun.batches.decisions import reached_limit
from teamrun.batches.ends import NEWS, batch_topic
from teamrun.batches.entries import Signal
from teamrun.batches.keys import BatchRef, live_marker, todo_key
from teamrun.batches.log import BatchLog, PreCommit
from teamrun.batches.progress import Progress, read_progress
from teamrun.batches.results import Results
from teamrun.batches.spec import BatchLimits
from teamrun.batches.state import BatchState
from teamrun.core.clock import Clock
from teamrun.errors import BatchEnded, BatchNotFinished, DefinitionError, DeliveryError
from teamrun.json_types import JsonObject
from teamrun.live.base import PubSub
from teamrun.storage.base import ObjectStore

__all__ = ["BatchSignals", "Signalled"]


class Signalled(NamedTuple):
    """A batch after a signal."""

    progress: Progress
    repeated: bool
    """Nothing was to change, or the Idempotency-Key had been used before."""


class BatchSignals:
    """Appends what clients ask of a batch to its log.

    Args:
        store: The store.
        live: Receives the notices.
        clock: The clock.
        pre_commit: Called before each entry of a batch's log.
        wake: Called when a batch has changed, if notices alone do not wake a feeder.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: PubSub,
        clock: Clock,
        pre_commit: PreCommit | None,
        wake: Callable[[BatchRef], Awaitable[None]] | None = None,
    ) -> None:
        self._wake = wake
        self._store = store
        self._live = live
        self._clock = clock
        self._pre_commit = pre_commit

    async def send(
        self,
        ref: BatchRef,
        kind: Literal["cancel", "pause", "resume"],
        *,
        reason: str | None = None,
    ) -> Signalled:
        """Cancel, pause or resume a batch; repeating this changes nothing.

        Raises:
            BatchNotFound: There is no such batch.
            BatchEnded: The batch has ended, not by this signal.
        """
        log = self._log(ref)
        while True:
            progress = await self._progress(ref)
            state = progress.state
            if _is_done(kind, state):
                if state.end is None:  # a crash may have lost its marker
                    await self._store.put_new(live_marker(ref), b"")
                    await self.announce(ref)
                return Signalled(progress, repeated=True)
            if state.end is not None or state.cancel is not None:
                what = "is being cancelled" if state.end is None else "has ended"
                raise BatchEnded(
                    f"Batch {ref.batch_id!r} {what}; its status is {state.status}.",
                    batch_id=ref.batch_id,
                )
            if await self._append(log, state, Signal(signal=kind, reason=reason)):
                return Signalled(await self._progress(ref), repeated=False)

    async def retry_failed(
        self, ref: BatchRef, *, limits: BatchLimits | None = None, key: str | None = None
    ) -> Signalled:
        """Begin a round with all items that have not completed, each as a new run.

        If all items have completed, nothing changes.

        Args:
            ref: The batch.
            limits: The limits of the batch to change; those that are not set stay.
            key: The Idempotency-Key; repeating the request with it begins one round.

        Raises:
            BatchNotFound: There is no such batch.
            BatchNotFinished: The batch has not ended.
            DefinitionError: The batch has reached a limit; has `pointer`.
        """
        changed = limits and limits.model_dump(mode="json", exclude_unset=True)
        log, digest = self._log(ref), key and _sha256(f"retry {key}")
        while True:
            progress = await self._progress(ref)
            state = progress.state
            if digest is not None and digest in state.signal_keys:
                return Signalled(progress, repeated=True)
            if state.end is None:
                raise BatchNotFinished(
                    f"Batch {ref.batch_id!r} has not ended; its status is {state.status}. Wait for "
                    "its end, or cancel it.",
                    batch_id=ref.batch_id,
                )
            todo = await Results(self._store, ref, progress).unfinished()
            if not todo:
                return Signalled(progress, repeated=False)
            _check_limits(progress, changed)
            number = len(state.rounds) + 1
            # Every process finds the same items after the same end.
            await self._store.put(todo_key(ref, number), to_json([*todo]))
            before = "".join(todo.values())
            signal = Signal(
                signal="retry", count=len(todo), before=before, limits=changed, key=digest
            )
            if await self._append(log, state, signal):
                return Signalled(await self._progress(ref), repeated=False)

    async def announce(self, ref: BatchRef) -> None:
        """Notify the feeder and followers that a batch has changed."""
        with contextlib.suppress(DeliveryError):
            await self._live.publish(NEWS, str(ref).encode())
            await self._live.publish(batch_topic(ref), b"")
        if self._wake is not None:
            await self._wake(ref)

    async def _append(self, log: BatchLog, state: BatchState, signal: Signal) -> bool:
        await self._store.put_new(live_marker(log.ref), b"")
        if not await log.append(state, signal):
            return False
        # A process that has seen the end of the round may have deleted the marker since.
        await self._store.put_new(live_marker(log.ref), b"")
        await self.announce(log.ref)
        return True

    async def _progress(self, ref: BatchRef) -> Progress:
        return await read_progress(self._store, self._log(ref), None)

    def _log(self, ref: BatchRef) -> BatchLog:
        return BatchLog(
            self._store, ref, writer="api", clock=self._clock, pre_commit=self._pre_commit
        )


def _is_done(kind: str, state: BatchState) -> bool:
    """Whether a signal would change nothing."""
    match kind:
        case "cancel":
            ended = state.end is not None and state.end.status == "cancelled"
            return ended or (state.end is None and state.cancel is not None)
        case "pause":
            return state.status == "paused"
        case _:
            return state.status == "in_progress"


def _check_limits(progress: Progress, changed: JsonObject | None) -> None:
    """Refuse a round that would end before an item has started.

    Raises:
        DefinitionError: A limit of the batch is reached; has `pointer`.
    """
    limits = progress.state.spec.limits.changed(changed or {})
    reached = reached_limit(limits, progress.total)
    if reached is not None:
        raise DefinitionError(
            f"{reached.what}, and its limit `{reached.field}` is {getattr(limits, reached.field)}. "
            "Send a higher one in `limits`.",
            pointer=f"/limits/{reached.field}",
            code="limit_reached",
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
