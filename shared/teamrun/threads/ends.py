"""Which runs of a thread have ended.

What is found out is kept in the state of the thread, and written with the next entry of its log. So
the effort for a run does not grow with the number of runs before it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError, UnreadableEntry
from teamrun.live.base import Live
from teamrun.runs.log.announcer import lease_name
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.state import RunState
from teamrun.threads.records import ThreadState

__all__ = ["RunEnds"]

_TOGETHER: Final = 32

_PATIENCE: Final = timedelta(hours=1)
"""How long the log of a run must be unreadable until the runs behind it go on.

The damage may be temporary, or a process of a newer release executes the run.
"""


class RunEnds:
    """Looks for ends.

    A run that was deleted has ended. An unreadable one has not, until it is given up.

    Args:
        reader: Reads runs.
        live: The leases of their owners.
        clock: The clock.
    """

    def __init__(self, *, reader: RunReader, live: Live, clock: Clock) -> None:
        self._reader = reader
        self._live = live
        self._clock = clock
        self._unreadable: dict[RunRef, datetime] = {}
        """Since when this process has found runs unreadable."""

    async def first_open(self, tenant: str, state: ThreadState) -> str | None:
        """The first run that has not ended, which has its turn; None if all have ended.

        Each run is only passed once.

        Raises:
            StorageError: Storage does not respond.
        """
        count = 1
        while (begin := state.marks[-1].upto) < len(state.runs):
            places = range(begin, min(begin + count, len(state.runs)))
            found = await self._read(tenant, state, places)
            if state.marks[-1].upto != begin:  # another coroutine has looked meanwhile
                continue
            for place, (run, has_ended) in zip(places, found, strict=True):
                if not has_ended:
                    return state.runs[place].run_id
                has_left = run is not None and state.has_left(place, run)
                state.mark(place + 1, place if has_left else state.marks[-1].left)
            count = min(2 * count, _TOGETHER)
        return None

    async def open(self, tenant: str, state: ThreadState) -> list[str]:
        """The runs that have not ended, in their order.

        Raises:
            StorageError: Storage does not respond.
        """
        left = [n for n in range(state.ended, len(state.runs)) if not state.is_known_ended(n)]
        found: list[str] = []
        for begin in range(0, len(left), _TOGETHER):
            places = left[begin : begin + _TOGETHER]
            read = await self._read(tenant, state, places)
            for place, (_, has_ended) in zip(places, read, strict=True):
                if has_ended:
                    state.set_ended(place)
                else:
                    found.append(state.runs[place].run_id)
        return found

    async def have_ended(self, tenant: str, state: ThreadState, before: int) -> bool:
        """Whether all runs before a place have ended.

        Raises:
            StorageError: Storage does not respond.
        """
        # First the one that was active before; it probably still is. Then the others, the newest
        # first: if one has had its turn, all before it had ended by then.
        for place in (state.ended, *range(before - 1, state.ended, -1)):
            if place >= before or state.is_known_ended(place):
                continue
            [(run, has_ended)] = await self._read(tenant, state, [place])
            if not has_ended:
                return False
            state.set_ended(place, with_all_before=run is not None and run.has_turn)
        state.ended = max(state.ended, before)
        return True

    async def _read(
        self, tenant: str, state: ThreadState, places: Sequence[int]
    ) -> list[tuple[RunState | None, bool]]:
        """The runs at some places, None for one without a log, and whether each has ended."""
        refs = {place: RunRef(tenant, state.runs[place].run_id) for place in places}
        asked = [place for place in places if refs[place].run_id not in state.removed]
        states = await self._reader.states([refs[place] for place in asked])
        read = dict(zip(asked, states, strict=True))
        found: list[tuple[RunState | None, bool]] = []
        for place in places:
            run = read.get(place)
            if isinstance(run, UnreadableEntry):
                found.append((None, await self._is_given_up(refs[place])))
            else:
                self._unreadable.pop(refs[place], None)
                found.append((run, run is None or run.end is not None))
        return found

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
