"""Which run of a thread may run, and from what it continues.

The order is that of the thread's log. A run has its turn when all runs before it have ended.
Nothing else is stored about it: the active run is computed, so a crash cannot leave a lock.
Whoever finds that it is a run's turn appends the signal `turn` to the log of that run: the duty at
the end of the run before it, or a worker that is asked to execute it.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import (
    DeliveryError,
    StorageError,
    ThreadBusy,
    ThreadNotFound,
    Unavailable,
    UnreadableEntry,
)
from teamrun.json_types import JsonObject
from teamrun.live.base import Live
from teamrun.runs.log.entries import Signal
from teamrun.runs.log.keys import open_marker
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.spec import INTERRUPTING, BusyPolicy, ThreadPart
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

if TYPE_CHECKING:
    from teamrun.threads.conversation import Conversation
    from teamrun.threads.ends import RunEnds
    from teamrun.threads.log import ThreadLogs
    from teamrun.threads.records import Joined

__all__ = ["Cancel", "ThreadTurns"]

logger = logging.getLogger(__name__)

Cancel = Callable[[RunRef, str], Awaitable[None]]
"""Cancels a run, with a reason; does nothing if it has ended."""


class ThreadTurns:
    """Gives runs their turns.

    Args:
        store: The logs of runs and threads.
        live: The shared views of runs, and the leases of their owners.
        clock: The clock.
        dispatcher: Asks workers to execute runs.
        cancel: For runs that a later one interrupts.
        writer: The name of this process in entries.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: Live,
        clock: Clock,
        dispatcher: Dispatcher,
        cancel: Cancel,
        writer: str = "threads",
    ) -> None:
        self._reader = RunReader(store=store, live=live, clock=clock)
        self._store = store
        self._live = live
        self._clock = clock
        self._dispatcher = dispatcher
        self._cancel = cancel
        self._writer = writer

    # Imported at first use, as are the entries of threads: few workers ever have a thread.

    @cached_property
    def logs(self) -> "ThreadLogs":
        """The logs of threads."""
        from teamrun.threads.log import ThreadLogs

        return ThreadLogs(self._store, self._clock)

    @cached_property
    def ends(self) -> "RunEnds":
        """Which runs have ended."""
        from teamrun.threads.ends import RunEnds

        return RunEnds(reader=self._reader, live=self._live, clock=self._clock)

    @cached_property
    def conversation(self) -> "Conversation":
        """What the runs have said."""
        from teamrun.threads.conversation import Conversation

        return Conversation(logs=self.logs, reader=self._reader, ends=self.ends)

    async def before(self, tenant: str, part: ThreadPart, run_id: str) -> JsonObject:
        """From what a run continues; see `Conversation.before`.

        Raises:
            StorageError: Storage does not respond.
        """
        return await self.conversation.before(tenant, part, run_id)

    async def check(self, tenant: str, thread_id: str, on_busy: BusyPolicy) -> None:
        """Refuse a run that could not join the thread now.

        Raises:
            ThreadNotFound: There is no such thread.
            ThreadBusy: A run has not ended, and the policy is `reject`.
            StorageError: Storage does not respond.
        """
        state = await self.logs.state(tenant, thread_id)
        if on_busy == "reject" and (busy := await self.ends.first_open(tenant, state)):
            raise _busy(thread_id, busy)

    async def join(self, ref: RunRef, part: ThreadPart, *, has_ended: bool = False) -> None:
        """Put an accepted run into the thread; cancel those that it interrupts. Repeatable.

        Args:
            ref: The run.
            part: Its thread, and the policy if that is busy.
            has_ended: Whether the run has ended. Then it does not enter any more, and nothing is
                cancelled for it.

        Raises:
            ThreadNotFound: The thread was deleted before the run had joined.
            ThreadBusy: A run has not ended, and the policy is `reject`.
            StorageError: Storage does not respond.
        """
        while True:
            state = await self.logs.any_state(ref.tenant, part.thread_id)
            place = None if state is None else state.positions.get(ref.run_id)
            if state is not None and place is not None:
                joined = state.runs[place]
                break
            if state is None or state.is_deleted:
                from teamrun.threads.log import thread_not_found

                raise thread_not_found(part.thread_id)
            # Other coroutines may read on meanwhile; then the append fails.
            entries = state.entries
            active = await self.ends.first_open(ref.tenant, state)
            if active is not None and part.on_busy == "reject":
                raise _busy(part.thread_id, active)
            is_calm = part.on_busy not in INTERRUPTING
            busy = [] if is_calm else await self.ends.open(ref.tenant, state)
            joined = state.joined(ref.run_id, part.on_busy, busy)
            if has_ended or await self.logs.append(ref.tenant, part.thread_id, entries, joined):
                break
        if not has_ended:
            await self._interrupt(ref, joined)

    async def is_turn(self, ref: RunRef, run: RunState) -> bool:
        """Whether a run may run now. If it is not in the thread yet, it joins.

        Raises:
            StorageError: Storage does not respond.
        """
        part = run.spec.thread
        assert part is not None, "the run has a thread"
        try:
            await self.join(ref, part)
            state = await self.logs.state(ref.tenant, part.thread_id)
        except (ThreadNotFound, ThreadBusy) as error:
            await self._cancel(ref, error.message)
            return False
        return await self.ends.have_ended(ref.tenant, state, state.positions[ref.run_id])

    async def wake(self, ref: RunRef, run: RunState) -> bool:
        """Give a run its turn if that has come and is not recorded yet; return whether it did.

        The process that performs the duties of the run before may have been lost, or that run is
        damaged and never ends.

        Raises:
            StorageError: Storage does not respond.
        """
        if not run.is_held or not await self.is_turn(ref, run):
            return False
        await self._give(ref)
        return True

    async def follow(self, store: ObjectStore, log: RunLog, run: RunState) -> None:
        """The duty after the end of a run: the next one of its thread has its turn.

        Raises:
            StorageError: Storage does not respond.
        """
        await self._follow(log.ref, run)

    async def pre_erase(self, ref: RunRef) -> None:
        """Before a run disappears: its thread records that, and the next one has its turn.

        The process that performs the duties of the run may have been lost at its end. Once the run
        is deleted, they would never be performed.

        Raises:
            Unavailable: Storage does not respond.
        """
        run = await self._run(ref)
        if run is None or run.end is None:
            return
        try:
            await self._follow(ref, run)
            await self._remove(ref, run)
        except Unavailable:
            raise
        except StorageError as error:  # an unreadable log of the thread prevents no deletion
            logger.warning(
                "The run after a deleted one could not be given its turn",
                extra={
                    "action": "thread.turn_failed",
                    **ref.log_fields(),
                    "error": error.message,
                },
            )

    async def _follow(self, ref: RunRef, run: RunState) -> None:
        part = run.spec.thread
        if part is None or part.as_of is not None:
            return
        tenant = ref.tenant
        state = await self.logs.any_state(tenant, part.thread_id)
        place = None if state is None else state.positions.get(ref.run_id)
        if state is None or place is None:
            return
        state.set_ended(place, with_all_before=run.has_turn)
        for number in range(max(place + 1, state.ended), len(state.runs)):
            if state.is_known_ended(number):
                continue
            later = RunRef(tenant, state.runs[number].run_id)
            after = await self._run(later)
            if after is not None and after.end is None:
                if after.is_held and not state.is_deleted and await self.is_turn(later, after):
                    await self._give(later)
                return
            if after is not None:
                state.set_ended(number)

    async def _remove(self, ref: RunRef, run: RunState) -> None:
        """Write into the thread that a run is deleted."""
        part = run.spec.thread
        if part is None or part.as_of is not None:
            return
        while True:
            state = await self.logs.any_state(ref.tenant, part.thread_id)
            if state is None or state.is_deleted or ref.run_id in state.removed:
                return
            if ref.run_id not in state.positions:
                return
            from teamrun.threads.records import Removed

            removed = Removed(run_id=ref.run_id)
            if await self.logs.append(ref.tenant, part.thread_id, state.entries, removed):
                return

    async def _give(self, ref: RunRef) -> None:
        log = RunLog(self._store, ref, writer=self._writer, clock=self._clock)
        # As for any signal: the worker that suspended the run may delete the marker in between.
        await self._store.put_new(open_marker(ref), b"")
        while True:
            state = await log.state()
            if state is None or not state.is_held or state.end is not None:
                break
            if await log.append(state, Signal(signal="turn"), [], epoch=state.epoch):
                break
        await self._store.put_new(open_marker(ref), b"")
        with contextlib.suppress(DeliveryError):  # the reaper sends it
            await self._dispatcher.send([ref])

    async def _interrupt(self, ref: RunRef, joined: "Joined") -> None:
        for run_id in joined.busy:
            reason = f"The run {ref.run_id} of the same thread has taken its place."
            await self._cancel(RunRef(ref.tenant, run_id), reason)

    async def _run(self, ref: RunRef) -> RunState | None:
        """The state of a run; None if it was deleted, or is unreadable."""
        [state] = await self._reader.states([ref])
        return None if isinstance(state, UnreadableEntry) else state


def _busy(thread_id: str, busy: str) -> ThreadBusy:
    return ThreadBusy(
        f"The thread {thread_id!r} has a run that has not ended ({busy}); wait for its end, or"
        " send on_busy_thread 'enqueue', 'interrupt' or 'rollback'.",
        run_id=busy,
    )
