"""The results of a batch as a stream of lines, in the order of the input, with flat memory."""

import contextlib
import csv
import io
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from teamrun.batches.chunks import StoredItems
from teamrun.batches.keys import BatchRef, invalid_key, results_key
from teamrun.batches.progress import Progress
from teamrun.batches.resources import ItemError
from teamrun.batches.state import Round
from teamrun.errors import NotFound
from teamrun.json_types import JsonObject
from teamrun.storage.base import ObjectStore

__all__ = ["Results", "as_csv", "stable_size"]

_COLUMNS = (
    "custom_id",
    "status",
    "output",
    "error_code",
    "error",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "run_id",
)


_TOGETHER = 100
"""Lines that are sent in one piece."""


@dataclass(frozen=True, slots=True)
class _Head:
    """The next line of a round."""

    index: int
    line: bytes


def stable_size(progress: Progress) -> int | None:
    """The bytes of all results, if they do not change any more and are one file without gaps."""
    state = progress.state
    if state.end is None or len(state.rounds) > 1:
        return None
    return sum(settled.size for settled in state.round.settled.values())


class Results:
    """The results of one batch at one moment; items that end later may be missing.

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

    async def lines(self, *, start: int = 0) -> AsyncGenerator[bytes, None]:
        """The results, some lines at a time; each item once, with its newest result.

        Args:
            start: How many bytes to leave out at the beginning; only if they are `stable_size`.
        """
        rounds = self._progress.state.rounds
        if len(rounds) > 1:
            async for lines in self._merged(rounds):
                yield lines
            return
        for block in self._blocks(rounds[0]):
            settled = rounds[0].settled.get(block)
            if settled is not None and start >= settled.size:
                start -= settled.size
                continue
            data = await self._block(rounds[0], block)
            yield data[start:]
            start = 0

    async def failures(self) -> AsyncGenerator[bytes, None]:
        """The lines of the input that were skipped, then the items that have not completed.

        After the end of the batch, these are also the items without a result: they never started.
        """
        with contextlib.suppress(NotFound):
            if self._progress.state.spec.skipped:
                yield await self._store.get(invalid_key(self._ref))
        together: list[bytes] = []
        async with contextlib.aclosing(self._uncompleted()) as lines:
            async for line in lines:
                together.append(line)
                if len(together) == _TOGETHER:
                    yield b"".join(together)
                    together.clear()
        yield b"".join(together)

    async def _uncompleted(self) -> AsyncGenerator[bytes, None]:
        expected = 0
        async with contextlib.aclosing(self.lines()) as batches:
            async for data in batches:
                for line in data.splitlines(keepends=True):
                    result: JsonObject = from_json(line)
                    async for missing in self._missing(expected, result["index"]):
                        yield missing
                    expected = result["index"] + 1
                    if result["status"] != "completed":
                        yield line
        async for missing in self._missing(expected, self._progress.state.spec.total):
            yield missing

    async def _missing(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Lines for items of an ended batch that have no result."""
        end, at = self._progress.state.end, self._progress.state.finished_at
        if end is None:
            return
        for index in range(start, stop):
            item = await self._items.get(index)
            result = ItemError(
                custom_id=item.custom_id,
                index=index,
                status="cancelled",
                stop_reason=end.stop_reason,
                stop_code=end.stop_code,
                finished_at=at,
                metadata=item.metadata,
            )
            yield result.model_dump_json(by_alias=True).encode() + b"\n"

    async def unfinished(self) -> list[int]:
        """The positions in the input of all items that have not completed."""
        completed = set[int]()
        async with contextlib.aclosing(self.lines()) as batches:
            async for data in batches:
                results: list[JsonObject] = [from_json(line) for line in data.splitlines()]
                completed.update(r["index"] for r in results if r["status"] == "completed")
        total = self._progress.state.spec.total
        return [index for index in range(total) if index not in completed]

    def _blocks(self, current: Round) -> range:
        return range(-(-current.fed // self._progress.state.spec.block))

    async def _block(self, current: Round, block: int) -> bytes:
        """The results of a block, or of those of its items that have ended."""
        if block not in current.settled:
            size = self._progress.state.spec.block
            places = range(block * size, (block + 1) * size)
            done = [item for place in places if (item := self._progress.done.get(place))]
            found = await self._store.get_many([item.key for item in done])
            if None not in found:
                return b"".join(line + b"\n" for line in found if line is not None)
        return await self._store.get(results_key(self._ref, current.number, block))

    async def _merged(self, rounds: Sequence[Round]) -> AsyncGenerator[bytes, None]:
        async with contextlib.AsyncExitStack() as stack:
            sources = [
                await stack.enter_async_context(contextlib.aclosing(self._heads(each)))
                for each in reversed(rounds)
            ]
            heads = [await anext(source, None) for source in sources]
            while any(heads):
                index = min(head.index for head in heads if head is not None)
                newest = next(head for head in heads if head is not None and head.index == index)
                yield newest.line + b"\n"
                for number, head in enumerate(heads):
                    if head is not None and head.index == index:
                        heads[number] = await anext(sources[number], None)

    async def _heads(self, current: Round) -> AsyncGenerator[_Head, None]:
        for block in self._blocks(current):
            for line in (await self._block(current, block)).splitlines():
                yield _Head(from_json(line)["index"], line)


async def as_csv(batches: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Results as CSV (RFC 4180) with a header, for spreadsheets and programs without JSON."""
    yield _csv([list(_COLUMNS)])
    async with contextlib.aclosing(batches):
        async for data in batches:
            yield _csv([_values(from_json(line)) for line in data.splitlines()])


def _values(result: JsonObject) -> list[object]:
    error: JsonObject = result["error"] or {}
    output: JsonObject = result["output"] or {}
    row: JsonObject = {
        **result,
        **result["usage"],
        "output": output.get("text"),
        "error_code": error.get("code") or _code_of(result),
        "error": error.get("message"),
    }
    return [row[name] for name in _COLUMNS]


def _code_of(result: JsonObject) -> str | None:
    return None if result["status"] == "completed" else result["stop_code"]


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
