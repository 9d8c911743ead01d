"""The operations on batches of the HTTP API and the command line.

Everything here works on the logs; notices only make it faster.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

from teamrun.batches.acceptance import BatchAcceptance
from teamrun.batches.entries import FINAL
from teamrun.batches.erasure import BatchErasure
from teamrun.batches.files import Files
from teamrun.batches.follow import BatchFollower
from teamrun.batches.inputs import Inputs
from teamrun.batches.item_list import ItemList
from teamrun.batches.keys import (
    BatchRef,
    batch_list_folder,
    place_in_list,
)
from teamrun.batches.log import BatchLog, batch_not_found
from teamrun.batches.pages import page_of
from teamrun.batches.progress import Progress, read_progress
from teamrun.batches.public import public_batch
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
from teamrun.batches.signals import BatchSignals
from teamrun.batches.sources import Sources
from teamrun.batches.spec import BatchLimits
from teamrun.batches.webhooks import BatchWebhooks
from teamrun.components.catalog import Teams
from teamrun.core.clock import Clock, SystemClock
from teamrun.core.refs import is_run_id
from teamrun.errors import (
    BatchNotFound,
)
from teamrun.live.base import Live
from teamrun.storage.base import ObjectStore

__all__ = ["BatchService", "SubmittedBatch"]


class SubmittedBatch(NamedTuple):
    """A batch after a request."""

    batch: Batch
    replayed: bool
    """The Idempotency-Key had been used for it before."""


class BatchService:
    """The batches of all tenants; each method takes a tenant and only accesses its batches.

    All methods with a `batch_id` raise `BatchNotFound` if the tenant has no such batch; their
    descriptions name the other errors.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: Live,
        teams: Teams,
        clock: Clock | None = None,
        webhooks: BatchWebhooks | None = None,
        sources: Sources | None = None,
        wake: Callable[[BatchRef], Awaitable[None]] | None = None,
    ) -> None:
        """Make the service; `wake` is that of `BatchSignals`."""
        webhooks, clock = webhooks or BatchWebhooks(), clock or SystemClock()
        self._store = store
        self._clock = clock
        self.files = Files(store=store, clock=clock)
        """The files of all tenants."""
        self._erasure = BatchErasure(store=store, clock=clock, pre_erase=webhooks.pre_erase)
        self._follower = BatchFollower(store=store, live=live, clock=clock)
        self._signals = BatchSignals(
            store=store, live=live, clock=clock, pre_commit=webhooks.pre_commit, wake=wake
        )
        inputs = Inputs(store=store, files=self.files, sources=sources or Sources())
        self._acceptance = BatchAcceptance(
            store=store, teams=teams, inputs=inputs, clock=clock, webhooks=webhooks
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
        await self._signals.announce(ref)
        return SubmittedBatch(self._public(await self._progress(ref)), replayed)

    async def get(self, tenant: str, batch_id: str) -> Batch:
        """The current state of a batch."""
        return self._public(await self._progress(_ref(tenant, batch_id)))

    async def wait(
        self, tenant: str, batch_id: str, *, timeout: timedelta, revision: int | None = None
    ) -> Batch:
        """Wait until the revision differs from `revision`; without one, until the batch has ended.

        At `timeout`, the batch is returned as it is then.
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
        """The batch now, and again after each change, some changes at a time, up to its end."""
        ref = _ref(tenant, batch_id)
        async with contextlib.aclosing(self._follower.progresses(ref)) as progresses:
            async for progress in progresses:
                yield self._public(progress)

    async def follow(
        self, tenant: str, batch_id: str, *, after: int = 0
    ) -> AsyncGenerator[tuple[list[BatchEvent], Batch], None]:
        """The events after number `after` as they become durable, each time with the batch."""
        ref = _ref(tenant, batch_id)
        async with contextlib.aclosing(self._follower.progresses(ref)) as progresses:
            async for progress in progresses:
                events = await self._follower.events_of(ref, progress.state, after)
                after = events[-1].seq if events else after
                yield events, self._public(progress)

    async def events(
        self, tenant: str, batch_id: str, *, after: int = 0, limit: int = 100
    ) -> BatchEventPage:
        """A page of the logged events with a `seq` greater than `after`."""
        found = await self._follower.events(_ref(tenant, batch_id), after=after)
        page, has_more = found[:limit], len(found) > limit
        cursor = page[-1].id if has_more else None
        return BatchEventPage(data=page, next_cursor=cursor, has_more=has_more)

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
            UsageError: `after` is not a cursor.
        """
        ref = _ref(tenant, batch_id)
        items = ItemList(self._store, ref, await self._progress(ref))
        return await items.page(status=status, custom_id=custom_id, limit=limit, after=after)

    async def results(self, tenant: str, batch_id: str) -> tuple[Results, Progress]:
        """The results so far, and the progress that they belong to."""
        ref = _ref(tenant, batch_id)
        progress = await self._progress(ref)
        return Results(self._store, ref, progress), progress

    async def cancel(self, tenant: str, batch_id: str, *, reason: str | None = None) -> Batch:
        """Cancel the batch: no more items start, and those in flight are cancelled.

        Repeating this changes nothing.

        Raises:
            BatchEnded: The batch has ended with another status.
        """
        found = await self._signals.send(_ref(tenant, batch_id), "cancel", reason=reason)
        return self._public(found.progress)

    async def pause(self, tenant: str, batch_id: str) -> Batch:
        """Pause the batch: no more items start, and those in flight end. Can be repeated.

        Raises:
            BatchEnded: The batch has ended.
        """
        found = await self._signals.send(_ref(tenant, batch_id), "pause")
        return self._public(found.progress)

    async def resume(self, tenant: str, batch_id: str) -> Batch:
        """Resume a paused batch. Repeating this changes nothing.

        Raises:
            BatchEnded: The batch has ended.
        """
        found = await self._signals.send(_ref(tenant, batch_id), "resume")
        return self._public(found.progress)

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
            BatchNotFinished: The batch has not ended.
            DefinitionError: The batch has reached a limit; has `pointer`.
        """
        found = await self._signals.retry_failed(
            _ref(tenant, batch_id), limits=limits, key=idempotency_key
        )
        return SubmittedBatch(self._public(found.progress), found.repeated)

    async def delete(self, tenant: str, batch_id: str) -> None:
        """Delete a batch that has ended, and with it the runs of its items.

        The batch disappears at once. The runs are removed by a worker one to two hours later.

        Raises:
            BatchNotFinished: The batch has not ended.
        """
        await self._erasure.delete(_ref(tenant, batch_id))

    async def _progress(self, ref: BatchRef) -> Progress:
        return await read_progress(
            self._store, BatchLog(self._store, ref, writer="api", clock=self._clock), None
        )

    def _public(self, progress: Progress) -> Batch:
        return public_batch(progress, self._clock.now())


def _ref(tenant: str, batch_id: str) -> BatchRef:
    """The reference of a batch that a client names.

    Raises:
        BatchNotFound: No batch can have this id.
    """
    ref = BatchRef(tenant, batch_id)
    if not is_run_id(batch_id):
        raise batch_not_found(ref)
    return ref
