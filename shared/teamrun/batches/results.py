"""The results of a batch as a stream of lines, in the order of the input, with flat memory."""

import asyncio
import contextlib
import csv
import io
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from teamrun.batches.blocks import Blocks
from teamrun.batches.chunks import StoredItems
from teamrun.batches.entries import BEFORE
from teamrun.batches.keys import BatchRef, invalid_key
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


_FORMULA = re.compile(r"^(?=[=+\-@\t\r\n])|(?<=[;\t])(?=[=+\-@])|(?<=[\r\n])(?=[=+@]|-(?![ -]))")
"""Where a text begins that spreadsheets execute: also after what may separate cells or rows for
them, since many split at `;` and ignore quotes in the middle. `- ` begins an item of a list."""

_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*([eE][+-]?[0-9]+)?")

_LETTERS = {status: letter for letter, status in BEFORE.items()}

_TOGETHER = 100
"""Lines that are sent in one piece."""


@dataclass(frozen=True, slots=True)
class _Head:
    """The next item of a round."""

    index: int
    line: bytes | None
    """None if it has not ended."""


def stable_size(progress: Progress) -> int | None:
    """The bytes of all results, if they do not change any more and are one file without gaps."""
    state = progress.state
    if state.end is None or len(state.rounds) > 1:
        return None
    return sum(settled.size for settled in state.round.settled.values())


class Results:
    """The results of one batch at one moment; each item that has ended has one.

    An item that runs again, or is to, has none until it has ended again.

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
        self._blocks = Blocks(store, ref, progress)

    async def lines(self, *, start: int = 0) -> AsyncGenerator[bytes, None]:
        """The results, some lines at a time; each item once, with its newest result.

        Args:
            start: How many bytes to leave out at the beginning; only if they are `stable_size`.
        """
        rounds = self._progress.state.rounds
        if len(rounds) > 1:
            async for lines in self._joined(self._ended()):
                yield lines
            return
        for block in self._blocks.of(rounds[0]):
            settled = rounds[0].settled.get(block)
            if settled is None:
                lines = await self._blocks.lines(rounds[0], block)
                data = b"".join(line + b"\n" for line in lines.values())
            elif start >= settled.size:
                start -= settled.size
                continue
            else:
                data = await self._blocks.stored(rounds[0], block)
            yield data[start:]
            start = 0

    async def failures(self) -> AsyncGenerator[bytes, None]:
        """The lines of the input that were skipped, then the items that have not completed.

        Items that will not start any more, and never have, are among them.
        """
        with contextlib.suppress(NotFound):
            if self._progress.state.spec.skipped:
                yield await self._store.get(invalid_key(self._ref))
        async for lines in self._joined(self._uncompleted()):
            yield lines

    async def unfinished(self) -> dict[int, str]:
        """The items that have not completed, by their position in the input.

        Each has a letter for how it ended, as in `Signal.before`.
        """
        found = dict[int, str]()
        async with contextlib.aclosing(self._heads()) as heads:
            async for head in heads:
                status = None if head.line is None else from_json(head.line)["status"]
                if status != "completed":
                    found[head.index] = _LETTERS[status]
        return found

    async def _joined(self, lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The lines, some together."""
        together: list[bytes] = []
        async with contextlib.aclosing(lines):
            async for line in lines:
                together.append(line + b"\n")
                if len(together) == _TOGETHER:
                    yield b"".join(together)
                    together.clear()
        if together:
            yield b"".join(together)

    async def _ended(self) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(self._heads()) as heads:
            async for head in heads:
                if head.line is not None:
                    yield head.line

    async def _uncompleted(self) -> AsyncGenerator[bytes, None]:
        state, has_dropped = self._progress.state, self._progress.counts.cancelled > 0
        async with contextlib.aclosing(self._heads()) as heads:
            async for head in heads:
                if head.line is not None:
                    if from_json(head.line)["status"] != "completed":
                        yield head.line
                elif has_dropped and await self._items.place(state, head.index) is None:
                    yield await self._never_started(head.index)

    async def _never_started(self, index: int) -> bytes:
        """A line for an item that will not start, and never has."""
        state, item = self._progress.state, await self._items.get(index)
        code, reason = state.why
        result = ItemError(
            custom_id=item.custom_id,
            index=index,
            status="cancelled",
            stop_reason=reason,
            stop_code=code,
            finished_at=state.finished_at,
            metadata=item.metadata,
        )
        return result.model_dump_json(by_alias=True).encode()

    async def _heads(self) -> AsyncGenerator[_Head, None]:
        """All items in the order of the input, each with its newest result."""
        async with contextlib.AsyncExitStack() as stack:
            sources = [
                await stack.enter_async_context(contextlib.aclosing(self._heads_of(each)))
                for each in reversed(self._progress.state.rounds)
            ]
            heads = [await anext(source, None) for source in sources]
            for index in range(self._progress.state.spec.total):
                if index % _TOGETHER == 0:
                    await asyncio.sleep(0)  # other requests come in between
                found = [head for head in heads if head is not None and head.index == index]
                yield found[0] if found else _Head(index, None)
                for number, head in enumerate(heads):
                    if head is not None and head.index == index:
                        heads[number] = await anext(sources[number], None)

    async def _heads_of(self, current: Round) -> AsyncGenerator[_Head, None]:
        """The items of a round that have started or will start."""
        size, started = self._progress.state.spec.block, self._progress.state.started(current)
        indices = await self._items.indices(current)
        for block in self._blocks.of(current):
            lines = await self._blocks.lines(current, block)
            for position in range(block * size, min((block + 1) * size, started)):
                yield _Head(indices[position], lines.get(position))


async def as_csv(
    batches: AsyncGenerator[bytes, None], *, escapes_formulas: bool = True
) -> AsyncGenerator[bytes, None]:
    """Results as CSV (RFC 4180) with a header, for spreadsheets and programs without JSON.

    Args:
        batches: The results, some lines at a time.
        escapes_formulas: Whether an apostrophe is put before a text that a spreadsheet would
            execute; the texts of models and clients are not to be trusted (OWASP, CSV injection).
    """
    yield _csv([list(_COLUMNS)])
    async with contextlib.aclosing(batches):
        async for data in batches:
            rows = [_values(from_json(line)) for line in data.splitlines()]
            yield _csv([[*map(_escaped, row)] for row in rows] if escapes_formulas else rows)


def _escaped(value: object) -> object:
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return _FORMULA.sub("'", value)


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
