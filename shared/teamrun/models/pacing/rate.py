"""A number of units per minute, as start times.

The generic cell rate algorithm: each unit moves the theoretical arrival time by one interval, and a
call may start when that time is no further ahead than the burst. A minute, wherever it begins,
never contains more than the given number of units, apart from the last call of a burst, which
may be larger than what is left.
"""

from dataclasses import dataclass, field
from typing import Self

__all__ = ["Rate"]

_BURSTS_PER_MINUTE = 30
"""After a pause, the units of two seconds can start at once."""


@dataclass(slots=True)
class Rate:
    """Start times of calls; times are in seconds of any monotonic clock."""

    interval_s: float
    """The time that one unit takes; 0 without a limit."""
    burst_s: float
    """How far the arrival time may be ahead when a call starts."""
    arrival: float = field(default=0.0, init=False)
    """When all units of the calls so far will have been earned."""

    @classmethod
    def of(cls, per_minute: int | None) -> Self:
        """The rate of a limit."""
        if per_minute is None:
            return cls(0.0, 0.0)
        burst = max(1, per_minute // _BURSTS_PER_MINUTE)
        interval = 60.0 / (per_minute - burst + 1)
        return cls(interval, (burst - 1) * interval)

    def start(self, now: float) -> float:
        """When the next call may start."""
        return max(now, self.arrival - self.burst_s)

    def take(self, start: float, units: int) -> None:
        """Count a call that starts then."""
        if self.interval_s:
            self.arrival = max(self.arrival, start) + units * self.interval_s

    def correct(self, units: int) -> None:
        """Count units that a call has used in addition to its estimate, or has not used."""
        self.arrival += units * self.interval_s
