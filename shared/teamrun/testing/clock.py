"""A clock that a test controls."""

import asyncio
from datetime import UTC, datetime, timedelta

__all__ = ["FakeClock"]


class FakeClock:
    """A clock on which sleeping takes no time: it advances the clock and is recorded."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self.sleeps: list[float] = []
        """Seconds slept, in order."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Advance by that time, and let other tasks run once."""
        self.sleeps.append(seconds)
        self.advance(timedelta(seconds=seconds))
        await asyncio.sleep(0)

    def advance(self, delay: timedelta) -> None:
        """Advance the clock."""
        self._now += delay
