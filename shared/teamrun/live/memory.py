"""Live state of one process: for tests, and for a deployment without Redis."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple

from teamrun.live.base import View
from teamrun.live.fanout import Fanout
from teamrun.models.answers import Answers
from teamrun.models.pacing.base import CallLimits, Demand, Share, Shares

__all__ = ["MemoryLive"]

_VIEWS = 10_000


class _Lease(NamedTuple):
    owner: str
    until: float


class MemoryLive:
    """Implements `Live` with dictionaries.

    Args:
        clock: A monotonic clock, in seconds; a parameter for tests.
        is_shared: Whether this process is the whole deployment. Pass False if other processes use
            the same store.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, is_shared: bool = True
    ) -> None:
        self.is_shared = is_shared
        self._clock = clock
        self._fanout = Fanout()
        self._leases: dict[str, _Lease] = {}
        self._views: dict[str, View] = {}
        self._since: float | None = None
        self._shares: Shares | None = None
        self._answers: Answers | None = None

    async def publish(self, topic: str, message: bytes) -> None:
        """Send a message to the current subscribers."""
        self._fanout.deliver(topic, message)

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The messages published while the context is entered."""
        reader = self._fanout.join(topic)
        try:
            yield reader
        finally:
            self._fanout.leave(topic, reader)

    async def acquire(self, name: str, owner: str, lease: timedelta) -> bool:
        """Take or renew the lease; returns False if another owner has it."""
        now = self._clock()
        held = self._leases.get(name)
        if held is not None and held.until > now and held.owner != owner:
            return False
        self._leases[name] = _Lease(owner, now + lease.total_seconds())
        return True

    async def release(self, name: str, owner: str) -> None:
        """Release the lease if `owner` has it."""
        held = self._leases.get(name)
        if held is not None and held.owner == owner:
            del self._leases[name]

    async def held(self, names: Sequence[str]) -> list[bool]:
        """The leases that are active."""
        now = self._clock()
        return [(held := self._leases.get(name)) is not None and held.until > now for name in names]

    async def age(self) -> timedelta | None:
        """How long this state has existed; None at the first call."""
        now = self._clock()
        if self._since is None:
            self._since = now
            return None
        return timedelta(seconds=now - self._since)

    async def set_view(self, key: str, view: View) -> None:
        """Store the view unless the stored one has as many entries or more."""
        stored = self._views.get(key)
        if stored is not None and stored.entries >= view.entries:
            return
        self._views.pop(key, None)
        self._views[key] = view
        if len(self._views) > _VIEWS:  # views can be rebuilt, so the oldest are dropped
            del self._views[next(iter(self._views))]

    async def views(self, keys: Sequence[str]) -> list[View | None]:
        """The stored views, in the order of `keys`."""
        return [self._views.get(key) for key in keys]

    async def drop_view(self, key: str) -> None:
        """Remove a stored view; does nothing if there is none."""
        self._views.pop(key, None)

    async def share(self, profile: str, limits: CallLimits, demand: Demand) -> Share:
        """The limits of a model profile, as far as they are not used up."""
        if self._shares is None:
            # Imported late: a process without limits of models does not need it.
            from teamrun.models.pacing.local import LocalShares

            self._shares = LocalShares(clock=self._clock)
        return await self._shares.share(profile, limits, demand)

    async def answer(self, key: str) -> bytes | None:
        """The answer of a model, if it is still kept."""
        return None if self._answers is None else await self._answers.answer(key)

    async def keep_answer(self, key: str, answer: bytes, life: timedelta) -> None:
        """Keep an answer of a model for a time."""
        if self._answers is None:
            # Imported late: a process without a response cache does not need it.
            from teamrun.models.answers import LocalAnswers

            self._answers = LocalAnswers(clock=self._clock)
        await self._answers.keep_answer(key, answer, life)

    async def ping(self) -> None:
        """Do nothing: this state is always available."""

    async def close(self) -> None:
        """End every subscription."""
        self._fanout.end()

    def forget(self) -> None:
        """Lose everything, like a flushed or replaced server."""
        self._leases.clear()
        self._views.clear()
        self._since = None
        self._shares = self._answers = None
        self._fanout.end()
