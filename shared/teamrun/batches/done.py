"""The objects that ended items leave: their names count, their contents are the results.

An item that has ended is one object, named after its position in the round, its status and what it
used. So the counts of a batch need a list of names and nothing else.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from teamrun.batches.entries import Tally
from teamrun.batches.keys import BatchRef, done_folder
from teamrun.batches.resources import ItemResult
from teamrun.batches.spec import Place, StoredItem
from teamrun.core.refs import RunRef
from teamrun.errors import UnreadableEntry
from teamrun.runs.log.archive import output_of
from teamrun.runs.log.entries import ErrorRecord
from teamrun.runs.log.state import RunState
from teamrun.runs.log.usage import Usage
from teamrun.storage.base import ObjectStore

__all__ = ["DoneItem", "done_items", "done_key", "line_of", "tally_of", "unreadable_line"]

_PAGE = 1_000

_LARGEST_LINE = 256 * 1024


class DoneItem(NamedTuple):
    """What the name of an object says of an item."""

    key: str
    position: int
    """In the round, from 0."""
    status: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal | None


_UNPRICED = "x"


def done_key(folder: str, position: int, status: str, usage: Usage) -> str:
    """The key of the object of an ended item."""
    cost = _UNPRICED if usage.cost_usd is None else f"{usage.cost_usd:f}"
    tokens = f"{usage.input_tokens}-{usage.output_tokens}"
    return f"{folder}{position:07d}-{status}-{tokens}-{cost}"


def read_name(key: str) -> DoneItem | None:
    """What the key of such an object says; None for any other key."""
    try:
        position, status, sent, received, cost = key.rpartition("/")[2].split("-")
        price = None if cost == _UNPRICED else Decimal(cost)
        return DoneItem(key, int(position), status, int(sent), int(received), price)
    except (ValueError, InvalidOperation):
        return None


async def done_items(store: ObjectStore, ref: BatchRef, number: int) -> list[DoneItem]:
    """The ended items of a round whose blocks are not settled, and perhaps some of others."""
    folder, found, after = done_folder(ref, number), list[DoneItem](), ""
    while True:
        keys = await store.list(folder, after=after, limit=_PAGE)
        found += [item for key in keys if (item := read_name(key)) is not None]
        if len(keys) < _PAGE:
            return found
        after = keys[-1]


def tally_of(items: Iterable[DoneItem]) -> Tally:
    """The counts of items."""
    by_status, sent, received, cost = dict[str, int](), 0, 0, None
    for item in items:
        by_status[item.status] = by_status.get(item.status, 0) + 1
        sent += item.input_tokens
        received += item.output_tokens
        if item.cost_usd is not None:
            cost = (cost or Decimal()) + item.cost_usd
    return Tally(by_status=by_status, input_tokens=sent, output_tokens=received, cost_usd=cost)


def line_of(state: RunState) -> bytes:
    """The result of an ended item, as a line without its end."""
    item, end = state.spec.batch, state.end
    assert item is not None and end is not None and state.finished_at is not None
    used = state.usage
    result = ItemResult(
        custom_id=item.custom_id,
        index=item.index,
        status=end.status,
        stop_reason=end.stop_reason,
        stop_code=end.stop_code,
        output=output_of(state),
        error=end.error,
        usage=Usage(
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cached_tokens=used.cached_tokens,
            reasoning_tokens=used.reasoning_tokens,
            model_calls=used.model_calls,
            tool_calls=used.tool_calls,
            cost_usd=used.cost_usd,
        ),
        run_id=state.spec.run_id,
        finished_at=state.finished_at,
        metadata=state.spec.metadata,
    )
    line = result.model_dump_json(by_alias=True).encode()
    if len(line) > _LARGEST_LINE:
        line = result.model_copy(update={"output": None}).model_dump_json(by_alias=True).encode()
    return line


def unreadable_line(
    item: StoredItem, place: Place, ref: RunRef, error: UnreadableEntry, now: datetime
) -> bytes:
    """The result of an item whose log is unreadable: it has failed, and its usage is unknown."""
    result = ItemResult(
        custom_id=item.custom_id,
        index=place.index,
        status="failed",
        stop_reason=error.message,
        stop_code=error.code,
        error=ErrorRecord(type=type(error).__name__, code=error.code, message=error.message),
        usage=Usage(),
        run_id=ref.run_id,
        finished_at=now,
        metadata=item.metadata,
    )
    return result.model_dump_json(by_alias=True).encode()
