"""How far a batch is: its log, and the names of the items that have ended since."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from teamrun.batches.done import DoneItem, done_items, tally_of
from teamrun.batches.entries import Tally
from teamrun.batches.log import BatchLog
from teamrun.batches.state import BatchState
from teamrun.storage.base import ObjectStore

__all__ = ["Counts", "Progress", "read_progress"]


@dataclass(frozen=True)
class Counts:
    """The number of items by status; exact at the time of reading.

    An item has the status of the newest round in which it has started or will start.
    """

    total: int
    queued: int
    """They have not started in the current round, and will."""
    running: int
    """They are in the queue of a worker, executed, or wait for a person."""
    completed: int
    failed: int
    cancelled: int
    incomplete: int
    expired: int


@dataclass(frozen=True)
class Progress:
    """A batch at one moment."""

    state: BatchState
    done: dict[int, DoneItem]
    """The ended items of blocks that are not settled, by position in the round."""
    stale: Sequence[str]
    """Objects of items whose blocks are settled."""

    @staticmethod
    def of(state: BatchState, found: Sequence[DoneItem]) -> "Progress":
        """Combine a state with the names that were read before it, not after it."""
        settled, block = state.round.settled, state.spec.block
        done = {item.position: item for item in found if item.position // block not in settled}
        stale = [item.key for item in found if item.position // block in settled]
        return Progress(state, done, stale)

    @cached_property
    def tally(self) -> Tally:
        """How the items of the current round ended."""
        return self.state.round.tally.plus(tally_of(self.done.values()))

    @cached_property
    def total(self) -> Tally:
        """The usage of all rounds; the statuses count an item once for each round."""
        return self.tally.plus(*(each.tally for each in self.state.rounds[:-1]))

    @property
    def revision(self) -> int:
        """Grows with every change."""
        return self.state.entries + self.total.count

    @property
    def ended(self) -> int:
        """The number of items of the current round that have ended."""
        return self.tally.count

    @cached_property
    def in_flight(self) -> list[int]:
        """The positions of the items that have started and not ended."""
        state = self.state
        return [
            position
            for block in state.open_blocks()
            for position in state.positions(block)
            if position < state.round.fed and position not in self.done
        ]

    @property
    def counts(self) -> Counts:
        """The number of items by status."""
        state, ended = self.state, self.tally.by_status
        before, dropped = state.rounds[:-1], state.dropped
        return Counts(
            total=state.spec.total,
            queued=state.last - state.round.fed,
            running=state.round.fed - self.ended,
            completed=ended.get("completed", 0)
            + sum(each.tally.by_status.get("completed", 0) for each in before),
            failed=ended.get("failed", 0) + dropped["failed"],
            cancelled=ended.get("cancelled", 0) + dropped["cancelled"],
            incomplete=ended.get("incomplete", 0) + dropped["incomplete"],
            expired=ended.get("expired", 0) + dropped["expired"],
        )


async def read_progress(store: ObjectStore, log: BatchLog, state: BatchState | None) -> Progress:
    """The progress of a batch now.

    The names are listed first. What is settled in between, and so removed from the list, is in the
    log that is read after it.

    Args:
        store: The store.
        log: The log of the batch.
        state: A state to read on from, if there is one.

    Raises:
        BatchNotFound: There is no such batch.
    """
    if state is None:
        state = await log.existing()
    number = state.round.number
    found = await done_items(store, log.ref, number)
    await log.read_on(state)
    if state.round.number != number:  # a retry has begun in between
        found = []
    return Progress.of(state, found)
