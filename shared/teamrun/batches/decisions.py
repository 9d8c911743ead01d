"""What is due in a batch, decided from its progress alone."""

from datetime import datetime, timedelta
from typing import NamedTuple

from teamrun.batches.entries import BatchBody, BatchEvent, End, Settled, Step, Stop, Tally
from teamrun.batches.progress import Progress
from teamrun.batches.spec import BatchLimits
from teamrun.batches.state import BatchState

__all__ = ["TOP_UP", "Decision", "ReachedLimit", "decide", "full_blocks", "reached_limit", "room"]

TOP_UP = timedelta(seconds=1)
"""Items start when a quarter of the places is free, so that an entry stands for several; after this
time since the last entry, as soon as one is."""

_MOST_AT_ONCE = 100
"""Items of one entry. Until the next one, a cancel or a pause is not noticed."""

_STEPS = 100
"""`batch.progressed` is emitted about this many times."""


class Decision(NamedTuple):
    """An entry that is due."""

    body: BatchBody
    events: list[BatchEvent]


def full_blocks(progress: Progress, most: int) -> list[int]:
    """The blocks whose items have all ended, at most so many."""
    state = progress.state
    full: list[int] = []
    for block in state.open_blocks():
        if all(position in progress.done for position in state.positions(block)):
            full.append(block)
            if len(full) == most:
                break
    return full


def decide(
    progress: Progress, *, settled: list[Settled], waiting: int, now: datetime
) -> Decision | None:
    """The entry that is due; None if there is none.

    Args:
        progress: The batch.
        settled: Blocks whose results have been stored, and that no entry names.
        waiting: How many items in flight wait for a person.
        now: The time.
    """
    state = progress.state
    if state.end is not None:
        return None
    if state.cancel is None and (stop := _stop(progress, now)) is not None:
        return Decision(stop, [])
    if state.last == progress.ended and not state.open_blocks():
        return _end(progress)
    free, fed = room(progress, waiting), state.round.fed
    few = min(state.spec.max_concurrency // 4, state.round.size - fed)
    if free and (free >= few or now - state.at >= TOP_UP):
        fed += min(free, _MOST_AT_ONCE)
    if fed == state.round.fed and not settled:
        return None
    return Decision(Step(fed=fed, settled=settled), _progressed(progress))


def room(progress: Progress, waiting: int) -> int:
    """How many items could start now.

    Args:
        progress: The batch.
        waiting: How many items in flight wait for a person.
    """
    state = progress.state
    if not state.feeds:
        return 0
    free = state.spec.max_concurrency - (len(progress.in_flight) - waiting)
    return max(0, min(free, state.round.size - state.round.fed))


def _stop(progress: Progress, now: datetime) -> Stop | None:
    """Why no more items start, if there is a new reason."""
    state, spec, total = progress.state, progress.state.spec, progress.total
    if state.round.fed == state.round.size and not progress.in_flight:
        # Every item has ended: a limit that is reached now keeps nothing from being done.
        return None if state.stop else _too_many_failures(state, progress.tally)
    limits, elapsed = spec.limits, (now - state.round.began_at).total_seconds()
    window = spec.completion_window_seconds
    if window is not None and elapsed >= window and not state.interrupts:
        reason = f"The batch has not ended within {window:g} seconds."
        return Stop(code="completion_window", reason=reason, interrupts=True)
    if state.stop is not None:
        return None
    if (reached := reached_limit(limits, total)) is not None:
        return _limit(reached.code, reached.what)
    if limits.timeout_seconds is not None and elapsed >= limits.timeout_seconds:
        return _limit("timeout", f"The batch has taken {elapsed:.0f} seconds")
    return _too_many_failures(state, progress.tally)


class ReachedLimit(NamedTuple):
    """A limit that what was used so far has reached."""

    field: str
    """Its name in `limits`."""
    code: str
    """The `stop_code`."""
    what: str
    """What was used, as the beginning of a sentence."""


def reached_limit(limits: BatchLimits, total: Tally) -> ReachedLimit | None:
    """The limit of cost or tokens that the usage of all rounds has reached, if there is one."""
    used = total.input_tokens + total.output_tokens
    if limits.max_cost_usd is not None and (total.cost_usd or 0) >= limits.max_cost_usd:
        what = f"The batch has cost {total.cost_usd or 0} USD"
        return ReachedLimit("max_cost_usd", "budget_exceeded", what)
    if limits.max_tokens is not None and used >= limits.max_tokens:
        return ReachedLimit("max_tokens", "max_tokens", f"The batch has used {used} tokens")
    return None


def _limit(code: str, what: str) -> Stop:
    return Stop(code=code, reason=f"{what}, and its limit is reached.")


def _too_many_failures(state: BatchState, tally: Tally) -> Stop | None:
    spec, failed = state.spec, tally.by_status.get("failed", 0)
    if spec.stops_at_failure and failed:
        return Stop(code="item_failed", reason="An item has failed.")
    if spec.max_failure_rate is None or tally.count < spec.min_sample:
        return None
    if failed <= spec.max_failure_rate * tally.count:
        return None
    reason = (
        f"{failed} of {tally.count} items have failed; "
        f"`max_failure_rate` is {spec.max_failure_rate:g}."
    )
    return Stop(code="too_many_failures", reason=reason)


def _end(progress: Progress) -> Decision:
    state = progress.state
    if state.cancel is not None:
        end = End(status="cancelled", stop_code="cancelled", stop_reason=state.cancel.reason)
    elif state.stop is not None:
        end = End(status="failed", stop_code=state.stop.code, stop_reason=state.stop.reason)
    else:
        end = End(status="completed")
    return Decision(end, [BatchEvent(type=f"batch.{end.status}", data=_data(progress))])


def _progressed(progress: Progress) -> list[BatchEvent]:
    state, ended = progress.state, progress.ended
    size = state.round.size
    if ended * _STEPS // size <= state.reported * _STEPS // size:
        return []
    return [BatchEvent(type="batch.progressed", data=_data(progress))]


def _data(progress: Progress) -> dict[str, object]:
    counts, total = progress.counts, progress.total
    return {
        "ended": progress.ended,
        "total": counts.total,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "incomplete": counts.incomplete,
        "expired": counts.expired,
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "cost_usd": None if total.cost_usd is None else str(total.cost_usd),
    }
