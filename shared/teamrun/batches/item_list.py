"""The items of a batch in pages, with the status of each."""

from bisect import bisect_left

from pydantic_core import from_json, to_json

from teamrun.batches.chunks import StoredItems
from teamrun.batches.keys import BatchRef, item_run_id, results_key
from teamrun.batches.progress import Progress
from teamrun.batches.resources import BatchItemPage, BatchItemView, ItemResult, ItemStatus
from teamrun.batches.spec import StoredItem
from teamrun.batches.state import Round
from teamrun.errors import UsageError
from teamrun.storage.base import ObjectStore

__all__ = ["ItemList"]

_MOST_SCANNED = 2_000


class ItemList:
    """The items of one batch at one moment.

    Args:
        store: The store.
        ref: The batch.
        progress: The batch at that moment.
    """

    def __init__(self, store: ObjectStore, ref: BatchRef, progress: Progress) -> None:
        self._store = store
        self._ref = ref
        self._progress = progress
        self._items = StoredItems(store, ref, progress.state.spec)
        self._blocks: dict[tuple[int, int], dict[int, bytes]] = {}

    async def page(
        self,
        *,
        status: ItemStatus | None,
        custom_id: str | None,
        limit: int,
        after: str | None,
    ) -> BatchItemPage:
        """Items that match, in the order of the input.

        A page may be short and still have a `next_cursor`, because scans are bounded.

        Raises:
            UsageError: `after` is not a cursor.
        """
        start, total = _index_after(after), self._progress.state.spec.total
        if custom_id is not None:
            index = await self._find(custom_id, start)
            found = [] if index is None else [await self._view(index)]
            return BatchItemPage(data=[i for i in found if status in (None, i.status)])
        found, index = list[BatchItemView](), start
        while index < total and len(found) < limit and index - start < _MOST_SCANNED:
            if status is None or await self._status(index) == status:
                found.append(await self._view(index))
            index += 1
        has_more = index < total
        cursor = str(index - 1) if has_more else None
        return BatchItemPage(data=found, next_cursor=cursor, has_more=has_more)

    async def _find(self, custom_id: str, start: int) -> int | None:
        wanted = b'{"custom_id":%s,' % to_json(custom_id)
        for index in range(start, self._progress.state.spec.total):
            if (await self._items.line(index)).startswith(wanted):
                return index
        return None

    async def _view(self, index: int) -> BatchItemView:
        item: StoredItem = await self._items.get(index)
        current, position = await self._place(index)
        line = await self._result(current, position)
        return BatchItemView(
            custom_id=item.custom_id,
            index=index,
            status=await self._status(index),
            run_id=item_run_id(self._ref, current.number, index)
            if position < current.fed
            else None,
            input=item.input,
            metadata=item.metadata,
            result=None if line is None else ItemResult.model_validate_json(line),
        )

    async def _status(self, index: int) -> ItemStatus:
        state = self._progress.state
        current, position = await self._place(index)
        if position >= current.fed:
            is_dropped = current is state.round and position >= state.last
            return "cancelled" if is_dropped else "queued"
        line = await self._result(current, position)
        return "running" if line is None else from_json(line)["status"]

    async def _place(self, index: int) -> tuple[Round, int]:
        """The newest round that an item is in, and its position there."""
        for current in reversed(self._progress.state.rounds[1:]):
            indices = await self._items.indices(current)
            position = bisect_left(indices, index)
            if position < len(indices) and indices[position] == index:
                return current, position
        return self._progress.state.rounds[0], index

    async def _result(self, current: Round, position: int) -> bytes | None:
        block = position // self._progress.state.spec.block
        key = current.number, block
        lines = self._blocks.get(key)
        if lines is None:
            lines = self._blocks[key] = await self._read(current, block)
        return lines.get(position)

    async def _read(self, current: Round, block: int) -> dict[int, bytes]:
        """The results of a block by position."""
        state = self._progress.state
        if block not in current.settled:
            if current is not state.round:
                return {}
            size = state.spec.block
            done = [
                item
                for position in range(block * size, (block + 1) * size)
                if (item := self._progress.done.get(position)) is not None
            ]
            found = await self._store.get_many([item.key for item in done])
            if None not in found:
                pairs = zip(done, found, strict=True)
                return {item.position: line for item, line in pairs if line is not None}
        data = await self._store.get(results_key(self._ref, current.number, block))
        return dict(enumerate(data.splitlines(), block * state.spec.block))


def _index_after(after: str | None) -> int:
    if after is None:
        return 0
    if not (after.isascii() and after.isdigit() and len(after) < 10):
        raise UsageError("the cursor is invalid; send `next_cursor` of the page before, unchanged")
    return int(after) + 1
