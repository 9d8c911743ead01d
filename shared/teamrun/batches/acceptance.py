"""Acceptance of batches: a batch is durable before the client receives a response.

First the record of the Idempotency-Key, then the marker, then the items in chunks while the input
is still being read, and last entry 0, which accepts the batch. A repeated request writes the same
objects again.
"""

import asyncio
import contextlib
import secrets
from datetime import datetime

from pydantic import BaseModel
from pydantic_core import to_json

from teamrun.batches.chunks import discard
from teamrun.batches.entries import DELETED, Accepted, BatchEvent
from teamrun.batches.inputs import Inputs
from teamrun.batches.item_writer import ItemWriter
from teamrun.batches.items import Items
from teamrun.batches.keys import BatchRef, batch_list_key, live_marker
from teamrun.batches.log import BatchLog
from teamrun.batches.requests import BatchRequest
from teamrun.batches.spec import BatchSpec, Variant
from teamrun.batches.state import BatchState
from teamrun.batches.variants import Variants
from teamrun.batches.webhooks import BatchWebhooks
from teamrun.components.catalog import Teams
from teamrun.core.clock import Clock
from teamrun.core.ids import new_id
from teamrun.dispatch.queues import Queue
from teamrun.errors import BatchDeleted, IdempotencyConflict, InvalidItems, StorageError, UsageError
from teamrun.runs.log.keys import idempotency_key
from teamrun.runs.service.requests import request_digest
from teamrun.storage.base import ObjectStore

__all__ = ["BatchAcceptance"]

_SCOPE = "POST /v1/batches"

_BLOCK = 100
"""Items whose results are stored together."""

_MOST_PROBLEMS = 100
"""How many invalid lines an error lists."""


class _KeyRecord(BaseModel):
    batch_id: str
    request_hash: str
    at: datetime


class _Voided(Exception):
    """The acceptance was interrupted, and its log has been closed."""


class BatchAcceptance:
    """Turns requests into batches."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        teams: Teams,
        inputs: Inputs,
        clock: Clock,
        webhooks: BatchWebhooks | None = None,
    ) -> None:
        self._webhooks = webhooks or BatchWebhooks()
        self._store = store
        self._teams = teams
        self._inputs = inputs
        self._clock = clock

    async def accept(
        self, tenant: str, request: BatchRequest, *, key: str | None
    ) -> tuple[BatchState, bool]:
        """Accept a batch; returns its state, and whether the key had been used for it before.

        Raises:
            DefinitionError: The team is unknown, or its definition is invalid.
            DestinationRefused: The URL of the webhook is not allowed; has a `pointer`.
            FileNotFound: The tenant has no such file.
            InvalidItems: Items are invalid, or there are none or too many.
            IdempotencyConflict: The key was used with another request.
            BatchNotFound: The key was used for a batch that has been deleted.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        place = key and idempotency_key(tenant, _SCOPE, key)
        while True:
            record = _KeyRecord(
                batch_id=new_id("bat"), request_hash=request_digest(request), at=self._clock.now()
            )
            replayed = bool(place) and not await self._store.put_new(str(place), to_json(record))
            if replayed:
                record = await self._first_use(str(place), record)
            try:
                return await self._accept_once(tenant, request, record, place, replayed=replayed)
            except _Voided:
                # It was started long ago and never completed, so the key now names another batch.
                place = f"{place}.{record.batch_id}" if place else None

    async def _accept_once(
        self,
        tenant: str,
        request: BatchRequest,
        record: _KeyRecord,
        place: str | None,
        *,
        replayed: bool,
    ) -> tuple[BatchState, bool]:
        """Accept a request under the id of the record; the same as `accept`.

        Raises:
            _Voided: The sweep of the feeder has closed the log before.
        """
        log = BatchLog(
            self._store,
            BatchRef(tenant, record.batch_id),
            writer="api",
            clock=self._clock,
            pre_commit=self._webhooks.pre_commit,
        )
        if replayed:
            if (state := await log.state()) is not None:
                return state, True
            await _check_open(log)
        try:
            return await self._write(log, request, record, place or None), replayed
        except UsageError:
            # The request cannot succeed, so its key may be used with a corrected one, unless the
            # same request has succeeded before, at another process.
            if place and not await log.close_void():
                return await log.existing(), True
            await self._discard(log.ref)
            if place:
                await self._store.delete(place)
            raise
        except _Voided:
            await self._discard(log.ref)
            raise
        except BaseException:
            # With a key, the same request may have been sent again, and shares what is stored. If
            # no request completes it, the sweep of the feeder removes it.
            if not place:
                with contextlib.suppress(StorageError):
                    await self._discard(log.ref)
            raise

    async def _discard(self, ref: BatchRef) -> None:
        """Remove what was stored of a batch that is not accepted."""
        await discard(self._store, ref)
        await self._store.delete(live_marker(ref))

    async def _first_use(self, place: str, record: _KeyRecord) -> _KeyRecord:
        first = _KeyRecord.model_validate_json(await self._store.get(place))
        if first.request_hash != record.request_hash:
            raise IdempotencyConflict(
                "The Idempotency-Key was used with another request; use a new key.",
                batch_id=first.batch_id,
            )
        return first

    async def _write(
        self, log: BatchLog, request: BatchRequest, record: _KeyRecord, place: str | None
    ) -> BatchState:
        self._webhooks.check(request.webhook)
        ref, teams = log.ref, Variants(self._teams, request)
        await teams.begin(log.ref.tenant)
        await self._store.put_new(live_marker(ref), b"")
        chunks = ItemWriter(self._store, ref)
        items = Items(teams.choose)
        async for parsed in await self._inputs.parsed(ref, request):
            for each in parsed:
                await chunks.add(items.check(each))
            await asyncio.sleep(0)  # other requests come in between
        await chunks.close()
        _check(chunks, request)
        spec = _spec(ref, request, record, teams.pinned, chunks, place)
        changed_at = await self._webhooks.changed_at(ref.tenant)
        spec = spec.model_copy(update={"webhooks_at": changed_at})
        state = BatchState.initial(spec, record.at)
        await self._store.put_new(batch_list_key(ref), b"")
        if await log.append(state, Accepted(spec=spec), [_started(spec)]):
            return state
        state = await log.state()  # a repeated request was first, or the acceptance took too long
        if state is None:
            await _check_open(log)
            raise _Voided
        return state


async def _check_open(log: BatchLog) -> None:
    """Refuse to accept a batch whose log has been closed.

    Raises:
        BatchDeleted: The batch was accepted, ended and deleted.
        _Voided: The acceptance took too long.
    """
    closing = await log.closing()
    if closing is not None and closing.stop_code == DELETED:
        raise BatchDeleted(
            f"The Idempotency-Key was used for batch {log.ref.batch_id!r}, which has been deleted; "
            "use a new key."
        )
    if closing is not None:
        raise _Voided


def _check(chunks: ItemWriter, request: BatchRequest) -> None:
    """Refuse a batch with invalid or without valid items.

    Raises:
        InvalidItems: The batch is refused.
    """
    if chunks.problems and request.on_invalid == "reject":
        first = chunks.problems[0]
        others = len(chunks.problems) - 1
        more = f" {others} more line{'s are' if others > 1 else ' is'} invalid." if others else ""
        raise InvalidItems(
            f"Line {first['line']}: {first['detail']}{more} Correct the input, or leave invalid "
            "lines out with `on_invalid: skip`.",
            problems=chunks.problems[:_MOST_PROBLEMS],
        )
    if not chunks.count:
        detail = "The input has no valid items." if chunks.problems else "The input is empty."
        problems = chunks.problems or [{"line": 1, "code": "empty_file", "detail": detail}]
        raise InvalidItems(detail, problems=problems[:_MOST_PROBLEMS])


def _spec(
    ref: BatchRef,
    request: BatchRequest,
    record: _KeyRecord,
    variants: list[Variant],
    chunks: ItemWriter,
    place: str | None,
) -> BatchSpec:
    return BatchSpec(
        tenant=ref.tenant,
        batch_id=ref.batch_id,
        variants=variants,
        total=chunks.count,
        chunks=chunks.firsts,
        skipped=chunks.skipped,
        block=_BLOCK,
        max_concurrency=request.max_concurrency,
        limits=request.limits,
        item_limits=request.item_limits,
        retry=request.retry,
        completion_window_seconds=request.completion_window_seconds,
        stops_at_failure=request.on_item_failure == "stop",
        max_failure_rate=request.max_failure_rate,
        min_sample=request.min_sample,
        queue=Queue(request.priority),
        input_file_id=request.input_file_id,
        input_url=request.input_url,
        metadata=request.metadata,
        tags=request.tags,
        webhook=request.webhook,
        seed=secrets.token_hex(10),
        created_at=record.at,
        request_hash=record.request_hash,
        idempotency=place,
    )


def _started(spec: BatchSpec) -> BatchEvent:
    return BatchEvent(type="batch.started", data={"total": spec.total, "skipped": spec.skipped})
