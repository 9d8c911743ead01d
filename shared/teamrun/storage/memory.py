"""A store in the memory of one process, for tests and experiments."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from itertools import takewhile

from teamrun.errors import NotFound
from teamrun.storage.base import CHUNK_BYTES, ObjectStat
from teamrun.storage.batches import check_range, delete_each
from teamrun.storage.keys import check_key, check_prefix

__all__ = ["MemoryStore"]


class MemoryStore:
    """Implements `ObjectStore` with a dictionary; its content is lost when the process ends."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._keys: list[str] = []
        self._modified: dict[str, datetime] = {}

    async def put_new(self, key: str, data: bytes) -> bool:
        """Create the object; returns False if it already exists."""
        check_key(key)
        if key in self._objects:
            return False
        self._store(key, data)
        return True

    async def put(self, key: str, data: bytes) -> None:
        """Create or replace the object."""
        check_key(key)
        self._store(key, data)

    async def get(self, key: str) -> bytes:
        """The bytes of the object.

        Raises:
            NotFound: The object does not exist.
        """
        try:
            return self._objects[key]
        except KeyError:
            check_key(key)
            raise NotFound(f"no object under {key!r}", key=key) from None

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The objects in the order of `keys`; None for a missing one."""
        return [self._objects.get(key) for key in keys]

    async def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of the object from `start` to before `end`, in chunks."""
        data = await self.get(key)
        end = check_range(key, start, end, size=len(data))
        for place in range(start, end, CHUNK_BYTES):
            yield data[place : min(place + CHUNK_BYTES, end)]

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Keys below the folder `prefix`, greater than `after`, sorted."""
        check_prefix(prefix)
        start = bisect_left(self._keys, prefix)
        if after >= prefix:
            start = max(start, bisect_right(self._keys, after))
        page = self._keys[start : start + limit]
        return [*takewhile(lambda key: key.startswith(prefix), page)]

    async def stats(self, prefix: str, *, after: str = "", limit: int = 1000) -> "list[ObjectStat]":
        """What `list` returns, with sizes and modification times."""
        return [
            ObjectStat(key, len(self._objects[key]), self._modified[key])
            for key in await self.list(prefix, after=after, limit=limit)
        ]

    async def delete(self, key: str) -> None:
        """Remove the object; does nothing if it does not exist."""
        check_key(key)
        if self._objects.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]
            del self._modified[key]

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Remove the objects; missing ones are ignored."""
        await delete_each(self, keys)

    async def check(self) -> None:
        """Do nothing: this store is always available."""

    async def close(self) -> None:
        """Do nothing: the objects are kept as long as the store exists."""

    def _store(self, key: str, data: bytes) -> None:
        if key not in self._objects:
            insort(self._keys, key)
        self._objects[key] = bytes(data)
        self._modified[key] = datetime.now(UTC)
