"""Settles messages that a queue has given up: its dead letters.

A message comes here after several receipts that did not lead to its deletion. That does not mean
that its run failed so often: another worker may have had the run each time, a run of the same
message may have ended the process, or the store did not respond. So the log decides, by the same
rule as for every other worker.
"""

import logging
from collections.abc import Sequence

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import UnreadableEntry
from teamrun.runs.engine.ownership import Ownership
from teamrun.runs.engine.stops import early_end
from teamrun.runs.log.archive import DUTIES, Duty, conclude
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["DeadLetters"]

logger = logging.getLogger(__name__)


class DeadLetters:
    """Ends runs whose workers keep stopping without progress, and sends the others again.

    Args:
        store: The object store with the logs.
        dispatcher: The queue.
        owner: The name of this process.
        clock: The clock.
        observers: The observers of this process.
        ownership: Tells whether another worker owns a run.
        duties: The steps to perform after the end of a run.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        dispatcher: Dispatcher,
        owner: str,
        clock: Clock,
        observers: Observers,
        ownership: Ownership,
        duties: Sequence[Duty] = DUTIES,
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._owner = owner
        self._clock = clock
        self._observers = observers
        self._ownership = ownership
        self._duties = duties

    async def settle(self, ref: RunRef) -> None:
        """Settle a message that named the run.

        Nothing is done if the run has ended, waits, or belongs to a worker. A run that makes no
        progress ends as failed; see `early_end`. Any other run is sent again.

        Raises:
            StorageError: The log cannot be read or written.
            DeliveryError: The queue did not accept the message.
        """
        log = RunLog(
            self._store,
            ref,
            writer=self._owner,
            clock=self._clock,
            observers=self._observers.rows,
            pre_commit=self._observers.pre_commit,
        )
        while True:
            try:
                state = log.folded(await log.read())
            except UnreadableEntry:
                return  # the reaper sets the run apart
            if state is None or state.end is not None or state.is_waiting(self._clock.now()):
                return
            if not await self._ownership.take(ref, state):
                return
            try:
                if await self._settle(log, state):
                    return
            finally:
                await self._ownership.release(ref)

    async def _settle(self, log: RunLog, state: RunState) -> bool:
        """Settle a run that no worker owns; False if its log has grown meanwhile."""
        draft = early_end(state, self._clock.now())
        if draft is None:
            await self._dispatcher.send([log.ref], queue=state.spec.queue)
            return True
        if await log.append(state, draft.body, draft.events, epoch=state.epoch) is None:
            return False
        logger.warning(
            "A run was ended after the queue had given up its message",
            extra={"action": "reaper.run_given_up", **log.ref.log_fields()},
        )
        await conclude(self._store, log, state, duties=self._duties)
        return True
