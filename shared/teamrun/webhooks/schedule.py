"""When a failed delivery is tried again."""

from collections.abc import Callable
from datetime import datetime, timedelta

__all__ = ["TRIES", "next_try"]

_SECOND, _MINUTE, _HOUR = 1, 60, 3_600

_DELAYS_S = (
    5 * _SECOND,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""The pause after each failed try; 75 hours in all. There is none after the last."""

TRIES = len(_DELAYS_S) + 1
"""The number of tries after which a delivery is given up."""

_JITTER = 0.1
"""Pauses are up to 10 % longer, so that the deliveries of an outage do not come back together."""

_LONGEST = timedelta(hours=24)


def next_try(
    tries: int, now: datetime, *, after: timedelta | None, jitter: Callable[[], float]
) -> datetime | None:
    """When to try again after so many failed tries; None if the delivery is given up.

    Args:
        tries: The number of tries so far, from 1.
        now: The time of the last one.
        after: The pause that the receiver asked for; it is kept if it is longer, up to 24 hours.
        jitter: Returns a random number from 0 to 1.
    """
    if tries >= TRIES:
        return None
    pause = timedelta(seconds=_DELAYS_S[tries - 1] * (1 + _JITTER * jitter()))
    return now + max(pause, min(after or timedelta(), _LONGEST))
