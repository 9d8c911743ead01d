"""Calls of `/v1/batches`: many runs of one team as one object."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, Unpack

from pydantic import TypeAdapter

from teamrun.batches.entries import FINAL
from teamrun.batches.resources import (
    Batch,
    BatchEvent,
    BatchEventPage,
    BatchItemPage,
    BatchItemView,
    BatchPage,
    ItemResult,
    ItemStatus,
)
from teamrun.batches.spec import BatchLimits
from teamrun.client.building import delete, get, given, json_of, path_of, post
from teamrun.client.calls.batch_options import BatchOptions, FileOptions, Item, item_of
from teamrun.client.calls.run_options import Team, team_of
from teamrun.client.requests import (
    Download,
    Lines,
    Paged,
    Polled,
    Reply,
    Request,
    ServerSentEvent,
    Streamed,
)
from teamrun.core.tolerance import read_tolerantly
from teamrun.json_types import JsonMapping, JsonObject

__all__ = [
    "cancel",
    "delete_batch",
    "download_errors",
    "download_results",
    "errors",
    "events",
    "get_batch",
    "items",
    "list_batches",
    "pause",
    "poll_batch",
    "results",
    "resume",
    "retry_failed",
    "stream",
    "submit_items",
    "submit_uploaded",
    "submit_url",
    "watch",
]

_BATCH = json_of(Batch)
_PAGE = json_of(BatchPage)
_ITEMS = json_of(BatchItemPage)
_EVENTS = json_of(BatchEventPage)
_EVENT = TypeAdapter(BatchEvent)
_STATE = TypeAdapter(Batch)
_RESULT = TypeAdapter(ItemResult)
_LINE: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)

_WATCH_S = 20.0


def submit_items(
    team: Team,
    items: Sequence[Item],
    *,
    idempotency_key: str | None = None,
    **options: Unpack[BatchOptions],
) -> Request[Batch]:
    """Submit a batch of up to 1,000 items in the body of one request.

    Args:
        team: The name of a registered team, or a definition.
        items: The items.
        idempotency_key: Repeating the call with the same key returns the same batch.
        **options: Fields of `BatchOptions`.
    """
    body = {**team_of(team), "items": [item_of(each) for each in items], **given(**options)}
    return post(path_of("batches"), _BATCH, body, idempotency_key=idempotency_key)


def submit_uploaded(
    team: Team,
    file_id: str,
    *,
    idempotency_key: str | None = None,
    **options: Unpack[FileOptions],
) -> Request[Batch]:
    """Submit a batch of the items in an uploaded file.

    Args:
        team: The name of a registered team, or a definition.
        file_id: The file.
        idempotency_key: Repeating the call with the same key returns the same batch.
        **options: Fields of `FileOptions`.

    Raises:
        InvalidItemsError: Lines are invalid, and `errors` has the line of each; or there is no such
            file, and `errors` has the pointer `/input_file_id`.
    """
    body = {**team_of(team), "input_file_id": file_id, **given(**options)}
    return post(path_of("batches"), _BATCH, body, idempotency_key=idempotency_key)


def submit_url(
    team: Team,
    url: str,
    *,
    idempotency_key: str | None = None,
    **options: Unpack[FileOptions],
) -> Request[Batch]:
    """Submit a batch of the items in an object that the server reads itself.

    Args:
        team: The name of a registered team, or a definition.
        url: The object: `s3://bucket/key`, `az://container/key`, or `file:///path` on the server.
            The operator allows prefixes (`TEAMRUN_BATCH_INPUTS`).
        idempotency_key: Repeating the call with the same key returns the same batch.
        **options: Fields of `FileOptions`.

    Raises:
        InvalidItemsError: Lines are invalid, and `errors` has the line of each; or the URL cannot
            be read, and `errors` has the pointer `/input_url`.
    """
    body = {**team_of(team), "input_url": url, **given(**options)}
    return post(path_of("batches"), _BATCH, body, idempotency_key=idempotency_key)


def get_batch(batch_id: str) -> Request[Batch]:
    """Read a batch: exact counts, usage, expected cost, time left."""
    return get(path_of("batches", batch_id), _BATCH)


def poll_batch(
    batch_id: str, *, wait_seconds: float, after_revision: int | None = None
) -> Request[Batch | None]:
    """Read a batch when it has ended, at the latest after some time.

    Args:
        batch_id: The batch.
        wait_seconds: The time; the server may grant less.
        after_revision: Return at the next change after this `revision` instead. The result is None
            if nothing has changed.
    """
    known = {} if after_revision is None else {"If-None-Match": f'"r{after_revision}"'}
    return get(
        path_of("batches", batch_id),
        _changed,
        headers=known,
        wait_seconds=wait_seconds,
        is_long_poll=True,
    )


def watch(batch_id: str, *, interval: float = 1.0) -> Polled[Batch]:
    """Follow a batch: its state now and after each change, to its end.

    Args:
        batch_id: The batch.
        interval: The least time between two states, in seconds.
    """

    def following(batch: Batch) -> Request[Batch | None] | None:
        if batch.status in FINAL:
            return None
        return poll_batch(batch_id, wait_seconds=_WATCH_S, after_revision=batch.revision)

    return Polled(get_batch(batch_id), following, interval)


def list_batches(*, limit: int | None = None, after: str | None = None) -> Paged[Batch]:
    """List batches, newest first. Iterating the result reads page after page.

    Args:
        limit: The number of batches per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    return Paged(get(path_of("batches"), _PAGE, query={"limit": limit, "after": after}))


def items(
    batch_id: str,
    *,
    status: ItemStatus | None = None,
    custom_id: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> Paged[BatchItemView]:
    """List the items of a batch in the order of the input, each with its run and result.

    Args:
        batch_id: The batch.
        status: Only items with this status.
        custom_id: Only the item of this name.
        limit: The number of items per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    query = {"status": status, "custom_id": custom_id, "limit": limit, "after": after}
    return Paged(get(path_of("batches", batch_id, "items"), _ITEMS, query=query))


def results(batch_id: str) -> Lines[ItemResult]:
    """Read the results in the order of the input, one after the other, as they arrive.

    Before the end of the batch these are the results so far. A connection that breaks is resumed.
    """
    return Lines(path_of("batches", batch_id, "results"), _result)


def errors(batch_id: str) -> Lines[JsonObject]:
    """Read what did not complete: skipped lines of the input, then the results of other items.

    Each is a `dict`. A skipped line has `line`, `last_line`, `code` and `detail`; a result has the
    fields of `ItemResult`. After the end, items that never started are `cancelled` and have no
    `run_id`.
    """
    return Lines(path_of("batches", batch_id, "errors"), _LINE.validate_json)


def download_results(
    batch_id: str,
    to: str | PathLike[str],
    *,
    format: Literal["jsonl", "csv"] | None = None,
    escape_formulas: bool = True,
    replace: bool = False,
) -> Download:
    """Download the results into a file, piece by piece; a download that breaks is resumed.

    Args:
        batch_id: The batch.
        to: The path to write to.
        format: By default CSV if the path ends in `.csv`, else JSON lines.
        escape_formulas: Whether CSV has an apostrophe before each text that a spreadsheet would
            execute as a formula. Programs that need exact texts pass False.
        replace: Whether an existing file may be replaced.

    Raises:
        FileExistsError: There is a file, and `replace` is not set.
    """
    target = Path(to)
    is_csv = format == "csv" or (format is None and target.suffix.lower() == ".csv")
    accept = {"Accept": "text/csv" if is_csv else "application/x-ndjson"}
    query = {} if escape_formulas else {"escape_formulas": "false"}
    path = path_of("batches", batch_id, "results")
    return Download(get(path, _content, query=query, headers=accept), target, replace)


def download_errors(batch_id: str, to: str | PathLike[str], *, replace: bool = False) -> Download:
    """Download what `errors` reads into a file of JSON lines.

    Args:
        batch_id: The batch.
        to: The path to write to.
        replace: Whether an existing file may be replaced.

    Raises:
        FileExistsError: There is a file, and `replace` is not set.
    """
    accept = {"Accept": "application/x-ndjson"}
    request = get(path_of("batches", batch_id, "errors"), _content, headers=accept)
    return Download(request, Path(to), replace)


def events(
    batch_id: str, *, after: str | int | None = None, limit: int | None = None
) -> Paged[BatchEvent]:
    """Read the events that a batch has so far. Iterating the result reads page after page.

    Args:
        batch_id: The batch.
        after: Only events after this one: its id or its `seq`.
        limit: The number of events per page.
    """
    query = {"after": after, "limit": limit}
    return Paged(get(path_of("batches", batch_id, "events"), _EVENTS, query=query))


def stream(batch_id: str, *, after: str | int | None = None) -> Streamed[BatchEvent | Batch]:
    """Follow a batch to its end: its events, and its state after each change.

    An interrupted stream is resumed after the last event that has arrived.

    Args:
        batch_id: The batch.
        after: Only events after this one: its id or its `seq`.
    """
    path = path_of("batches", batch_id, "events")
    return Streamed(path, _message, after=None if after is None else str(after))


def delete_batch(batch_id: str) -> Request[None]:
    """Delete a batch that has ended, with its items and results."""
    return delete(path_of("batches", batch_id))


def cancel(batch_id: str, *, reason: str | None = None) -> Request[Batch]:
    """Cancel a batch: no more items start, and those in flight are cancelled.

    Args:
        batch_id: The batch.
        reason: Stored in the batch, as its `stop_reason`.
    """
    return post(path_of("batches", batch_id, "cancel"), _BATCH, given(reason=reason))


def pause(batch_id: str) -> Request[Batch]:
    """Pause a batch: no more items start, and those in flight end."""
    return post(path_of("batches", batch_id, "pause"), _BATCH, {})


def resume(batch_id: str) -> Request[Batch]:
    """Continue a paused batch."""
    return post(path_of("batches", batch_id, "resume"), _BATCH, {})


def retry_failed(
    batch_id: str,
    *,
    limits: BatchLimits | JsonMapping | None = None,
    idempotency_key: str | None = None,
) -> Request[Batch]:
    """Run every item again that has not completed, after the end of the batch.

    Args:
        batch_id: The batch.
        limits: The limits of the batch to change; the others stay. A batch that has reached its
            `max_cost_usd` or `max_tokens` needs a higher one.
        idempotency_key: Repeating the call with the same key begins one round.
    """
    path = path_of("batches", batch_id, "retry-failed")
    return post(path, _BATCH, given(limits=limits), idempotency_key=idempotency_key)


def _message(frame: ServerSentEvent) -> BatchEvent | Batch:
    if frame.name == "batch":
        return read_tolerantly(_STATE, frame.data)
    return read_tolerantly(_EVENT, frame.data)


def _result(line: bytes) -> ItemResult:
    return read_tolerantly(_RESULT, line)


def _changed(reply: Reply) -> Batch | None:
    return None if reply.status == 304 else _BATCH(reply)


def _content(reply: Reply) -> bytes:
    return reply.content
