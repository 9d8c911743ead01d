"""Batches as clients see them: the resources of the HTTP API."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.batches.done import ItemResult
from teamrun.batches.entries import FINAL, BatchEntry, BatchStatus
from teamrun.batches.keys import BatchRef
from teamrun.batches.progress import Progress
from teamrun.batches.spec import BatchLimits
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import EndStatus
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.spec import Metadata, RunInput, TeamRef

__all__ = [
    "Batch",
    "BatchCounts",
    "BatchEvent",
    "BatchEventPage",
    "BatchItemPage",
    "BatchItemView",
    "BatchPage",
    "BatchUsage",
    "ItemStatus",
    "public_batch",
    "public_events",
]

ItemStatus = Literal["queued", "running"] | EndStatus
"""`queued`: not started. `running`: in the queue of a worker, executed, or waiting for a person."""


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class BatchCounts(_Resource):
    """The number of items by status, exact at the time of the answer."""

    total: int
    queued: int
    running: int
    completed: int
    failed: int
    cancelled: int
    incomplete: int
    expired: int


class BatchUsage(_Resource):
    """What the items that have ended have used, in all rounds."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = None
    """US dollars, for models whose price is known; null if no price is known."""


class Batch(_Resource):
    """Many runs of one team."""

    id: str
    object: Literal["batch"] = "batch"
    status: BatchStatus
    stop_reason: str | None = None
    stop_code: str | None = None
    revision: int
    """Grows with every change; `ETag` is `"r{revision}"`."""
    team: TeamRef
    counts: BatchCounts
    usage: BatchUsage
    expected_cost_usd: Decimal | None = None
    """The cost of the whole batch if the other items cost as much as those that have ended."""
    seconds_left: float | None = None
    """The time until the end if the batch goes on as since its beginning; null if unknown."""
    skipped: int = 0
    """The number of invalid lines of the input that were left out."""
    round: int = 1
    """1, and one more for each retry of failed items."""
    max_concurrency: int
    limits: BatchLimits
    item_limits: Limits
    input_file_id: str | None = None
    created_at: datetime
    finished_at: datetime | None = None
    urls: dict[str, str] = {}
    metadata: Metadata = {}
    tags: list[str] = []


class BatchPage(_Resource):
    """Batches, newest first."""

    data: list[Batch]
    next_cursor: str | None = None
    has_more: bool = False


class BatchItemView(_Resource):
    """An item of a batch."""

    custom_id: str
    index: int
    """The position of the item in the input, from 0."""
    status: ItemStatus
    run_id: str | None = None
    """The run of the item; null if it has not started."""
    input: str | RunInput
    metadata: Metadata = {}
    result: ItemResult | None = None
    """The result, once the item has ended."""


class BatchItemPage(_Resource):
    """Items of a batch, in the order of the input."""

    data: list[BatchItemView]
    next_cursor: str | None = None
    has_more: bool = False


class BatchEvent(_Resource):
    """Something that happened to a batch."""

    id: str
    """`{batch_id}-{seq}`."""
    seq: int
    """The sequence number, from 1, without gaps."""
    type: str
    time: datetime
    batch_id: str
    data: JsonObject = Field(default_factory=dict)


class BatchEventPage(_Resource):
    """Events of a batch, oldest first."""

    data: list[BatchEvent]
    next_cursor: str | None = None
    has_more: bool = False


_PARTS = ("items", "results", "errors", "events", "cancel", "pause", "resume", "retry-failed")


def public_batch(progress: Progress, now: datetime) -> Batch:
    """The batch of a progress."""
    state, spec, counts = progress.state, progress.state.spec, progress.counts
    url, total = f"/v1/batches/{spec.batch_id}", progress.total
    ended = state.end or state.stop
    return Batch(
        id=spec.batch_id,
        status=state.status,
        stop_reason=_reason(progress),
        stop_code=state.end.stop_code if state.end else (state.stop and state.stop.code),
        revision=progress.revision,
        team=spec.variants[0].team,
        counts=BatchCounts(**vars(counts)),
        usage=BatchUsage(
            input_tokens=total.input_tokens,
            output_tokens=total.output_tokens,
            cost_usd=total.cost_usd,
        ),
        expected_cost_usd=_expected_cost(progress),
        seconds_left=None if ended else _seconds_left(progress, now),
        skipped=spec.skipped,
        round=state.round.number,
        max_concurrency=spec.max_concurrency,
        limits=spec.limits,
        item_limits=spec.item_limits,
        input_file_id=spec.input_file_id,
        created_at=spec.created_at,
        finished_at=state.finished_at,
        urls={"self": url, **{part: f"{url}/{part}" for part in _PARTS}},
        metadata=spec.metadata,
        tags=spec.tags,
    )


def _reason(progress: Progress) -> str | None:
    state = progress.state
    if state.end is not None:
        return state.end.stop_reason
    if state.cancel is not None:
        return state.cancel.reason
    return state.stop and state.stop.reason


def _expected_cost(progress: Progress) -> Decimal | None:
    state, cost = progress.state, progress.tally.cost_usd
    if cost is None or not progress.ended:
        return None
    before = [each.tally.cost_usd for each in state.rounds[:-1] if each.tally.cost_usd is not None]
    expected = cost / progress.ended * state.last + sum(before, Decimal())
    return expected.quantize(Decimal("0.000001"))


def _seconds_left(progress: Progress, now: datetime) -> float | None:
    state, ended = progress.state, progress.ended
    elapsed = (now - state.round.began_at).total_seconds()
    if not ended or state.status in FINAL or state.is_paused:
        return None
    return round(max(elapsed, 0) / ended * (state.last - ended), 1)


def public_events(ref: BatchRef, entries: list[BatchEntry]) -> list[BatchEvent]:
    """The events of entries of a batch's log."""
    return [
        BatchEvent(
            id=f"{ref.batch_id}-{seq}",
            seq=seq,
            type=event.type,
            time=entry.at,
            batch_id=ref.batch_id,
            data=event.data,
        )
        for entry in entries
        for seq, event in enumerate(entry.events, entry.seq)
    ]
