"""Sends runs to the queue again if no worker has them, at increasing intervals.

The reaper uses it for runs with an open marker, the feeder of a batch for the items in flight.
"""

import logging
from collections.abc import Sequence, Set
from datetime import datetime, timedelta
from typing import NamedTuple

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import UnreadableEntry
from teamrun.live.base import Live
from teamrun.runs.log.announcer import lease_name
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.state import RunState

__all__ = ["LONGEST_REST", "Resender"]

logger = logging.getLogger(__name__)

LONGEST_REST = timedelta(minutes=10)
"""The longest interval between two messages for a run that still waits in a long queue."""

_CLOCKS_DIFFER = timedelta(seconds=1)
"""Tolerance when the age of the live state is compared with the time since the last sweep."""


class _Hint(NamedTuple):
    at: datetime
    rest: timedelta
    """The time until the run may be sent again, if it makes no progress."""
    entries: int


class Resender:
    """Remembers which runs were sent.

    Args:
        reader: Reads the runs.
        live: The leases of their owners.
        dispatcher: The queue.
        lease: How long a worker that does not respond keeps its runs.
        clock: The clock.
    """

    def __init__(
        self,
        *,
        reader: RunReader,
        live: Live,
        dispatcher: Dispatcher,
        lease: timedelta,
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._live = live
        self._dispatcher = dispatcher
        self._lease = lease
        self._sent: dict[RunRef, _Hint] = {}
        self._swept_at = clock.now()
        self._age = timedelta()

    async def begin(self, now: datetime) -> None:
        """Begin a sweep.

        If the live state is new (flushed or replaced), the queue is lost as well: forget which runs
        were sent. Owners get one lease to renew before their runs are taken over.

        Raises:
            DeliveryError: The live state cannot be reached.
        """
        age = await self._live.age()
        if age is None or age < self._age or age + _CLOCKS_DIFFER < now - self._swept_at:
            self._sent.clear()
        self._age, self._swept_at = age or timedelta(), now

    def keep(self, refs: Set[RunRef]) -> None:
        """Forget all other runs."""
        self._sent = {ref: hint for ref, hint in self._sent.items() if ref in refs}

    async def unattended(
        self, refs: Sequence[RunRef], now: datetime
    ) -> list[tuple[RunRef, RunState | UnreadableEntry | None]]:
        """The runs that no worker has, as far as can be seen, with their states.

        A queued run may wait in a long queue, and a claimed run may be taken over only after its
        log has not grown for a lease. A run that has ended still needs what follows its end.
        For an unreadable run, the error is returned in place of the state.

        Raises:
            DeliveryError: The live state cannot be reached.
            Unavailable: Storage does not respond.
        """
        held = await self._live.held([lease_name(ref) for ref in refs])
        free = [ref for ref, taken in zip(refs, held, strict=True) if not taken]
        due = [ref for ref in free if not self.rests(ref, now)]
        pairs = zip(due, await self._reader.states(due), strict=True)
        return [
            (ref, state)
            for ref, state in pairs
            if not isinstance(state, RunState) or not self._is_attended(ref, state, now)
        ]

    def set_apart(
        self, ref: RunRef, error: UnreadableEntry, now: datetime, *, rest: timedelta = LONGEST_REST
    ) -> None:
        """Skip a run whose log is unreadable, and try it again after `rest`."""
        self.rest(ref, now, rest)
        logger.warning(
            "A run was skipped because its log is unreadable",
            extra={
                "action": "reaper.run_unreadable",
                **ref.log_fields(),
                "error": error.message,
            },
        )

    def rest(self, ref: RunRef, now: datetime, rest: timedelta) -> None:
        """Do not look at the run for a time."""
        self._sent[ref] = _Hint(now, rest, -1)

    def rests(self, ref: RunRef, now: datetime) -> bool:
        """Whether it is too early to look at the run again."""
        hint = self._sent.get(ref)
        return hint is not None and now - hint.at < hint.rest

    async def send(self, ref: RunRef, state: RunState, now: datetime) -> None:
        """Send a run, with increasing intervals while it makes no progress.

        Otherwise a long queue would fill with repeated messages for the same runs.

        Raises:
            DeliveryError: The queue did not accept the message.
        """
        last, rest = self._sent.get(ref), self._lease
        if last is not None and last.entries == state.entries:
            rest = max(min(2 * last.rest, LONGEST_REST), self._lease)
        await self._dispatcher.send([ref], queue=state.spec.queue)
        self._sent[ref] = _Hint(now, rest, state.entries)

    def _is_attended(self, ref: RunRef, state: RunState, now: datetime) -> bool:
        """Whether an owner may still have the run, or a queue its message.

        The run is not read again before that time, because each read costs requests to the store.
        """
        if self._is_owned(ref, state, now):
            return True
        if state.end is None and (age := now - state.at) < self._lease:
            self.rest(ref, now, self._lease - age)
            return True
        return False

    def _is_owned(self, ref: RunRef, state: RunState, now: datetime) -> bool:
        """Whether the log says that the owner still has the run."""
        free_at = state.free_at(self._lease)
        if free_at is None or now >= free_at:
            return False
        self.rest(ref, now, free_at - now)
        return True
