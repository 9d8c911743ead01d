"""Limits per host: requests at the same time, and a circuit breaker.

Each process has its own. A tenant's receivers do not affect those of another tenant on the same
host.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

__all__ = ["Hosts"]

_AT_ONCE = 10

_MOST_WAITING = 300
"""Requests that wait for a place at one host; the others are left to a later sweep."""

_FAILURES = 5
"""Consecutive failures after which a host is left alone for a while."""

_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=5)

_PROBE = timedelta(seconds=20)
"""How long the one request after a pause may take, before another one is made."""

_MOST = 10_000
"""Hosts that are remembered; the oldest are forgotten first."""


@dataclass(slots=True)
class _Host:
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    waiting: int = 0
    failures: int = 0
    pause: timedelta = _PAUSE
    until: datetime | None = None
    """No requests before this time; then one, whose outcome decides."""
    failed_at: datetime | None = None
    """When it last did not answer, or asked for a pause."""
    asked_at: datetime | None = None
    """When a request was last made during a pause because a client asked for it."""

    def may_ask(self, now: datetime) -> bool:
        """Whether one request may be made during a pause."""
        return self.asked_at is None or now - self.asked_at >= _PROBE


class Hosts:
    """The hosts that this process sends to."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}

    def paused_until(
        self,
        name: str,
        now: datetime,
        *,
        is_requested: bool = False,
        answered_at: datetime | None = None,
    ) -> datetime | None:
        """Until when no request should be sent to the host; None if one may be sent now.

        After the pause, one caller gets None, and the others wait for the outcome of its request.
        A request that a client has asked for ends the pause early, so that a host which works again
        is found at once; there is one such request in 20 s, however many were asked for.

        Args:
            name: The host.
            now: The time.
            is_requested: A client has asked for the request.
            answered_at: When a test of another process was accepted: that ends a pause from before.
        """
        host = self._hosts.get(name)
        if host is None or host.until is None:
            return None
        if answered_at is not None and host.failed_at is not None and answered_at > host.failed_at:
            self.succeeded(name)
            return None
        if now < host.until:
            if not (is_requested and host.may_ask(now)):
                return host.until
            host.asked_at = now
        host.until = now + _PROBE
        return None

    def is_crowded(self, name: str) -> bool:
        """Whether too many requests wait for a place at the host already."""
        host = self._hosts.get(name)
        return host is not None and host.waiting >= _MOST_WAITING

    @asynccontextmanager
    async def place(self, name: str) -> AsyncGenerator[None]:
        """A place among the requests to the host."""
        while len(self._hosts) >= _MOST and name not in self._hosts:
            del self._hosts[next(iter(self._hosts))]
        host = self._hosts.setdefault(name, _Host())
        host.waiting += 1
        try:
            await host.places.acquire()
        finally:
            host.waiting -= 1
        try:
            yield
        finally:
            host.places.release()

    def succeeded(self, name: str) -> None:
        """The host answered."""
        if (host := self._hosts.get(name)) is not None:
            host.failures, host.pause, host.until = 0, _PAUSE, None

    def failed(self, name: str, now: datetime, *, after: timedelta | None = None) -> None:
        """The host did not answer, or asked for a pause."""
        if (host := self._hosts.get(name)) is None:
            return
        host.failures += 1
        host.failed_at = now
        if after is not None:
            host.until = now + min(after, _LONGEST_PAUSE)
        elif host.failures >= _FAILURES:
            host.until = now + host.pause
            host.pause = min(2 * host.pause, _LONGEST_PAUSE)
