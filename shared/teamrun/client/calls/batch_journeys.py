"""Journeys that submit a batch from items or from a file, or wait for one."""

import contextlib
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import NamedTuple, Unpack

from teamrun.batches.entries import FINAL
from teamrun.batches.resources import Batch
from teamrun.client.building import encoded
from teamrun.client.calls.batch_options import BatchOptions, FileOptions, Item, item_of
from teamrun.client.calls.batches import (
    get_batch,
    poll_batch,
    submit_items,
    submit_uploaded,
)
from teamrun.client.calls.files import delete_file, upload
from teamrun.client.calls.run_options import Team
from teamrun.client.calls.waiting import awaited
from teamrun.client.errors import RequestError
from teamrun.client.requests import Blocking, Journey, Request, ask
from teamrun.errors import TeamrunError

__all__ = ["submit", "submit_file", "wait"]

_INLINE_ITEMS, _INLINE_BYTES = 1_000, 256 * 1024
"""What one request has room for: the server takes 1,000 items, and by default 1 MiB."""


def submit(
    team: Team,
    items: Iterable[Item],
    *,
    idempotency_key: str | None = None,
    **options: Unpack[BatchOptions],
) -> Journey[Batch]:
    """Submit a batch. All its items are durable when this returns.

    Few items are sent in one request. More of them, up to 100,000, are written into a temporary
    file, which is uploaded, so that memory stays small.

    Args:
        team: The name of a registered team, or a definition.
        items: The items: texts, or objects with `input` and perhaps `custom_id`, `overrides` and
            `metadata`.
        idempotency_key: Repeating the call with the same key returns the same batch, if the items
            fit into one request. For more, upload a file once and use `submit_uploaded`.
        **options: Fields of `BatchOptions`.

    Raises:
        InvalidItemsError: Items are invalid; `errors` has the line of each, from 1.
    """
    portions = _portions(items)
    first, second = next(portions, _Portion([], [])), next(portions, None)
    if second is None and first.size <= _INLINE_BYTES:
        call = submit_items(team, first.items, idempotency_key=idempotency_key, **options)
        return (yield from ask(call))
    with tempfile.TemporaryDirectory(prefix="teamrun-") as folder:
        path = Path(folder) / "items.jsonl"
        with path.open("wb") as file:
            for portion in chain([first, *filter(None, [second])], portions):
                yield Blocking(partial(file.writelines, portion.lines))
            yield Blocking(file.flush)
        uploaded = yield from ask(upload(path))
    request = submit_uploaded(team, uploaded.id, idempotency_key=idempotency_key, **options)
    batch = yield from _or_discard(request, uploaded.id)
    yield from _discard(uploaded.id)  # the batch has a copy of its items
    return batch


class _Portion(NamedTuple):
    """Some items, and their lines in a file."""

    items: list[Item]
    lines: list[bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.lines))


def _portions(items: Iterable[Item]) -> Iterator[_Portion]:
    """The items, as many at a time as one request has room for, and one at least.

    They are read in the thread of the caller, between the steps of the journey: an iterable may
    belong to it, as a cursor of SQLite does.
    """
    portion, size = _Portion([], []), 0
    for item in items:
        line = encoded(item_of(item)) + b"\n"
        is_full = len(portion.items) == _INLINE_ITEMS or size + len(line) > _INLINE_BYTES
        if portion.items and is_full:
            yield portion
            portion, size = _Portion([], []), 0
        portion.items.append(item)
        portion.lines.append(line)
        size += len(line)
    if portion.items:
        yield portion


def submit_file(
    team: Team,
    path: str | PathLike[str],
    *,
    idempotency_key: str | None = None,
    **options: Unpack[FileOptions],
) -> Journey[Batch]:
    """Upload a JSONL or CSV file and submit a batch of its items.

    Args:
        team: The name of a registered team, or a definition.
        path: The file.
        idempotency_key: See `submit_uploaded`; each call uploads another file.
        **options: Fields of `FileOptions`.

    Raises:
        InvalidItemsError: Lines are invalid; `errors` has the number of each.
    """
    uploaded = yield from ask(upload(path))
    request = submit_uploaded(team, uploaded.id, idempotency_key=idempotency_key, **options)
    return (yield from _or_discard(request, uploaded.id))


def wait(batch_id: str, *, timeout: float | None = None) -> Journey[Batch]:
    """Wait for the end of a batch.

    Args:
        batch_id: The batch.
        timeout: How long to wait, in seconds; without it, for as long as it takes.

    Raises:
        WaitTimeoutError: The time is over. The batch continues.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    batch = yield from ask(get_batch(batch_id))
    return (yield from awaited(batch, deadline, FINAL, _poll))


def _or_discard(request: Request[Batch], file_id: str) -> Journey[Batch]:
    """The batch of an uploaded file, which is deleted if the batch is refused."""
    try:
        return (yield from ask(request))
    except RequestError:
        yield from _discard(file_id)
        raise


def _discard(file_id: str) -> Journey[None]:
    with contextlib.suppress(TeamrunError):
        yield from ask(delete_file(file_id))


def _poll(batch: Batch, seconds: float) -> Request[Batch | None]:
    return poll_batch(batch.id, wait_seconds=seconds)
