"""A store that counts the requests that it gets."""

from collections import Counter

from teamrun.storage.memory import MemoryStore

__all__ = ["CountingStore"]


class CountingStore(MemoryStore):
    """Counts requests by kind, a batch of reads as many."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = Counter[str]()

    async def put_new(self, key: str, data: bytes) -> bool:
        self.requests["put"] += 1
        return await super().put_new(key, data)

    async def put(self, key: str, data: bytes) -> None:
        self.requests["put"] += 1
        await super().put(key, data)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        self.requests["get"] += len(keys)
        return await super().get_many(keys)

    async def get(self, key: str) -> bytes:
        self.requests["get"] += 1
        return await super().get(key)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        self.requests["list"] += 1
        return await super().list(prefix, after=after, limit=limit)
