"""Decides which worker owns a run, so that two workers rarely do the same work.

Correctness does not depend on this: put-if-absent and epochs in the log decide who writes. If the
live state is shared, an owner renews a lease there. If it is not, the log says how long the owner
has the run (`Claim.until`):

- If the platform ends the process at a known time, the ownership lasts until then.
- Otherwise it lasts for one lease from the owner's newest entry. An owner that has written nothing
  for half a lease writes an empty step, so only long calls cost additional writes.

Another worker takes over one more lease after that. This tolerates clocks that differ by up to half
a lease, and an owner whose writes are slow.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError
from teamrun.live.base import Live
from teamrun.runs.log.announcer import lease_name
from teamrun.runs.log.entries import Claim
from teamrun.runs.log.state import RunState

__all__ = ["Ownership", "Tenure"]

_PROBE = timedelta(seconds=5)
"""The longest interval between two reads of the log of a run in flight if nothing announces
signals: the time after which a cancel reaches the owner."""


class Tenure(NamedTuple):
    """How long an execution owns its run, as far as the log says."""

    term: timedelta | None = None
    """How long each entry of the owner extends the ownership; None if a lease decides."""
    deadline: datetime | None = None
    """When the platform ends the owner; then nothing extends the ownership."""
    tolerance: timedelta = timedelta()
    """How long another worker waits after the end of an ownership."""

    def claim(self, owner: str, now: datetime) -> Claim:
        """The claim of a worker."""
        if self.term is None:
            return Claim(owner=owner)
        if self.deadline is not None:
            return Claim(owner=owner, until=self.deadline)
        return Claim(owner=owner, until=now + self.term, term_seconds=self.term.total_seconds())

    def is_over(self, state: RunState, now: datetime) -> bool:
        """Whether a run that another worker has claimed may be taken over, as far as the log says.

        True as well if only a lease can tell.
        """
        free_at = state.free_at(self.tolerance)
        return free_at is None or now >= free_at


class Ownership:
    """The runs of one worker.

    Args:
        live: The live state.
        owner: The name of the worker, which must be unique.
        lease: How long a run belongs to an owner that does not respond.
        clock: The clock.
    """

    def __init__(self, *, live: Live, owner: str, lease: timedelta, clock: Clock) -> None:
        self._live = live
        self._owner = owner
        self._lease = lease
        self._clock = clock
        self.interval = lease / 4 if live.is_shared else min(_PROBE, lease / 4)
        """How often to renew leases."""
        self.probe = lease if live.is_shared else self.interval
        """How often to read the logs of the runs in flight. Notices announce what is new, but one
        may be lost."""

    def tenure(self, deadline: datetime | None) -> Tenure:
        """The tenure of an execution.

        Args:
            deadline: When the platform ends this process, if it does.
        """
        if self._live.is_shared:
            return Tenure(tolerance=self._lease)
        return Tenure(term=self._lease, deadline=deadline, tolerance=self._lease)

    async def take(self, ref: RunRef, state: RunState) -> bool:
        """Whether no other worker appears to execute the run.

        With shared live state, a claimed run is taken over only if its lease is gone, its log has
        not grown for a lease, and the live state is older than a lease: after a flush, live owners
        renew first.
        """
        if state.owner == self._owner:  # claimed by this worker's previous process
            return True
        now = self._clock.now()
        if not Tenure(tolerance=self._lease).is_over(state, now):
            return False
        if not self._live.is_shared:
            # A claim without a time is from a process with leases, which cannot be seen here.
            is_silent = now - state.at >= 2 * self._lease
            return state.owner is None or state.until is not None or is_silent
        return await self._take_lease(ref, state)

    async def _take_lease(self, ref: RunRef, state: RunState) -> bool:
        try:
            if not await self._live.acquire(lease_name(ref), self._owner, self._lease):
                return False
            if state.owner is None:
                return True
            age = await self._live.age()
        except DeliveryError:
            return state.owner is None
        silent = self._clock.now() - state.at >= self._lease
        settled = age is not None and age >= self._lease
        if silent and settled:
            return True
        await self.release(ref)
        return False

    async def renew(self, refs: Iterable[RunRef]) -> None:
        """Renew the leases of the runs in flight together; nothing if leases are not shared."""
        if not self._live.is_shared:
            return
        with suppress(DeliveryError):
            await asyncio.gather(
                *(self._live.acquire(lease_name(ref), self._owner, self._lease) for ref in refs)
            )

    async def release(self, ref: RunRef) -> None:
        """Release the lease of a run."""
        if self._live.is_shared:
            with suppress(DeliveryError):
                await self._live.release(lease_name(ref), self._owner)

    def pause(self, state: RunState | None) -> timedelta:
        """How long to keep the message of a run that this worker could not execute.

        Never nothing: an owner that is late, perhaps this worker, may still renew its term.
        """
        free_at = state and state.free_at(self._lease)
        if free_at is None:
            return self._lease
        return max(free_at - self._clock.now(), self.interval)
