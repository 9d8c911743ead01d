"""The faults of a schedule, and their frequency: drawn per seed, so that each is different.

Some schedules have one kind of fault and much of it, some have a little of everything: what hides
behind one fault shows without it.
"""

from dataclasses import dataclass, replace
from random import Random

__all__ = ["LEASE", "ORPHAN", "Weather", "apart", "clear", "draw", "limited"]

LEASE = 10.0
"""Seconds."""
ORPHAN = 2 * LEASE
"""Seconds after which an acceptance counts as broken off; an hour outside of simulations."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """Rates are per operation of a process."""

    latencies: tuple[float, ...] = (0, 0, 0, 0.002)
    """Seconds of an operation; one of them."""
    crash: float = 0
    freeze: float = 0
    freeze_s: float = 3 * LEASE
    """The longest time of one freeze; the shortest is half of it."""
    refused: float = 0
    """Storage returns "unavailable" without executing the operation."""
    lost_reply: float = 0
    """Storage executes the operation, and the response is lost."""
    flush_every: float | None = None
    """Seconds between losses of leases, views, subscriptions and the queue."""
    live_down: float = 0
    """Seconds for which the live state and the queue cannot be reached, once."""
    store_down: float = 0
    """Seconds for which storage cannot be reached, once."""
    retire_every: float | None = None
    """Seconds between planned ends of a worker."""
    message_lost: float = 0
    message_doubled: float = 0
    message_delay: float = 0.01
    """The longest delay in seconds; messages overtake each other."""
    notice_lost: float = 0
    answer_lost: float = 0
    """The response of the API is lost."""
    long_calls: float = 0.05
    """The part of calls outside that take longer than a lease."""
    skew: float = 0
    """Seconds by which clocks of processes are off, at most."""
    time_limit: float = 0
    """Seconds that a worker has for a message until it is killed, as a function is; 0: no limit."""
    is_live_shared: bool = True
    """Processes share leases and notices; if not, claims have a term in the log."""


_SLOW = ((0, 0, 0.001, 0.01), (0, 0.01, 0.1, 0.5), (0.02,), (0, 0, 0, 0.6))


def clear(weather: Weather) -> Weather:
    """The same world without faults."""
    return Weather(latencies=(0, 0.001), skew=weather.skew, is_live_shared=weather.is_live_shared)


def apart(weather: Weather) -> Weather:
    """The same weather over processes without a common live state.

    A term in the log compares clocks, so these differ by half a lease at most.
    """
    return replace(weather, is_live_shared=False, skew=min(weather.skew, LEASE / 4))


def limited(weather: Weather, rng: Random) -> Weather:
    """The same weather on a platform that ends its workers."""
    return replace(weather, time_limit=rng.choice((0.3, 1, 3)) * LEASE)


def draw(rng: Random) -> Weather:
    """The weather of one schedule."""

    def perhaps(chance: float, *choices: float) -> float:
        return rng.choice(choices) if rng.random() < chance else 0

    dense = 0.7 if rng.random() < 0.3 else 0.25
    return Weather(
        latencies=rng.choice(_SLOW) if rng.random() < 0.6 else (0, 0, 0, 0.002),
        crash=perhaps(dense + 0.2, 0.005, 0.015, 0.04),
        freeze=perhaps(dense + 0.1, 0.005, 0.015, 0.04),
        freeze_s=rng.choice((LEASE / 2, 4 * LEASE, 4 * LEASE)),
        refused=perhaps(dense, 0.01, 0.05),
        lost_reply=perhaps(dense, 0.02, 0.1, 0.3),
        flush_every=perhaps(dense, 1, LEASE / 2, 1.5 * LEASE) or None,
        live_down=perhaps(dense / 2, 2, 1.5 * LEASE),
        store_down=perhaps(dense / 2, 1, 8),
        retire_every=perhaps(dense / 2, 2, 8) or None,
        message_lost=perhaps(dense, 0.1, 0.5, 1),
        message_doubled=perhaps(dense, 0.2, 1),
        message_delay=perhaps(dense, 0.5, 5) or 0.01,
        notice_lost=perhaps(dense, 0.3, 1),
        answer_lost=perhaps(dense, 0.1, 0.4),
        long_calls=rng.choice((0.02, 0.1, 0.4)),
        skew=perhaps(dense / 2, 1, 20),
    )
