"""A store that records its calls, so that its own cost can be measured alone."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from teamrun.storage.base import ObjectStat, ObjectStore

__all__ = ["Call", "RecordingStore", "replay"]

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


class RecordingStore:
    """Hands every call on to `store`, and keeps it in `calls`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.calls: list[Call] = []

    async def put_new(self, key: str, data: bytes) -> bool:
        return await self._recorded(self._store.put_new, key, data)

    async def put(self, key: str, data: bytes) -> None:
        await self._recorded(self._store.put, key, data)

    async def get(self, key: str) -> bytes:
        return await self._recorded(self._store.get, key)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        return await self._recorded(self._store.get_many, keys)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        return await self._recorded(self._store.list, prefix, after=after, limit=limit)

    async def delete(self, key: str) -> None:
        await self._recorded(self._store.delete, key)

    async def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            await self.delete(key)

    def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        self.calls.append(("stream", (key,), {"start": start, "end": end}))
        return self._store.stream(key, start=start, end=end)

    async def stats(self, prefix: str, *, after: str = "", limit: int = 1000) -> "list[ObjectStat]":
        return await self._store.stats(prefix, after=after, limit=limit)

    async def check(self) -> None:
        await self._store.check()

    async def close(self) -> None:
        await self._store.close()

    async def _recorded(
        self, call: Callable[..., Awaitable[Any]], *args: Any, **options: Any
    ) -> Any:
        self.calls.append((call.__name__, args, options))
        return await call(*args, **options)


async def replay(calls: list[Call], store: ObjectStore) -> None:
    """Ask another store for the same."""
    methods: dict[str, Callable[..., Awaitable[Any]]] = {
        "put_new": store.put_new,
        "put": store.put,
        "get": store.get,
        "get_many": store.get_many,
        "list": store.list,
        "delete": store.delete,
    }
    for name, args, options in calls:
        await methods[name](*args, **options)
