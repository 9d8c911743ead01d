"""Drives one batch: starts items, stores results of blocks together, and writes what is decided.

Any process may do this, and several at once: an entry of the batch's log exists once, and an item's
run has the same id in every process. A process that stops anywhere leaves nothing that another
one cannot go on from.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from teamrun.batches.attendant import Attendant
from teamrun.batches.chunks import StoredItems
from teamrun.batches.decisions import decide, full_blocks, room
from teamrun.batches.done import tally_of
from teamrun.batches.entries import End, Settled
from teamrun.batches.keys import item_run_id, live_marker, results_key
from teamrun.batches.log import BatchLog
from teamrun.batches.progress import Progress, read_progress
from teamrun.batches.spec import Place, item_spec
from teamrun.batches.state import BatchState, Round
from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import DeliveryError, UnreadableEntry
from teamrun.runs.log.entries import Accepted
from teamrun.runs.log.events import accepted_event
from teamrun.runs.log.log import LogObserver, PreCommit, RunLog
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["BatchDriver", "CancelRun"]

logger = logging.getLogger(__name__)

_BLOCKS = 10
"""Blocks whose results are stored in one step."""

_TOGETHER = 50

CancelRun = Callable[[RunRef, str | None], Awaitable[object]]
"""Cancels a run, unless it has ended."""


class BatchDriver:
    """Drives one batch in one process.

    Args:
        store: The store.
        log: The log of the batch.
        dispatcher: The queue of runs.
        attendant: Looks after the items in flight.
        cancel: Cancels the run of an item.
        observers: The observers of run logs in this process.
        clock: The clock.
        run_pre_commit: Called before each entry of a run's log in this process.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        log: BatchLog,
        dispatcher: Dispatcher,
        attendant: Attendant,
        cancel: CancelRun,
        observers: Sequence[LogObserver],
        clock: Clock,
        run_pre_commit: Sequence[PreCommit] = (),
    ) -> None:
        self._store = store
        self._log = log
        self._dispatcher = dispatcher
        self._attendant = attendant
        self._cancel = cancel
        self._observers = observers
        self._run_pre_commit = run_pre_commit
        self._clock = clock
        self._state: BatchState | None = None
        self._items: StoredItems | None = None
        self._created = (0, 0)
        """The round, and how many of its items are known to exist."""
        self._cancelled = set[int]()
        self.has_room = False
        """Whether items could start that the last step has not started yet."""

    def waits(self, number: int, position: int) -> None:
        """Note that an item waits for a person."""
        if self._state is not None and self._state.round.number == number:
            self._attendant.waits(position)

    def goes_on(self, number: int, position: int) -> None:
        """Note that an item waits no longer."""
        if self._state is not None and self._state.round.number == number:
            self._attendant.goes_on(position)

    async def step(self) -> bool:
        """Do what is due now; returns whether the batch has ended.

        Raises:
            BatchNotFound: There is no such batch.
            StorageError: Storage refuses something, or does not respond.
        """
        progress = await self._read()
        while True:
            state = progress.state
            settled = await self._settle(progress)
            await self._create(progress)
            waiting = self._attendant.waiting(progress)
            due = decide(progress, settled=settled, waiting=waiting, now=self._clock.now())
            if due is None:
                break
            if await self._log.append(state, due.body, due.events):
                await self._log.put_snapshot(state, always=isinstance(due.body, End))
            # In both cases everything is read and decided again.
            progress = await self._read()
        self.has_room = room(progress, waiting) > 0
        await self._store.delete_many(progress.stale)
        if state.end is not None:
            return await self._leave(state)
        if state.interrupts:
            await self._cancel_items(progress)
        return False

    async def attend(self) -> None:
        """Send items again that no worker has, and find those that wait or are damaged.

        Raises:
            DeliveryError: The queue or the live state cannot be reached.
            StorageError: Storage refuses something, or does not respond.
        """
        progress = await self._read()
        assert self._items is not None
        missing = await self._attendant.look(progress, self._items, self._clock.now())
        if progress.state.creates:
            await self._create_items(progress, missing)

    async def _read(self) -> Progress:
        progress = await read_progress(self._store, self._log, self._state)
        if self._state is None:
            self._items = StoredItems(self._store, self._log.ref, progress.state.spec)
        self._state = progress.state
        if self._created[0] != progress.state.round.number:
            self._created = (progress.state.round.number, 0)
            self._attendant.begin_round()
            self._cancelled.clear()
        return progress

    async def _settle(self, progress: Progress) -> list[Settled]:
        """Store the results of blocks whose items have all ended."""
        state, found = progress.state, list[Settled]()
        for block in full_blocks(progress, _BLOCKS):
            items = [progress.done[position] for position in state.positions(block)]
            lines = await self._store.get_many([item.key for item in items])
            if None in lines:  # another process has settled the block, and removed them
                continue
            data = b"".join(line + b"\n" for line in lines if line is not None)
            key = results_key(self._log.ref, state.round.number, block)
            await self._store.put(key, data)
            found.append(Settled(block=block, tally=tally_of(items), size=len(data)))
        return found

    async def _create(self, progress: Progress) -> None:
        """Create the runs of all items that have started, also those of another process.

        Items whose step was written just before a pause are created when the batch goes on.
        """
        number, created = self._created
        fed = progress.state.round.fed
        if created < fed and progress.state.creates:
            settled, block = progress.state.round.settled, progress.state.spec.block
            positions = (
                position
                for position in range(created, fed)
                if position not in progress.done and position // block not in settled
            )
            await self._create_items(progress, positions)
            self._created = (number, fed)

    async def _create_items(self, progress: Progress, positions: Iterable[int]) -> None:
        wanted = list(positions)
        for start in range(0, len(wanted), _TOGETHER):
            part = wanted[start : start + _TOGETHER]
            made = await asyncio.gather(*(self._create_item(progress, each) for each in part))
            refs = [ref for ref in made if ref is not None]
            try:
                if refs and not progress.state.interrupts:  # else they end before they start
                    await self._dispatcher.send(refs, queue=progress.state.spec.queue)
            except DeliveryError as error:
                logger.warning(
                    "Items of a batch could not be sent to the queue; they will be sent later",
                    extra={
                        "action": "batch.send_failed",
                        "tenant": self._log.ref.tenant,
                        "batch_id": self._log.ref.batch_id,
                        "error": str(error),
                    },
                )

    async def _create_item(self, progress: Progress, position: int) -> RunRef | None:
        """Write entry 0 of an item's run; None if it exists."""
        state, items = progress.state, self._items
        assert items is not None
        index = (await self._indices(state.round))[position]
        ref = self._ref(state.round.number, index)
        place = Place(round=state.round.number, position=position, index=index)
        item = await items.get(index)
        spec = item_spec(state.spec, item, ref, place, at=self._clock.now())
        log = RunLog(
            self._store,
            ref,
            writer="batch",
            clock=self._clock,
            observers=self._observers,
            pre_commit=self._run_pre_commit,
        )
        run = RunState.initial(spec, spec.created_at)
        try:
            is_new = await log.append(run, Accepted(spec=spec), [accepted_event(spec)], epoch=0)
        except UnreadableEntry:  # the attendant decides what becomes of it
            return None
        return ref if is_new else None

    async def _cancel_items(self, progress: Progress) -> None:
        why = progress.state.cancel or progress.state.stop
        assert why is not None
        number = progress.state.round.number
        indices = await self._indices(progress.state.round)
        todo = [each for each in progress.in_flight if each not in self._cancelled]
        for start in range(0, len(todo), _TOGETHER):
            part = todo[start : start + _TOGETHER]
            refs = [self._ref(number, indices[position]) for position in part]
            await asyncio.gather(*(self._cancel_item(ref, why.reason) for ref in refs))
            self._cancelled.update(part)

    async def _cancel_item(self, ref: RunRef, reason: str | None) -> None:
        with contextlib.suppress(UnreadableEntry):  # the attendant counts it as failed
            await self._cancel(ref, reason)

    async def _leave(self, state: BatchState) -> bool:
        """Delete the marker of a batch that has ended, unless a retry has begun since."""
        marker = live_marker(self._log.ref)
        await self._store.delete(marker)
        if await self._log.read_on(state):
            await self._store.put_new(marker, b"")
            return False
        return True

    async def _indices(self, current: Round) -> "range | list[int]":
        assert self._items is not None
        return await self._items.indices(current)

    def _ref(self, number: int, index: int) -> RunRef:
        ref = self._log.ref
        return RunRef(ref.tenant, item_run_id(ref, number, index))
