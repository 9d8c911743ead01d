"""A world for simulations: virtual time, storage that loses replies, processes that die.

The real engine runs in it unchanged. All choices come from one random generator, so a seed
repeats a schedule exactly.
"""

import asyncio
import math
import random
import selectors
from collections.abc import AsyncGenerator, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from teamrun.errors import Unavailable
from teamrun.storage.base import ObjectStat
from teamrun.storage.memory import MemoryStore

T = TypeVar("T")

_STEPS_TO_END = 10_000
"""In which the tasks of a livelock are cancelled."""

EPOCH = datetime(2030, 1, 1, 11, 58, 40, tzinfo=UTC)  # an hour ends soon


class Livelock(Exception):
    """A schedule took more steps than it is allowed: its processes keep each other busy."""


class _NoWaiting(selectors.SelectSelector):
    """Instead of waiting, time advances."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.steps_left: float = math.inf

    def select(self, timeout: float | None = None) -> list[Any]:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Livelock(f"the schedule goes on and on; it is at {self.now:.0f} s")
        if timeout is None:
            raise RuntimeError("the simulated world stands still: nothing is scheduled any more")
        self.now += max(timeout, 0)
        return []  # there is no I/O outside of the world, so the selector is not polled


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers fire at once, in order, while `time()` returns virtual time."""

    def __init__(self) -> None:
        self._virtual = _NoWaiting()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def allow(self, steps: float) -> None:
        """Bound the steps, which are turns of the loop, from here on.

        One more raises `Livelock` out of the loop itself, so that no task can catch it.
        """
        self._virtual.steps_left = steps


def run_virtually(coro: Coroutine[Any, Any, T]) -> T:
    """Run to completion in virtual time."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            return runner.run(coro)
        except Livelock:
            loop.allow(_STEPS_TO_END)
            raise


class VirtualClock:
    """The clock of the running virtual loop, off by `skew`."""

    def __init__(self, skew: timedelta = timedelta()) -> None:
        self._skew = skew

    def now(self) -> datetime:
        seconds = asyncio.get_running_loop().time()
        return EPOCH + timedelta(seconds=seconds) + self._skew

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Died(BaseException):
    """The process is gone: nothing that it does has any effect from here on."""


class ProcessStore:
    """Storage as one process sees it: slow, losing replies, gone when the process dies."""

    def __init__(self, inner: MemoryStore, rng: random.Random, *, faults: float = 0.05) -> None:
        self._inner = inner
        self._rng = rng
        self._faults = faults
        self.dead = False
        self.log_puts = 0
        self.die_at: int | None = None
        """Die at the put of this many log entries, before or after it is applied."""
        self.lost_replies = 0

    async def _pause(self) -> None:
        await asyncio.sleep(self._rng.choice([0, 0, 0.001, 0.002, 0.01]))
        if self.dead:
            raise Died

    async def put_new(self, key: str, data: bytes) -> bool:
        await self._pause()
        if "/log/" in key:
            self.log_puts += 1
            if self.log_puts == self.die_at:
                self.dead = True
                if self._rng.random() < 0.8:
                    await self._inner.put_new(key, data)
                raise Died
        roll = self._rng.random()
        if roll < self._faults / 2:
            raise Unavailable("not applied")
        created = await self._inner.put_new(key, data)
        if roll < self._faults:
            self.lost_replies += 1
            raise Unavailable("applied, and the reply is lost")
        await self._pause()
        return created

    async def put(self, key: str, data: bytes) -> None:
        await self._pause()
        await self._inner.put(key, data)

    async def get(self, key: str) -> bytes:
        await self._pause()
        return await self._inner.get(key)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        await self._pause()
        return await self._inner.get_many(keys)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        await self._pause()
        return await self._inner.list(prefix, after=after, limit=limit)

    async def delete(self, key: str) -> None:
        await self._pause()
        await self._inner.delete(key)

    async def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            await self.delete(key)

    def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        return self._inner.stream(key, start=start, end=end)

    async def stats(self, prefix: str, *, after: str = "", limit: int = 1000) -> "list[ObjectStat]":
        return await self._inner.stats(prefix, after=after, limit=limit)

    async def check(self) -> None:
        await self._pause()

    async def close(self) -> None:
        pass
