"""Reads the stored items of a batch."""

from bisect import bisect_right
from collections import OrderedDict
from typing import NamedTuple

from pydantic import TypeAdapter

from teamrun.batches.keys import BatchRef, chunk_key, invalid_key, items_folder, todo_key
from teamrun.batches.spec import BatchSpec, StoredItem
from teamrun.batches.state import BatchState, Round
from teamrun.storage.base import ObjectStore

__all__ = ["Placed", "StoredItems", "discard"]

_KEPT = 4

_INDICES = TypeAdapter(list[int])


class StoredItems:
    """The items of one batch; the chunks that were read last stay in memory.

    Args:
        store: The store.
        ref: The batch.
        spec: Its specification.
    """

    def __init__(self, store: ObjectStore, ref: BatchRef, spec: BatchSpec) -> None:
        self._store = store
        self._ref = ref
        self._spec = spec
        self._chunks = OrderedDict[int, list[bytes]]()
        self._todo: dict[int, list[int]] = {}

    async def get(self, index: int) -> StoredItem:
        """The item at a position of the input.

        Raises:
            NotFound: Its chunk is missing.
        """
        return StoredItem.model_validate_json(await self.line(index))

    async def line(self, index: int) -> bytes:
        """The same as it is stored."""
        firsts = self._spec.chunks
        number = bisect_right(firsts, index) - 1
        lines = self._chunks.get(number)
        if lines is None:
            data = await self._store.get(chunk_key(self._ref, firsts[number]))
            lines = self._chunks[number] = data.split(b"\n")
            while len(self._chunks) > _KEPT:
                self._chunks.popitem(last=False)
        return lines[index - firsts[number]]

    async def indices(self, current: Round) -> "range | list[int]":
        """The positions in the input of the items of a round, in the order of the round.

        Raises:
            NotFound: The list is missing.
        """
        if current.number == 1:
            return range(self._spec.total)
        found = self._todo.get(current.number)
        if found is None:
            data = await self._store.get(todo_key(self._ref, current.number))
            found = self._todo[current.number] = _INDICES.validate_json(data)
        return found

    async def place(self, state: BatchState, index: int) -> "Placed | None":
        """The newest round in which an item has started or will start; None if there is none.

        Raises:
            NotFound: The list of a round is missing.
        """
        for current in reversed(state.rounds):
            position = current.place(await self.indices(current), index)
            if position is not None and position < state.started(current):
                return Placed(current, position)
        return None


class Placed(NamedTuple):
    """Where an item is."""

    round: Round
    position: int
    """In the round, from 0."""


async def discard(store: ObjectStore, ref: BatchRef) -> None:
    """Remove the items of a batch that was not accepted, and never will be.

    Raises:
        Unavailable: Storage does not respond.
    """
    while keys := await store.list(items_folder(ref)):
        await store.delete_many(keys)
    await store.delete(invalid_key(ref))
