"""What the operations on runs share: the parts of the process, logs to append to, and the queue."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from teamrun.core.clock import Clock, SystemClock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import DeliveryError
from teamrun.live.base import Live
from teamrun.runs.log.archive import DUTIES, Duty
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.reader import RunReader
from teamrun.storage.base import ObjectStore

__all__ = ["Operations"]

logger = logging.getLogger(__name__)


class Operations:
    """The base of classes with operations on runs; `RunService` has them all.

    Args:
        store: The object store.
        live: The live state.
        dispatcher: Asks workers to execute runs.
        clock: The machine's, unless a test has one.
        duties: The steps to perform after the end of a run.
        observers: What follows each entry.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: Live,
        dispatcher: Dispatcher,
        clock: Clock | None = None,
        duties: Sequence[Duty] = DUTIES,
        observers: Observers | None = None,
    ) -> None:
        self._store = store
        self._live = live
        self._dispatcher = dispatcher
        self._clock = clock or SystemClock()
        self._duties = duties
        self._observers = observers or Observers(live)
        self._reader = RunReader(store=store, live=live, clock=self._clock)

    def _log(self, ref: RunRef, patience: timedelta) -> RunLog:
        """A log for appending; `patience` is how long storage may be silent."""
        return RunLog(
            self._store,
            ref,
            writer="api",
            clock=self._clock,
            patience=patience,
            observers=self._observers.rows,
            pre_commit=self._observers.pre_commit,
        )

    async def _hint(self, ref: RunRef) -> None:
        try:
            await self._dispatcher.send([ref])
        except DeliveryError as error:
            logger.warning(
                "A run could not be sent to the queue; the reaper will send it",
                extra={"action": "dispatch.send_failed", **ref.log_fields(), "error": str(error)},
            )
