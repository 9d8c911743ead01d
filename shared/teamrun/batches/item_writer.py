"""Stores the items of a batch while its input is being read."""

from pydantic_core import to_json

from teamrun.batches.items import Problem
from teamrun.batches.keys import BatchRef, chunk_key, invalid_key
from teamrun.batches.spec import StoredItem
from teamrun.json_types import JsonObject
from teamrun.storage.base import ObjectStore

__all__ = ["ItemWriter"]

_CHUNK_ITEMS, _CHUNK_BYTES = 1_000, 8_000_000


class ItemWriter:
    """Stores the items of one batch in chunks, and collects the problems.

    Args:
        store: The store.
        ref: The batch.
    """

    def __init__(self, store: ObjectStore, ref: BatchRef) -> None:
        self._store = store
        self._ref = ref
        self._lines: list[bytes] = []
        self._bytes = 0
        self.firsts: list[int] = []
        """The index of the first item of each chunk."""
        self.count = 0
        """The number of items."""
        self.problems: list[JsonObject] = []
        """Why lines of the input are no items."""
        self.skipped = 0
        """The number of these lines."""

    async def add(self, found: StoredItem | Problem) -> None:
        """Add an item, or the reason why a line is none."""
        if isinstance(found, Problem):
            self.problems.append(found.as_json())
            self.skipped += found.lines
            return
        line = to_json(found)
        if len(self._lines) == _CHUNK_ITEMS or self._bytes + len(line) > _CHUNK_BYTES:
            await self._flush()
        self._lines.append(line)
        self._bytes += len(line) + 1
        self.count += 1

    async def close(self) -> None:
        """Store what is left, and the problems."""
        await self._flush()
        if self.problems:
            lines = b"".join(to_json(problem) + b"\n" for problem in self.problems)
            await self._store.put(invalid_key(self._ref), lines)

    async def _flush(self) -> None:
        if self._lines:
            first = self.count - len(self._lines)
            self.firsts.append(first)
            data = b"".join(line + b"\n" for line in self._lines)
            self._lines, self._bytes = [], 0
            await self._store.put(chunk_key(self._ref, first), data)
