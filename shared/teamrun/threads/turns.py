"""Which run of a thread may run, and from what it continues.

The order is that of the thread's log. A run has its turn when all runs before it have ended.
Nothing else is stored about it: the active run is computed, so a crash cannot leave a lock.
Whoever finds that it is a run's turn appends the signal `turn` to the log of that run: the duty at
the end of the run before it, or a worker that is asked to execute it.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

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
from teamrun.runs.log.announcer import lease_name
from teamrun.runs.log.entries import Signal
from teamrun.runs.log.keys import open_marker
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.spec import BusyPolicy, ThreadPart
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore
from teamrun.threads.log import ThreadLogs, thread_not_found
from teamrun.threads.records import Joined, ThreadState

__all__ = ["Cancel", "ThreadTurns"]

logger = logging.getLogger(__name__)

Cancel = Callable[[RunRef, str], Awaitable[None]]
"""Cancels a run, with a reason; does nothing if it has ended."""

_PATIENCE: Final = timedelta(hours=1)
"""How long the log of a run must be unreadable until the runs behind it go on.

The damage may be temporary, or a process of a newer release executes the run.
"""

_INTERRUPTING: Final = ("interrupt", "rollback")


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
        self.logs = ThreadLogs(store, clock)
        """The logs of threads."""
        self._store = store
        self._clock = clock
        self._dispatcher = dispatcher
        self._cancel = cancel
        self._writer = writer
        self._live = live
        self._unreadable: dict[RunRef, datetime] = {}
        """Since when this process has found runs unreadable."""
        self._reader = RunReader(store=store, live=live, clock=clock)

    async def check(self, tenant: str, thread_id: str, on_busy: BusyPolicy) -> None:
        """Refuse a run that could not join the thread now.

        Raises:
            ThreadNotFound: There is no such thread.
            ThreadBusy: A run has not ended, and the policy is `reject`.
            StorageError: Storage does not respond.
        """
        state = await self.logs.state(tenant, thread_id)
        if on_busy == "reject" and (busy := await self.active(tenant, state)):
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
                raise thread_not_found(part.thread_id)
            # Other coroutines may read on meanwhile; then the append fails.
            entries = state.entries
            busy = await self.active(ref.tenant, state)
            if busy and part.on_busy == "reject":
                raise _busy(part.thread_id, busy)
            joined = Joined(run_id=ref.run_id, on_busy=part.on_busy, busy=busy)
            if has_ended or await self.logs.append(ref.tenant, part.thread_id, entries, joined):
                break
        if not has_ended:
            await self._interrupt(ref, joined)

    async def active(self, tenant: str, state: ThreadState) -> list[str]:
        """The runs of a thread that have not ended: the one that has its turn, and those after."""
        found: list[str] = []
        for joined in reversed(state.runs):
            run = await self._run(RunRef(tenant, joined.run_id))
            if run is not None and run.end is None:
                found.append(joined.run_id)
            elif run is not None and run.has_turn:  # all before it had ended by then
                break
        return found[::-1]

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
        for joined in reversed(state.runs[: state.positions[ref.run_id]]):
            earlier = RunRef(ref.tenant, joined.run_id)
            [before] = await self._reader.states([earlier])
            if isinstance(before, UnreadableEntry):
                if not await self._is_given_up(earlier):
                    return False
                continue
            self._unreadable.pop(earlier, None)
            if before is not None and before.end is None:
                return False
            if before is not None and before.has_turn:
                break
        return True

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

    async def _is_given_up(self, ref: RunRef) -> bool:
        """Whether the runs behind an unreadable run no longer wait for it."""
        now = self._clock.now()
        since = self._unreadable.setdefault(ref, now)
        try:
            [is_executed] = await self._live.held([lease_name(ref)])
        except DeliveryError:
            return False
        if is_executed:  # by a process of a newer release, for example
            self._unreadable[ref] = now
        return not is_executed and now - since >= _PATIENCE

    async def before(self, tenant: str, thread_id: str, run_id: str) -> JsonObject:
        """From what a run continues: `state` of the team, and `messages` that came after it.

        Raises:
            StorageError: Storage does not respond.
        """
        state = await self.logs.any_state(tenant, thread_id)
        place = None if state is None else state.positions.get(run_id)
        messages: list[list[JsonObject]] = []
        for joined in reversed(state.runs[:place] if state is not None and place else ()):
            assert state is not None
            ref = RunRef(tenant, joined.run_id)
            run = await self._run(ref)
            if run is None or run.end is None or joined.run_id in state.dropped:
                continue
            if run.end.state is not None:
                return {"state": run.end.state, "messages": _joined(messages)}
            if joined.run_id in state.interrupted:
                messages.append(await self.said(ref))
        return {"state": None, "messages": _joined(messages)}

    async def latest(self, tenant: str, state: ThreadState) -> tuple[str | None, JsonObject | None]:
        """The run that has left the newest state of the team, and that state; None without any.

        Raises:
            StorageError: Storage does not respond.
        """
        for joined in reversed(state.runs):
            run = await self._run(RunRef(tenant, joined.run_id))
            has_left = run is not None and run.end is not None and run.end.state is not None
            if run is not None and has_left and joined.run_id not in state.dropped:
                assert run.end is not None
                return joined.run_id, run.end.state
        return None, None

    async def said(self, ref: RunRef) -> list[JsonObject]:
        """The messages of a run, as its log has them.

        Raises:
            StorageError: Storage does not respond, or the log is unreadable.
        """
        return [
            event.data["message"]
            for entry in await self._reader.log(ref).read()
            for event in entry.events
            if event.type == "message.created"
        ]

    async def follow(self, store: ObjectStore, log: RunLog, run: RunState) -> None:
        """The duty after the end of a run: the next one of its thread has its turn.

        Raises:
            StorageError: Storage does not respond.
        """
        await self._follow(log.ref, run)

    async def pre_erase(self, ref: RunRef) -> None:
        """Before a run disappears: the next one of its thread has its turn.

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
        except Unavailable:
            raise
        except StorageError as error:  # a damaged log of the thread keeps no run from deletion
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
        for joined in state.runs[place + 1 :]:
            later = RunRef(tenant, joined.run_id)
            after = await self._run(later)
            if after is not None and after.end is None:
                if after.is_held and not state.is_deleted and await self.is_turn(later, after):
                    await self._give(later)
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

    async def _interrupt(self, ref: RunRef, joined: Joined) -> None:
        if joined.on_busy in _INTERRUPTING:
            for run_id in joined.busy:
                reason = f"The run {ref.run_id} of the same thread has taken its place."
                await self._cancel(RunRef(ref.tenant, run_id), reason)

    async def _run(self, ref: RunRef) -> RunState | None:
        """The state of a run; None if it was deleted, or is unreadable."""
        [state] = await self._reader.states([ref])
        return None if isinstance(state, UnreadableEntry) else state


def _busy(thread_id: str, busy: list[str]) -> ThreadBusy:
    return ThreadBusy(
        f"The thread {thread_id!r} has a run that has not ended ({busy[0]}); wait for its end, or"
        " send on_busy_thread 'enqueue', 'interrupt' or 'rollback'.",
        run_id=busy[0],
    )


def _joined(parts: list[list[JsonObject]]) -> list[JsonObject]:
    """The messages in their order; the parts are the newest first."""
    return [message for part in reversed(parts) for message in part]
