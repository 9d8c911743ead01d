"""The time at which a platform ends the process that executes a run, and what happens before."""

from datetime import datetime, timedelta
from typing import NamedTuple

__all__ = ["Deadline"]


class Deadline(NamedTuple):
    """When a platform ends the process, and how long before it a run is handed over."""

    at: datetime
    handover: timedelta
    """How long before the deadline no more calls start. In the last third of this time, calls in
    flight are cancelled. In its last sixth, a run that could not be handed over, as storage did not
    respond, is left as it is."""

    def stops_in(self, now: datetime) -> float:
        """The seconds until no more calls start."""
        return self._until(self.handover, now)

    def aborts_in(self, now: datetime) -> float:
        """The seconds until calls in flight are cancelled."""
        return self._until(self.handover / 3, now)

    def leaves_in(self, now: datetime) -> float:
        """The seconds until the run is left as it is."""
        # An execution may begin late, when less than the time for the hand-over is left.
        return self._until(min(self.handover, max(self.at - now, timedelta())) / 6, now)

    def _until(self, before: timedelta, now: datetime) -> float:
        return max((self.at - before - now).total_seconds(), 0)
