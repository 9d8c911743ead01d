"""The store of a process that dies before or after one of its writes."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from teamrun.storage.base import ObjectStat
from teamrun.storage.memory import MemoryStore

__all__ = ["Died", "MortalStore", "until_dead"]

T = TypeVar("T")


class Died(BaseException):
    """The process is gone."""


class MortalStore:
    """The store as one process has it, which stops for ever before or after one of its writes."""

    def __init__(self, inner: MemoryStore, *, dies_at: int = -1, is_after: bool = False) -> None:
        self.inner = inner
        self.writes = 0
        self.dead = asyncio.Event()
        self.is_left = False
        self._dies_at = dies_at
        self._is_after = is_after

    async def _write(self, write: Callable[[], Coroutine[Any, Any, T]]) -> T:
        await self._alive()
        self.writes += 1
        is_last = self.writes == self._dies_at
        if is_last and not self._is_after:
            self.dead.set()
        await self._alive()
        result = await write()
        if is_last:
            self.dead.set()
        await self._alive()
        return result

    async def _alive(self) -> None:
        if self.is_left:
            raise Died
        if self.dead.is_set():
            await asyncio.Event().wait()

    async def put_new(self, key: str, data: bytes) -> bool:
        return await self._write(lambda: self.inner.put_new(key, data))

    async def put(self, key: str, data: bytes) -> None:
        await self._write(lambda: self.inner.put(key, data))

    async def delete(self, key: str) -> None:
        await self._write(lambda: self.inner.delete(key))

    async def delete_many(self, keys: Sequence[str]) -> None:
        if keys:
            await self._write(lambda: self.inner.delete_many(keys))

    async def get(self, key: str) -> bytes:
        await self._alive()
        return await self.inner.get(key)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        await self._alive()
        return await self.inner.get_many(keys)

    def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        return self.inner.stream(key, start=start, end=end)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        await self._alive()
        return await self.inner.list(prefix, after=after, limit=limit)

    async def stats(self, prefix: str, *, after: str = "", limit: int = 1000) -> "list[ObjectStat]":
        return await self.inner.stats(prefix, after=after, limit=limit)

    async def check(self) -> None:
        await self._alive()

    async def close(self) -> None:
        pass


async def until_dead(store: MortalStore, work: Coroutine[Any, Any, object]) -> bool:
    """Run `work` to its end or to the death of its process; whether the process died."""
    working = asyncio.ensure_future(work)
    dying = asyncio.ensure_future(store.dead.wait())
    await asyncio.wait([working, dying], return_when=asyncio.FIRST_COMPLETED, timeout=30)
    dying.cancel()
    if working.done():
        working.result()
        return False
    store.is_left = True
    working.cancel()
    await asyncio.wait([working], timeout=5)
    return True
