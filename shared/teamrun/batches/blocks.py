"""The results of the items of a round, a block at a time, at one moment."""

from collections import OrderedDict

from teamrun.batches.keys import BatchRef, results_key
from teamrun.batches.progress import Progress
from teamrun.batches.state import Round
from teamrun.storage.base import ObjectStore

__all__ = ["Blocks"]

_KEPT = 8


class Blocks:
    """Reads the results of one batch; the blocks that were read last stay in memory.

    Args:
        store: The store.
        ref: The batch.
        progress: The batch at that moment.
    """

    def __init__(self, store: ObjectStore, ref: BatchRef, progress: Progress) -> None:
        self._store = store
        self._ref = ref
        self._progress = progress
        self._size = progress.state.spec.block
        self._kept = OrderedDict[tuple[int, int], dict[int, bytes]]()

    def of(self, current: Round) -> range:
        """The numbers of the blocks of a round."""
        return range(-(-self._progress.state.started(current) // self._size))

    async def lines(self, current: Round, block: int) -> dict[int, bytes]:
        """The results of the items of a block that have ended, by their position in the round.

        Raises:
            StorageError: They cannot be read.
        """
        key = current.number, block
        if key not in self._kept:
            self._kept[key] = await self._read(current, block)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    async def line(self, current: Round, position: int) -> bytes | None:
        """The result of an item; None if it has not ended.

        Raises:
            StorageError: It cannot be read.
        """
        return (await self.lines(current, position // self._size)).get(position)

    async def stored(self, current: Round, block: int) -> bytes:
        """The results of a settled block as they are stored.

        Raises:
            StorageError: They cannot be read.
        """
        return await self._store.get(results_key(self._ref, current.number, block))

    async def _read(self, current: Round, block: int) -> dict[int, bytes]:
        state, first = self._progress.state, block * self._size
        if block not in current.settled:
            if current is not state.round or block not in state.open_blocks():
                return {}
            places = range(first, first + self._size)
            done = [item for place in places if (item := self._progress.done.get(place))]
            found = await self._store.get_many([item.key for item in done])
            if None not in found:
                pairs = zip(done, found, strict=True)
                return {item.position: line for item, line in pairs if line is not None}
            # The block has been settled in the meantime.
        return dict(enumerate((await self.stored(current, block)).splitlines(), first))
