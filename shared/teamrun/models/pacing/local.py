"""The pace of a process on its own: it receives the whole of each limit."""

import time
from collections.abc import Callable

from teamrun.models.pacing.base import CallLimits, Demand, Share
from teamrun.models.pacing.rate import Rate
from teamrun.models.pacing.window import Window

__all__ = ["HORIZON_S", "NO_LIMIT", "LocalShares"]

HORIZON_S = 1.0
"""How far ahead start times are given, the next one apart."""

NO_LIMIT = 1_000_000
"""The number of places if only rates are limited."""

_IDLE_S = 60.0


class LocalShares:
    """Implements `Shares` for one process.

    Args:
        clock: A monotonic clock, in seconds; a parameter for tests.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._profiles: dict[str, _Profile] = {}

    async def share(self, profile: str, limits: CallLimits, demand: Demand) -> Share:
        """The limits, as far as they are not used up."""
        known = self._profiles.get(profile)
        if known is None or known.limits != limits:
            known = self._profiles[profile] = _Profile(limits)
        return known.share(self._clock(), demand)


class _Profile:
    def __init__(self, limits: CallLimits) -> None:
        self.limits = limits
        self._requests = Rate.of(limits.requests_per_minute)
        self._tokens = Rate.of(limits.tokens_per_minute)
        self._window = Window()

    def share(self, now: float, demand: Demand) -> Share:
        window = self._window
        window.answer(demand.answered)
        if (rejection := demand.rejection) is not None:
            window.reject(
                now,
                pause_s=rejection.pause_s,
                accepted=demand.active,
                age_s=rejection.age_s,
            )
        self._tokens.correct(demand.correction)
        self._requests.correct(-demand.returned)
        window.update(now, demand=demand.active + demand.waiting)
        starts = tuple(start - now for start in self._starts(now, demand.costs))
        pause_s = max(0.0, window.paused_until - now)
        again_s = _IDLE_S if window.size is None else window.grows_in(now) + 0.01
        return Share(
            places=min(_or_none(self.limits.max_concurrent_calls), _or_none(window.size)),
            pause_s=pause_s,
            starts_in_s=starts,
            again_s=again_s,
            is_free=window.size is None and not self.limits.has_any,
        )

    def _starts(self, now: float, costs: tuple[int, ...]) -> list[float]:
        starts: list[float] = []
        begin = max(now, self._window.paused_until)
        for cost in costs:
            start = max(self._requests.start(begin), self._tokens.start(begin))
            if starts and start > begin + HORIZON_S:
                break
            self._requests.take(start, 1)
            self._tokens.take(start, cost)
            starts.append(start)
        return starts


def _or_none(limit: int | None) -> int:
    return NO_LIMIT if limit is None else limit
