"""The state of a batch: a pure function of its log."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from teamrun.batches.entries import (
    BEFORE,
    Accepted,
    BatchEntry,
    BatchStatus,
    End,
    Settled,
    Signal,
    Step,
    Stop,
    Tally,
)
from teamrun.batches.spec import BatchSpec

__all__ = ["BatchState", "Round", "fold"]


class Why(NamedTuple):
    """Why a batch has ended, or will."""

    code: str | None
    reason: str | None


class Round(BaseModel):
    """One pass over items: the first over all, each retry over those that have not completed."""

    model_config = ConfigDict(defer_build=True)

    number: int
    size: int
    """The number of items."""
    began_at: datetime
    fed: int = 0
    """The number of items that have started, in the order of the round."""
    settled: dict[int, Settled] = {}
    tally: Tally = Tally()
    """Of the settled blocks."""
    before: str = ""
    """The status of each item before this round, as in `Signal.before`."""

    def place(self, indices: Sequence[int], index: int) -> int | None:
        """The position of an item of the input; None if it is not in the round."""
        position = bisect_left(indices, index)
        is_in = position < len(indices) and indices[position] == index
        return position if is_in else None


class BatchState(BaseModel):
    """The state after the first `entries` entries of the log."""

    model_config = ConfigDict(defer_build=True)

    spec: BatchSpec
    at: datetime
    entries: int = 0
    seq: int = 1
    """The number of the next event."""
    rounds: list[Round]
    is_paused: bool = False
    cancel: Signal | None = None
    stop: Stop | None = None
    end: End | None = None
    finished_at: datetime | None = None
    reported: int = 0
    """How many items of the round had ended at the last `batch.progressed`."""
    signal_keys: list[str] = []
    eventful: list[int] = []
    """The numbers of the entries that have events."""

    @staticmethod
    def initial(spec: BatchSpec, at: datetime) -> "BatchState":
        """The state before entry 0."""
        return BatchState(
            spec=spec, at=at, rounds=[Round(number=1, size=spec.total, began_at=spec.created_at)]
        )

    @property
    def round(self) -> Round:
        """The current round."""
        return self.rounds[-1]

    @property
    def status(self) -> BatchStatus:
        """The status that clients see."""
        if self.end is not None:
            return self.end.status
        if self.cancel is not None:
            return "cancelling"
        if self.stop is not None:
            return "finalizing"
        return "paused" if self.is_paused else "in_progress"

    @property
    def why(self) -> "Why":
        """Why the batch has ended before all items have started, or will."""
        if self.end is not None:
            return Why(self.end.stop_code, self.end.stop_reason)
        if self.cancel is not None:
            return Why("cancelled", self.cancel.reason)
        return Why(None, None) if self.stop is None else Why(self.stop.code, self.stop.reason)

    @property
    def interrupts(self) -> bool:
        """Whether the items in flight are to be cancelled."""
        return self.cancel is not None or (self.stop is not None and self.stop.interrupts)

    @property
    def creates(self) -> bool:
        """Whether items get their runs; in a cancelled batch, one that is cancelled at once."""
        return self.interrupts or not self.is_paused

    @property
    def feeds(self) -> bool:
        """Whether more items may start."""
        is_open = self.end is None and self.cancel is None and self.stop is None
        return is_open and not self.is_paused and self.round.fed < self.round.size

    @property
    def last(self) -> int:
        """How many items of the round will have started when it is over, as far as is known."""
        is_stopped = self.cancel is not None or self.stop is not None or self.end is not None
        return self.round.fed if is_stopped else self.round.size

    @property
    def dropped(self) -> Counter[str]:
        """The statuses of the items of the round that will not start: what they were before."""
        letters = self.round.before[self.last :]
        counts = Counter[str](BEFORE.get(letter) or "cancelled" for letter in letters)
        counts["cancelled"] += self.round.size - self.last - len(letters)  # the first round
        return counts

    def started(self, current: Round) -> int:
        """How many items of a round have started or will; the others are as they were before."""
        return self.last if current is self.round else current.fed

    def positions(self, block: int) -> range:
        """The positions of the items of a block that have started or will start."""
        start = block * self.spec.block
        return range(start, min(start + self.spec.block, self.last))

    def open_blocks(self) -> list[int]:
        """The blocks in which an item has started, and whose results are not stored together."""
        settled, blocks = self.round.settled, -(-self.round.fed // self.spec.block)
        return [block for block in range(blocks) if block not in settled]

    def apply(self, entry: BatchEntry) -> None:
        """Apply the next entry.

        Raises:
            ValueError: The entry is not the next one, or may not follow.
        """
        body = entry.body
        is_retry = isinstance(body, Signal) and body.signal == "retry"
        if entry.n != self.entries or (self.end is not None) != is_retry:
            raise ValueError(f"entry {entry.n} cannot follow {self.entries} entries")
        self.entries += 1
        self.at = entry.at
        self.seq = entry.seq + len(entry.events)
        if entry.events:
            self.eventful.append(entry.n)
        match body:
            case Step():
                self._apply_step(body, entry)
            case Signal():
                self._apply_signal(body, entry)
            case Stop():
                self.stop = body
            case End():
                self.end, self.finished_at = body, entry.at
            case Accepted():
                pass

    def _apply_step(self, step: Step, entry: BatchEntry) -> None:
        current = self.round
        current.fed = step.fed
        for settled in step.settled:
            current.settled[settled.block] = settled
        current.tally = current.tally.plus(*(settled.tally for settled in step.settled))
        for event in entry.events:
            if event.type == "batch.progressed":
                self.reported = event.data["ended"]

    def _apply_signal(self, signal: Signal, entry: BatchEntry) -> None:
        if signal.key is not None:
            self.signal_keys.append(signal.key)
        match signal.signal:
            case "cancel":
                self.cancel = signal
            case "pause":
                self.is_paused = True
            case "resume":
                self.is_paused = False
            case "retry":
                number = len(self.rounds) + 1
                self.rounds[-1].before = ""  # only needed while it is the newest round
                self.rounds.append(
                    Round(number=number, size=signal.count, began_at=entry.at, before=signal.before)
                )
                if signal.limits is not None:
                    limits = self.spec.limits.changed(signal.limits)
                    self.spec = self.spec.model_copy(update={"limits": limits})
                self.cancel = self.stop = self.end = self.finished_at = None
                self.is_paused, self.reported = False, 0


def fold(entries: Iterable[BatchEntry]) -> BatchState | None:
    """The state after these entries; None if there is no batch.

    Raises:
        ValueError: The entries do not form a log.
    """
    state: BatchState | None = None
    for entry in entries:
        if state is None:
            if isinstance(entry.body, End):
                return None
            if not isinstance(entry.body, Accepted):
                raise ValueError("a log starts with entry 0, `accepted`")
            state = BatchState.initial(entry.body.spec, entry.at)
        state.apply(entry)
    return state
