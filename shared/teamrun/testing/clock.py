"""A clock that a test moves."""

import asyncio
from datetime import UTC, datetime, timedelta

__all__ = ["FakeClock"]


class FakeClock:
    """Sleeping takes no time: it moves the clock on and is noted in `sleeps`."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self.sleeps: list[float] = []
        """Seconds slept, in order."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Move on by that time, and let other tasks run once."""
        self.sleeps.append(seconds)
        self.advance(timedelta(seconds=seconds))
        await asyncio.sleep(0)

    def advance(self, delay: timedelta) -> None:
        """Move on."""
        self._now += delay
