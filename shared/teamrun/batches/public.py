"""The resources of batches, made from their logs."""

from datetime import datetime
from decimal import Decimal

from teamrun.batches.entries import FINAL, BatchEntry
from teamrun.batches.keys import BatchRef
from teamrun.batches.progress import Progress
from teamrun.batches.resources import Batch, BatchCounts, BatchEvent, BatchUsage

__all__ = ["public_batch", "public_events"]

_PARTS = ("items", "results", "errors", "events", "cancel", "pause", "resume", "retry-failed")


def public_batch(progress: Progress, now: datetime) -> Batch:
    """The batch of a progress."""
    state, spec, counts = progress.state, progress.state.spec, progress.counts
    url, total = f"/v1/batches/{spec.batch_id}", progress.total
    ended = state.end or state.stop
    return Batch(
        id=spec.batch_id,
        status=state.status,
        stop_reason=state.why.reason,
        stop_code=state.why.code,
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
        input_url=spec.input_url,
        webhook=spec.webhook,
        created_at=spec.created_at,
        finished_at=state.finished_at,
        urls={"self": url, **{part: f"{url}/{part}" for part in _PARTS}},
        metadata=spec.metadata,
        tags=spec.tags,
    )


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
