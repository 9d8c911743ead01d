"""The operations on batches of the HTTP API and the command line.

Everything here works on the logs; notices only make it faster.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Literal, NamedTuple

from pydantic_core import to_json

from teamrun.batches.acceptance import BatchAcceptance, BatchWebhooks
from teamrun.batches.decisions import reached_limit
from teamrun.batches.ends import NEWS, batch_topic
from teamrun.batches.entries import FINAL, Signal
from teamrun.batches.erasure import BatchErasure
from teamrun.batches.files import Files
from teamrun.batches.item_list import ItemList
from teamrun.batches.keys import (
    BatchRef,
    batch_list_folder,
    live_marker,
    place_in_list,
    todo_key,
)
from teamrun.batches.log import BatchLog, batch_not_found
from teamrun.batches.pages import page_of
from teamrun.batches.progress import Progress, read_progress
from teamrun.batches.public import public_batch, public_events
from teamrun.batches.requests import BatchRequest
from teamrun.batches.resources import (
    Batch,
    BatchEvent,
    BatchEventPage,
    BatchItemPage,
    BatchPage,
    ItemStatus,
)
from teamrun.batches.results import Results
from teamrun.batches.spec import BatchLimits
from teamrun.batches.state import BatchState
from teamrun.components.catalog import Teams
from teamrun.core.clock import Clock, SystemClock
from teamrun.core.refs import is_run_id
from teamrun.errors import (
    BatchEnded,
    BatchNotFinished,
    BatchNotFound,
    DefinitionError,
    DeliveryError,
    StorageError,
)
from teamrun.json_types import JsonObject
from teamrun.live.base import Live
from teamrun.storage.base import ObjectStore

__all__ = ["BatchService", "SubmittedBatch"]

_POLL_S = 1.0
"""How often a batch is read while a client waits for a change that no notice announces."""

_GATHER_S = 0.1


class SubmittedBatch(NamedTuple):
    """A batch after a request."""

    batch: Batch
    replayed: bool
    """The Idempotency-Key had been used for it before."""


class BatchService:
    """The batches of all tenants; each method takes a tenant and only accesses its batches."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: Live,
        teams: Teams,
        clock: Clock | None = None,
        webhooks: BatchWebhooks | None = None,
    ) -> None:
        self._webhooks = webhooks or BatchWebhooks()
        self._store = store
        self._live = live
        self._clock = clock or SystemClock()
        self.files = Files(store=store, clock=self._clock)
        """The files of all tenants."""
        self._erasure = BatchErasure(store=store, clock=self._clock)
        self._acceptance = BatchAcceptance(
            store=store,
            teams=teams,
            files=self.files,
            clock=self._clock,
            webhooks=self._webhooks,
        )

    async def submit(
        self, tenant: str, request: BatchRequest, *, idempotency_key: str | None = None
    ) -> SubmittedBatch:
        """Accept a batch; it is durable when this returns.

        Raises:
            DefinitionError: The team is unknown or its definition is invalid; has a `pointer`.
            DestinationRefused: The URL of the webhook is not allowed; has a `pointer`.
            InvalidItems: Items are invalid; has `problems`, each with a line.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        state, replayed = await self._acceptance.accept(tenant, request, key=idempotency_key)
        ref = BatchRef(tenant, state.spec.batch_id)
        await self._announce(ref)
        return SubmittedBatch(self._public(await self._progress(ref)), replayed)

    async def get(self, tenant: str, batch_id: str) -> Batch:
        """The current state of a batch.

        Raises:
            BatchNotFound: The tenant has no such batch.
        """
        return self._public(await self._progress(_ref(tenant, batch_id)))

    async def wait(
        self, tenant: str, batch_id: str, *, timeout: timedelta, revision: int | None = None
    ) -> Batch:
        """Wait until the revision differs from `revision`; without one, until the batch has ended.

        At `timeout`, the batch is returned as it is then.

        Raises:
            BatchNotFound: The tenant has no such batch.
        """
        batch = await self.get(tenant, batch_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds()):
                async with contextlib.aclosing(self.changes(tenant, batch_id)) as changes:
                    async for batch in changes:
                        if batch.status in FINAL or revision not in (None, batch.revision):
                            return batch
        return batch

    async def changes(self, tenant: str, batch_id: str) -> AsyncGenerator[Batch, None]:
        """The batch now, and again after each change, some changes at a time, up to its end.

        Raises:
            BatchNotFound: The tenant has no such batch.
        """
        ref = _ref(tenant, batch_id)
        async with contextlib.aclosing(self._progresses(ref)) as progresses:
            async for progress in progresses:
                yield self._public(progress)

    async def follow(
        self, tenant: str, batch_id: str, *, after: int = 0
    ) -> AsyncGenerator[tuple[list[BatchEvent], Batch], None]:
        """The events after number `after` as they become durable, each time with the batch.

        Raises:
            BatchNotFound: The tenant has no such batch.
        """
        ref = _ref(tenant, batch_id)
        async with contextlib.aclosing(self._progresses(ref)) as progresses:
            async for progress in progresses:
                events = await self._events_after(ref, progress.state, after)
                after = events[-1].seq if events else after
                yield events, self._public(progress)

    async def events(
        self, tenant: str, batch_id: str, *, after: int = 0, limit: int = 100
    ) -> BatchEventPage:
        """A page of the logged events with a `seq` greater than `after`.

        Raises:
            BatchNotFound: The tenant has no such batch.
        """
        ref = _ref(tenant, batch_id)
        found = await self._events_after(ref, await self._log(ref).existing(), after)
        page, has_more = found[:limit], len(found) > limit
        cursor = page[-1].id if has_more else None
        return BatchEventPage(data=page, next_cursor=cursor, has_more=has_more)

    async def _events_after(self, ref: BatchRef, state: BatchState, after: int) -> list[BatchEvent]:
        entries = [] if after >= state.seq - 1 else state.eventful
        found = public_events(ref, await self._log(ref).entries(entries))
        return [event for event in found if event.seq > after]

    async def _progresses(self, ref: BatchRef) -> AsyncGenerator[Progress, None]:
        """The progress now, and again after each change, up to the end."""
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

    async def list(self, tenant: str, *, limit: int, after: str | None) -> BatchPage:
        """A page of batches, newest first.

        Raises:
            UsageError: `after` is not a cursor.
        """
        page = await page_of(self._store, batch_list_folder(tenant), limit=limit, after=after)
        found: list[Batch] = []
        for key in page.keys:
            with contextlib.suppress(BatchNotFound):  # it is being accepted, or was given up
                found.append(await self.get(tenant, place_in_list(key)))
        return BatchPage(data=found, next_cursor=page.next_cursor, has_more=page.has_more)

    async def items(
        self,
        tenant: str,
        batch_id: str,
        *,
        status: ItemStatus | None = None,
        custom_id: str | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> BatchItemPage:
        """A page of items, in the order of the input.

        Raises:
            BatchNotFound: The tenant has no such batch.
            UsageError: `after` is not a cursor.
        """
        ref = _ref(tenant, batch_id)
        items = ItemList(self._store, ref, await self._progress(ref))
        return await items.page(status=status, custom_id=custom_id, limit=limit, after=after)

    async def results(self, tenant: str, batch_id: str) -> tuple[Results, Progress]:
        """The results so far, and the progress that they belong to.

        Raises:
            BatchNotFound: The tenant has no such batch.
        """
        ref = _ref(tenant, batch_id)
        progress = await self._progress(ref)
        return Results(self._store, ref, progress), progress

    async def cancel(self, tenant: str, batch_id: str, *, reason: str | None = None) -> Batch:
        """Cancel the batch: no more items start, and those in flight are cancelled.

        Repeating this changes nothing.

        Raises:
            BatchNotFound: The tenant has no such batch.
            BatchEnded: The batch has ended with another status.
        """
        return (await self._signal(_ref(tenant, batch_id), "cancel", reason=reason)).batch

    async def pause(self, tenant: str, batch_id: str) -> Batch:
        """Pause the batch: no more items start, and those in flight end. Can be repeated.

        Raises:
            BatchNotFound: The tenant has no such batch.
            BatchEnded: The batch has ended.
        """
        return (await self._signal(_ref(tenant, batch_id), "pause")).batch

    async def resume(self, tenant: str, batch_id: str) -> Batch:
        """Resume a paused batch. Repeating this changes nothing.

        Raises:
            BatchNotFound: The tenant has no such batch.
            BatchEnded: The batch has ended.
        """
        return (await self._signal(_ref(tenant, batch_id), "resume")).batch

    async def retry_failed(
        self,
        tenant: str,
        batch_id: str,
        *,
        limits: BatchLimits | None = None,
        idempotency_key: str | None = None,
    ) -> SubmittedBatch:
        """Begin a round with all items that have not completed, each as a new run.

        If all items have completed, nothing changes.

        Args:
            tenant: The tenant.
            batch_id: The batch.
            limits: The limits of the batch to change; those that are not set stay.
            idempotency_key: Repeating the request with the same key begins one round.

        Raises:
            BatchNotFound: The tenant has no such batch.
            BatchNotFinished: The batch has not ended.
            DefinitionError: The batch has reached a limit; has `pointer`.
        """
        changed = limits and limits.model_dump(mode="json", exclude_unset=True)
        ref = _ref(tenant, batch_id)
        log, key = self._log(ref), idempotency_key and _sha256(f"retry {idempotency_key}")
        while True:
            progress = await self._progress(ref)
            state = progress.state
            if key is not None and key in state.signal_keys:
                return SubmittedBatch(self._public(progress), replayed=True)
            if state.end is None:
                raise BatchNotFinished(
                    f"Batch {batch_id!r} is {state.status}; wait for its end, or cancel it.",
                    batch_id=batch_id,
                )
            todo = await Results(self._store, ref, progress).unfinished()
            if not todo:
                return SubmittedBatch(self._public(progress), replayed=False)
            _check_limits(progress, changed)
            number = len(state.rounds) + 1
            # Every process finds the same items after the same end.
            await self._store.put(todo_key(ref, number), to_json(todo))
            signal = Signal(signal="retry", count=len(todo), limits=changed, key=key)
            if await self._append(log, state, signal):
                return SubmittedBatch(self._public(await self._progress(ref)), replayed=False)

    async def delete(self, tenant: str, batch_id: str) -> None:
        """Delete a batch that has ended, and with it the runs of its items.

        The batch disappears at once. The runs are removed by a worker one to two hours later.

        Raises:
            BatchNotFound: The tenant has no such batch.
            BatchNotFinished: The batch has not ended.
        """
        await self._erasure.delete(_ref(tenant, batch_id))

    async def _signal(
        self,
        ref: BatchRef,
        kind: Literal["cancel", "pause", "resume"],
        *,
        reason: str | None = None,
    ) -> SubmittedBatch:
        log = self._log(ref)
        while True:
            progress = await self._progress(ref)
            state = progress.state
            if _is_done(kind, state):
                if state.end is None:  # a crash may have lost its marker
                    await self._store.put_new(live_marker(ref), b"")
                    await self._announce(ref)
                return SubmittedBatch(self._public(progress), replayed=True)
            if state.end is not None or state.cancel is not None:
                raise BatchEnded(
                    f"Batch {ref.batch_id!r} is {state.status}.", batch_id=ref.batch_id
                )
            if await self._append(log, state, Signal(signal=kind, reason=reason)):
                return SubmittedBatch(self._public(await self._progress(ref)), replayed=False)

    async def _append(self, log: BatchLog, state: BatchState, signal: Signal) -> bool:
        await self._store.put_new(live_marker(log.ref), b"")
        if not await log.append(state, signal):
            return False
        # A process that has seen the end of the round may have deleted the marker since.
        await self._store.put_new(live_marker(log.ref), b"")
        await self._announce(log.ref)
        return True

    async def _announce(self, ref: BatchRef) -> None:
        with contextlib.suppress(DeliveryError):
            await self._live.publish(NEWS, str(ref).encode())
            await self._live.publish(batch_topic(ref), b"")

    async def _listen(self, ref: BatchRef, woken: asyncio.Event) -> None:
        with contextlib.suppress(DeliveryError, StorageError):
            async with self._live.subscribe(batch_topic(ref)) as messages:
                async for _ in messages:
                    woken.set()

    async def _progress(self, ref: BatchRef) -> Progress:
        return await read_progress(self._store, self._log(ref), None)

    def _log(self, ref: BatchRef) -> BatchLog:
        return BatchLog(
            self._store,
            ref,
            writer="api",
            clock=self._clock,
            pre_commit=self._webhooks.pre_commit,
        )

    def _public(self, progress: Progress) -> Batch:
        return public_batch(progress, self._clock.now())


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


def _ref(tenant: str, batch_id: str) -> BatchRef:
    """The reference of a batch that a client names.

    Raises:
        BatchNotFound: No batch can have this id.
    """
    ref = BatchRef(tenant, batch_id)
    if not is_run_id(batch_id):
        raise batch_not_found(ref)
    return ref


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
