"""The rules of batches, each broken once."""

from collections.abc import Sequence
from datetime import datetime
from types import ModuleType
from typing import Any

from tests.simulation.mutant import Mutant, Patch

from teamrun.batches import driver, follow, service, signals
from teamrun.batches.done import done_items
from teamrun.batches.driver import BatchDriver
from teamrun.batches.entries import Settled
from teamrun.batches.keys import BatchRef
from teamrun.batches.log import BatchLog
from teamrun.batches.progress import Progress
from teamrun.batches.state import BatchState
from teamrun.core.ids import new_id
from teamrun.core.refs import RunRef
from teamrun.errors import UnreadableEntry
from teamrun.runs.engine.resender import Resender
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["BATCH_MUTANTS"]

_READERS: Sequence[ModuleType] = (driver, follow, service, signals)


def _items_before_their_step(patch: Patch) -> None:
    create = BatchDriver._create  # pyright: ignore[reportPrivateUsage]

    async def create_ahead(self: Any, progress: Progress) -> None:
        await create(self, progress)
        state = progress.state
        if state.feeds and self._created[1] == state.round.fed:
            await self._create_items(progress, [state.round.fed])

    patch.setattr(BatchDriver, "_create", create_ahead)


def _leave_out_what_another_began(patch: Patch) -> None:
    create, unattended = BatchDriver._create, Resender.unattended  # pyright: ignore[reportPrivateUsage]
    seen = set[int]()

    async def create_own(self: Any, progress: Progress) -> None:
        if id(self) not in seen:
            seen.add(id(self))
            self._created = (progress.state.round.number, progress.state.round.fed)
        await create(self, progress)

    async def existing(
        self: Resender, refs: Sequence[RunRef], now: datetime
    ) -> list[tuple[RunRef, RunState | UnreadableEntry | None]]:
        return [found for found in await unattended(self, refs, now) if found[1] is not None]

    patch.setattr(BatchDriver, "_create", create_own)
    patch.setattr(Resender, "unattended", existing)


def _list_after_the_log(patch: Patch) -> None:
    async def read_late(store: ObjectStore, log: BatchLog, state: BatchState | None) -> Progress:
        if state is None:
            state = await log.existing()
        await log.read_on(state)
        return Progress.of(state, await done_items(store, log.ref, state.round.number))

    for module in _READERS:
        patch.setattr(module, "read_progress", read_late)


def _remove_results_before_their_step(patch: Patch) -> None:
    settle = BatchDriver._settle  # pyright: ignore[reportPrivateUsage]

    async def settle_and_remove(self: Any, progress: Progress) -> list[Settled]:
        found = await settle(self, progress)
        blocks, size = {each.block for each in found}, progress.state.spec.block
        done = [item.key for item in progress.done.values() if item.position // size in blocks]
        await self._store.delete_many(done)
        return found

    patch.setattr(BatchDriver, "_settle", settle_and_remove)


def _start_items_after_a_cancel(patch: Patch) -> None:
    def feeds(self: BatchState) -> bool:
        is_open = self.end is None and self.stop is None and not self.is_paused
        return is_open and self.round.fed < self.round.size

    patch.setattr(BatchState, "feeds", property(feeds))


def _new_ids_for_items(patch: Patch) -> None:
    def other_id(ref: BatchRef, number: int, index: int) -> str:
        return new_id("run")

    patch.setattr(driver, "item_run_id", other_id)


def _end_without_the_items_in_flight(patch: Patch) -> None:
    def none(self: Progress) -> int:
        return self.state.last if self.state.round.fed == self.state.last else self.tally.count

    def closed(self: BatchState) -> list[int]:
        return []

    patch.setattr(Progress, "ended", property(none))
    patch.setattr(BatchState, "open_blocks", closed)


BATCH_MUTANTS = (
    Mutant(
        "batches: items before their step",
        _items_before_their_step,
        has_batch=True,
        seed=239686377389948,
    ),
    Mutant(
        "batches: leave out what another driver began",
        _leave_out_what_another_began,
        has_batch=True,
        seed=78791661024499,
    ),
    Mutant(
        "batches: list what has ended after the log",
        _list_after_the_log,
        has_batch=True,
        seed=154360449591195,
    ),
    Mutant(
        "batches: remove results before their step",
        _remove_results_before_their_step,
        has_batch=True,
        seed=161556833442361,
    ),
    Mutant(
        "batches: start items after a cancel",
        _start_items_after_a_cancel,
        has_batch=True,
        seed=68056516462639,
    ),
    Mutant(
        "batches: new ids for the runs of items",
        _new_ids_for_items,
        has_batch=True,
        seed=113604805641740,
    ),
    Mutant(
        "batches: end without the items in flight",
        _end_without_the_items_in_flight,
        has_batch=True,
        seed=203251690176099,
    ),
)
