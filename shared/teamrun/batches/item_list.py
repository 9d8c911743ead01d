"""The items of a batch in pages, with the status of each."""

from pydantic_core import from_json, to_json

from teamrun.batches.blocks import Blocks
from teamrun.batches.chunks import StoredItems
from teamrun.batches.keys import BatchRef, item_run_id
from teamrun.batches.progress import Progress
from teamrun.batches.resources import BatchItemPage, BatchItemView, ItemResult, ItemStatus
from teamrun.batches.spec import StoredItem
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
        self._ref = ref
        self._progress = progress
        self._items = StoredItems(store, ref, progress.state.spec)
        self._blocks = Blocks(store, ref, progress)

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
        found = await self._items.place(self._progress.state, index)
        line = None if found is None else await self._blocks.line(*found)
        run_id = None
        if found is not None and found.position < found.round.fed:
            run_id = item_run_id(self._ref, found.round.number, index)
        return BatchItemView(
            custom_id=item.custom_id,
            index=index,
            status=await self._status(index),
            run_id=run_id,
            input=item.input,
            metadata=item.metadata,
            result=None if line is None else ItemResult.model_validate_json(line),
        )

    async def _status(self, index: int) -> ItemStatus:
        found = await self._items.place(self._progress.state, index)
        if found is None:
            return "cancelled"
        if found.position >= found.round.fed:
            return "queued"
        line = await self._blocks.line(*found)
        return "running" if line is None else from_json(line)["status"]


def _index_after(after: str | None) -> int:
    if after is None:
        return 0
    if not (after.isascii() and after.isdigit() and len(after) < 10):
        raise UsageError("the cursor is invalid; send `next_cursor` of the page before, unchanged")
    return int(after) + 1
