"""A store in the memory of one process, for tests and experiments."""

from bisect import bisect_left, bisect_right, insort
from itertools import takewhile

from teamrun.errors import NotFound
from teamrun.storage.keys import check_key, check_prefix

__all__ = ["MemoryStore"]


class MemoryStore:
    """Implements `ObjectStore` with a dictionary; its content is lost when the process ends."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._keys: list[str] = []

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

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Keys below the folder `prefix`, greater than `after`, sorted."""
        check_prefix(prefix)
        start = bisect_left(self._keys, prefix)
        if after >= prefix:
            start = max(start, bisect_right(self._keys, after))
        page = self._keys[start : start + limit]
        return [*takewhile(lambda key: key.startswith(prefix), page)]

    async def delete(self, key: str) -> None:
        """Remove the object; does nothing if it does not exist."""
        check_key(key)
        if self._objects.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    async def check(self) -> None:
        """Do nothing: this store is always available."""

    async def close(self) -> None:
        """Do nothing: the objects are kept as long as the store exists."""

    def _store(self, key: str, data: bytes) -> None:
        if key not in self._objects:
            insort(self._keys, key)
        self._objects[key] = bytes(data)
