"""Storage, live state and queue as one process of a simulated deployment reaches them.

Each operation is a place where the process may be switched away from, frozen or killed: before it
takes effect, and after, before the process hears of it.
"""

import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

from tests.simulation.weather import Weather

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError, Unavailable
from teamrun.live.base import View
from teamrun.live.memory import MemoryLive
from teamrun.models.pacing.base import CallLimits, Demand, Share
from teamrun.storage.base import ObjectStat
from teamrun.storage.memory import MemoryStore

__all__ = ["Host", "LivePort", "QueuePort", "StorePort"]


class Host(Protocol):
    """The interface of a port to its process and its world."""

    store: MemoryStore
    live: MemoryLive
    rng: random.Random

    @property
    def weather(self) -> Weather: ...

    @property
    def store_is_down(self) -> bool: ...

    @property
    def live_is_down(self) -> bool: ...

    async def point(self, *, danger: float = 1) -> None:
        """Be switched away from here, perhaps frozen or killed, the more so with more danger."""
        ...

    def disturbed(self) -> None:
        """The live state could not be reached, so a lease may be gone."""
        ...

    def stored(self, key: str, data: bytes) -> None:
        """An object is about to be written."""
        ...

    def seen(self, place: str, data: bytes) -> None:
        """Something leaves the process."""
        ...

    def written(self, key: str, data: bytes) -> None:
        """An object was created."""
        ...

    def is_steady(self, since: float) -> bool:
        """Whether the process is well, and has been since then or since it was started."""
        ...

    def enqueue(self, ref: RunRef, queue: Queue) -> None:
        """Give a message to the queue."""
        ...


class StorePort:
    """Implements `ObjectStore`; `overwrite` is there for a mutant."""

    overwrite = False

    def __init__(self, host: Host) -> None:
        self._host = host
        self._inner = host.store

    async def _before(self, *, danger: float = 1) -> bool:
        """True if the reply of the next operation is lost."""
        host = self._host
        await host.point(danger=danger)
        if host.store_is_down:
            self._disturb()
            raise Unavailable("the store is down")
        weather, roll = host.weather, host.rng.random()
        if roll < weather.refused:
            self._disturb()
            raise Unavailable("not done")
        return roll < weather.refused + weather.lost_reply

    async def _after(self, lost: bool) -> None:
        if lost:
            self._disturb()
            raise Unavailable("done, and the reply is lost")
        await self._host.point()

    def _disturb(self) -> None:
        """An owner without a lease may have been unable to renew its term."""
        if not self._host.live.is_shared:
            self._host.disturbed()

    async def put_new(self, key: str, data: bytes) -> bool:
        lost = await self._before()
        self._host.stored(key, data)
        created = await self._inner.put_new(key, data)
        if not created and self.overwrite:
            await self._inner.put(key, data)
            created = True
        if created:
            self._host.written(key, data)
        await self._after(lost)
        return created

    async def put(self, key: str, data: bytes) -> None:
        lost = await self._before()
        self._host.stored(key, data)
        await self._inner.put(key, data)
        await self._after(lost)

    async def get(self, key: str) -> bytes:
        if await self._before():
            raise Unavailable("the reply is lost")
        return await self._inner.get(key)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        if await self._before():
            raise Unavailable("the reply is lost")
        return await self._inner.get_many(keys)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        # A sweep consists of lists; hardly anything depends on where it is interrupted.
        if await self._before(danger=1 if prefix.startswith("t/") else 0.05):
            raise Unavailable("the reply is lost")
        return await self._inner.list(prefix, after=after, limit=limit)

    async def delete(self, key: str) -> None:
        lost = await self._before()
        await self._inner.delete(key)
        await self._after(lost)

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
        await self._before()

    async def close(self) -> None:
        pass


class LivePort:
    """Implements `Live`; notices may be lost."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._inner = host.live
        self.is_shared = host.live.is_shared

    async def _before(self) -> None:
        await self._host.point()
        if self.is_shared and self._host.live_is_down:
            self._host.disturbed()
            raise DeliveryError("the live state cannot be reached")

    async def publish(self, topic: str, message: bytes) -> None:
        await self._before()
        self._host.seen(f"a notice to {topic}", message)
        await self._inner.publish(topic, message)

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncGenerator[AsyncIterator[bytes], None]:
        await self._before()
        async with self._inner.subscribe(topic) as messages:
            yield _Heard(self._host, messages)

    async def acquire(self, name: str, owner: str, lease: timedelta) -> bool:
        await self._before()
        taken = await self._inner.acquire(name, owner, lease)
        await self._host.point()
        return taken

    async def release(self, name: str, owner: str) -> None:
        await self._before()
        await self._inner.release(name, owner)

    async def held(self, names: Sequence[str]) -> list[bool]:
        await self._before()
        return await self._inner.held(names)

    async def age(self) -> timedelta | None:
        await self._before()
        age = await self._inner.age()
        await self._host.point()
        return age

    async def set_view(self, key: str, view: View) -> None:
        await self._before()
        self._host.seen(f"the view of {key}", repr(view).encode())
        await self._inner.set_view(key, view)

    async def views(self, keys: Sequence[str]) -> list[View | None]:
        await self._before()
        found = await self._inner.views(keys)
        await self._host.point()
        return found

    async def drop_view(self, key: str) -> None:
        await self._before()
        await self._inner.drop_view(key)

    async def share(self, profile: str, limits: CallLimits, demand: Demand) -> Share:
        return await self._inner.share(profile, limits, demand)

    async def answer(self, key: str) -> bytes | None:
        await self._before()
        return await self._inner.answer(key)

    async def keep_answer(self, key: str, answer: bytes, life: timedelta) -> None:
        await self._before()
        await self._inner.keep_answer(key, answer, life)

    async def ping(self) -> None:
        await self._before()

    async def close(self) -> None:
        pass


class _Heard:
    """Messages of a subscription, some of them lost."""

    def __init__(self, host: Host, messages: AsyncIterator[bytes]) -> None:
        self._host = host
        self._messages = messages

    def __aiter__(self) -> "_Heard":
        return self

    async def __anext__(self) -> bytes:
        while True:
            message = await anext(self._messages)
            await self._host.point()
            if self._host.live.is_shared and self._host.live_is_down:
                raise StopAsyncIteration
            if self._host.rng.random() >= self._host.weather.notice_lost:
                return message


class QueuePort:
    """Implements `Dispatcher`."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        await self._host.point()
        if self._host.live_is_down:
            raise DeliveryError("the queue cannot be reached")
        for ref in refs:
            self._host.enqueue(ref, queue)
        await self._host.point()

    async def close(self) -> None:
        pass
