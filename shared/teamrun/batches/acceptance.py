"""Acceptance of batches: a batch is durable before the client receives a response.

First the record of the Idempotency-Key, then the marker, then the items in chunks while the input
is still being read, and last entry 0, which accepts the batch. A repeated request writes the same
objects again.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel
from pydantic_core import to_json

from teamrun.batches.chunks import discard
from teamrun.batches.entries import Accepted, BatchEvent
from teamrun.batches.files import Files
from teamrun.batches.items import (
    Chosen,
    Items,
    Numbered,
    Parsed,
    Problem,
    items_of_csv,
    items_of_jsonl,
)
from teamrun.batches.keys import (
    BatchRef,
    batch_list_key,
    chunk_key,
    invalid_key,
    live_marker,
)
from teamrun.batches.log import BatchLog, PreCommit
from teamrun.batches.requests import BatchRequest
from teamrun.batches.spec import BatchSpec, StoredItem, Variant
from teamrun.batches.state import BatchState
from teamrun.components.catalog import Teams
from teamrun.components.definitions.digest import version_of
from teamrun.components.registry import Resolved
from teamrun.core.clock import Clock
from teamrun.core.ids import new_id
from teamrun.dispatch.queues import Queue
from teamrun.errors import (
    DefinitionError,
    DestinationRefused,
    FileNotFound,
    IdempotencyConflict,
    InvalidItems,
    StorageError,
    Unavailable,
    UsageError,
)
from teamrun.json_types import JsonObject
from teamrun.net.destinations import Destinations
from teamrun.runs.log.keys import idempotency_key
from teamrun.runs.log.spec import TeamRef
from teamrun.runs.log.webhook import BatchWebhook
from teamrun.runs.service.requests import Overrides, check_limits, request_digest
from teamrun.storage.base import ObjectStore

__all__ = ["BatchAcceptance", "BatchWebhooks"]

_SCOPE = "POST /v1/batches"

_CHUNK_ITEMS, _CHUNK_BYTES = 1_000, 8_000_000

_BLOCK = 100
"""Items whose results are stored together."""

_MOST_PROBLEMS = 100
"""How many invalid lines an error lists."""

_MOST_VARIANTS = 100


class _KeyRecord(BaseModel):
    batch_id: str
    request_hash: str
    at: datetime


async def _never(tenant: str) -> None:
    """For a service without registered webhooks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWebhooks:
    """What batches need of webhooks."""

    destinations: Destinations = field(default_factory=Destinations)
    """Where requests may go."""
    changed_at: Callable[[str], Awaitable[datetime | None]] = _never
    """Returns the newest change of a tenant's registered webhooks."""
    pre_commit: PreCommit | None = None
    """Called before each entry of a batch's log."""

    def check(self, webhook: BatchWebhook | None) -> None:
        """Refuse a webhook whose URL is not allowed.

        Raises:
            DestinationRefused: It is not allowed; has a `pointer`.
        """
        if webhook is None:
            return
        try:
            self.destinations.check_url(webhook.url)
        except DestinationRefused as error:
            raise DestinationRefused(error.message, pointer="/webhook/url") from None


class BatchAcceptance:
    """Turns requests into batches."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        teams: Teams,
        files: Files,
        clock: Clock,
        webhooks: BatchWebhooks | None = None,
    ) -> None:
        self._webhooks = webhooks or BatchWebhooks()
        self._store = store
        self._teams = teams
        self._files = files
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
            Unavailable: Storage does not respond; nothing was accepted.
        """
        record = _KeyRecord(
            batch_id=new_id("bat"), request_hash=request_digest(request), at=self._clock.now()
        )
        place = key and idempotency_key(tenant, _SCOPE, key)
        replayed = bool(place) and not await self._store.put_new(str(place), to_json(record))
        if replayed:
            record = await self._first_use(str(place), record)
        ref = BatchRef(tenant, record.batch_id)
        log = BatchLog(
            self._store,
            ref,
            writer="api",
            clock=self._clock,
            pre_commit=self._webhooks.pre_commit,
        )
        if replayed and (state := await log.state()) is not None:
            return state, True
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
        ref, teams = log.ref, _Variants(self._teams, request)
        await teams.begin(log.ref.tenant)
        await self._store.put_new(live_marker(ref), b"")
        chunks = _Chunks(self._store, ref)
        items = Items(teams.choose)
        async for parsed in await self._input(ref.tenant, request):
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
            raise Unavailable("The acceptance of the batch took too long; repeat the request.")
        return state

    async def _input(self, tenant: str, request: BatchRequest) -> AsyncIterator[Sequence[Parsed]]:
        if request.items is not None:
            return _inline(request)
        assert request.input_file_id is not None
        try:
            file = await self._files.get(tenant, request.input_file_id)
        except FileNotFound as error:
            raise InvalidItems(
                f"input_file_id: {error.message}",
                problems=[{"line": 0, "code": error.code, "detail": error.message}],
            ) from None
        content = self._files.content(tenant, file.id)
        is_csv = (file.name or "").lower().endswith(".csv")
        if (request.input_format or ("csv" if is_csv else "jsonl")) == "csv":
            return items_of_csv(content, request.input_template)
        if request.input_template is not None:
            detail = "`input_template` is for CSV; set `input_format` to `csv` if the file is CSV."
            raise InvalidItems(
                detail, problems=[{"line": 0, "code": "template_without_csv", "detail": detail}]
            )
        return items_of_jsonl(content)


async def _inline(request: BatchRequest) -> AsyncIterator[Sequence[Parsed]]:
    yield [Numbered(line, item) for line, item in enumerate(request.items or [], 1)]


class _Variants:
    """The teams that the items of a batch use, each pinned once."""

    def __init__(self, teams: Teams, request: BatchRequest) -> None:
        self._teams = teams
        self._request = request
        self._numbers: dict[tuple[str | None, int | None], int | DefinitionError] = {}
        self.pinned: list[Variant] = []

    async def begin(self, tenant: str) -> None:
        """Resolve the team of the request.

        Raises:
            DefinitionError: It is unknown or invalid.
        """
        asked = self._request
        self._base = await self._teams.resolve(tenant, team=asked.team, team_spec=asked.team_spec)
        check_limits(asked.item_limits, self._base.definition, at="/item_limits")
        number = self._number(asked.overrides)
        if isinstance(number, DefinitionError):
            raise number

    def choose(self, overrides: Overrides | None) -> Chosen:
        """The team of an item.

        Raises:
            DefinitionError: The model is unknown, or there are too many different teams.
        """
        common = self._request.overrides
        if overrides is None:
            return Chosen(0, common.temperature)
        given = overrides.model_dump(exclude_unset=True)
        own = common.model_copy(update=given)
        number = self._number(own)
        if isinstance(number, DefinitionError):
            raise number
        return Chosen(number, own.temperature)

    def _number(self, changes: Overrides) -> int | DefinitionError:
        key = changes.model, changes.max_turns
        if key not in self._numbers:
            self._numbers[key] = self._pinned(changes)
        return self._numbers[key]

    def _pinned(self, changes: Overrides) -> int | DefinitionError:
        if len(self.pinned) >= _MOST_VARIANTS:
            return DefinitionError(
                f"The items have more than {_MOST_VARIANTS} different combinations of `model` and "
                "`max_turns`; divide the batch.",
                pointer="/overrides",
                code="too_many_variants",
            )
        resolved = self._base
        if changes.model or changes.max_turns:
            try:
                resolved = self._teams.overridden(
                    resolved.name,
                    resolved.definition,
                    model=changes.model,
                    max_turns=changes.max_turns,
                )
            except DefinitionError as error:
                return error
        self.pinned.append(_variant(self._base, resolved, named=self._request.team is not None))
        return len(self.pinned) - 1


def _variant(base: Resolved, resolved: Resolved, *, named: bool) -> Variant:
    return Variant(
        team=TeamRef(
            name=base.name,
            digest=resolved.digest,
            id=base.name if named else None,
            version=version_of(base.digest),
        ),
        definition=resolved.definition,
        models=resolved.models,
        tools=resolved.tools,
        agents=resolved.agents,
    )


class _Chunks:
    """Stores the items while they are being read."""

    def __init__(self, store: ObjectStore, ref: BatchRef) -> None:
        self._store = store
        self._ref = ref
        self._lines: list[bytes] = []
        self._bytes = 0
        self.firsts: list[int] = []
        self.count = 0
        self.problems: list[JsonObject] = []
        self.invalid = 0

    async def add(self, found: StoredItem | Problem) -> None:
        """Add an item, or the reason why a line is none."""
        if isinstance(found, Problem):
            self.invalid += 1
            self.problems.append(found.as_json())
            return
        line = to_json(found)
        if len(self._lines) == _CHUNK_ITEMS or self._bytes + len(line) > _CHUNK_BYTES:
            await self._flush()
        self._lines.append(line)
        self._bytes += len(line) + 1
        self.count += 1

    async def close(self) -> None:
        """Store what is left, and the problems."""
        await self._flush()
        if self.problems:
            lines = b"".join(to_json(problem) + b"\n" for problem in self.problems)
            await self._store.put(invalid_key(self._ref), lines)

    async def _flush(self) -> None:
        if self._lines:
            first = self.count - len(self._lines)
            self.firsts.append(first)
            data = b"".join(line + b"\n" for line in self._lines)
            self._lines, self._bytes = [], 0
            await self._store.put(chunk_key(self._ref, first), data)


def _check(chunks: _Chunks, request: BatchRequest) -> None:
    """Refuse a batch with invalid or without valid items.

    Raises:
        InvalidItems: The batch is refused.
    """
    if chunks.invalid and request.on_invalid == "reject":
        first = chunks.problems[0]
        others = chunks.invalid - 1
        more = f" {others} more line{'s are' if others > 1 else ' is'} invalid." if others else ""
        raise InvalidItems(
            f"Line {first['line']}: {first['detail']}{more} Correct the input, or leave invalid "
            "lines out with `on_invalid: skip`.",
            problems=chunks.problems[:_MOST_PROBLEMS],
        )
    if not chunks.count:
        detail = "The input has no valid items." if chunks.invalid else "The input is empty."
        problems = chunks.problems or [{"line": 1, "code": "empty_file", "detail": detail}]
        raise InvalidItems(detail, problems=problems[:_MOST_PROBLEMS])


def _spec(
    ref: BatchRef,
    request: BatchRequest,
    record: _KeyRecord,
    variants: list[Variant],
    chunks: _Chunks,
    place: str | None,
) -> BatchSpec:
    return BatchSpec(
        tenant=ref.tenant,
        batch_id=ref.batch_id,
        variants=variants,
        total=chunks.count,
        chunks=chunks.firsts,
        skipped=chunks.invalid,
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
