"""`/v1/batches`: submit, list, read and steer batches, and their items and results."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response, StreamingResponse

from teamrun.batches.entries import FINAL
from teamrun.batches.progress import Progress
from teamrun.batches.requests import BatchRequest
from teamrun.batches.resources import Batch, BatchEvent, BatchItemPage, BatchPage, ItemStatus
from teamrun.batches.results import Results, as_csv, stable_size
from teamrun.errors import (
    BatchEnded,
    BatchNotFinished,
    BatchNotFound,
    DefinitionError,
    DestinationRefused,
    IdempotencyConflict,
    InvalidItems,
    UsageError,
)
from teamrun.runs.service.news import frame
from teamrun_api.answers import json_answer, not_modified
from teamrun_api.bodies import JsonBody
from teamrun_api.conditional import matches, revision_tag
from teamrun_api.context import Call
from teamrun_api.declare import (
    BODY,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    LAST_EVENT_ID,
    PREFER,
    Responses,
    answer,
    content,
    problems,
    takes,
)
from teamrun_api.dependencies import RunReader, RunWriter, Wait
from teamrun_api.event_ids import start_after
from teamrun_api.faults import InvalidIdempotencyKey, NotAcceptable
from teamrun_api.methods import HEAD_FLAG
from teamrun_api.negotiation import choose
from teamrun_api.queries import wrong_parameter
from teamrun_api.ranges import RANGE, start_of
from teamrun_api.schemas import BatchCancelRequest, EmptyRequest
from teamrun_api.sse import EventStream, retry_frame

__all__ = ["router"]

router = APIRouter(tags=["batches"], default_response_class=Response)

RETRY_SOON = {"Retry-After": "1"}

JSON, STREAM = "application/json", "text/event-stream"

LINES, CSV = "application/x-ndjson", "text/csv"

_MOST_VALUES = 200_000
"""Values in the body of a batch: a thousand items have more than other bodies."""

BatchId = Annotated[
    str, Path(description="The batch's id.", max_length=128, examples=["bat_01jd8v3m7q"])
]
Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items on the page.")]
After = Annotated[
    str | None, Query(max_length=256, description="`next_cursor` of the page before.")
]


@router.post(
    "/v1/batches",
    operation_id="submitBatch",
    summary="Submit a batch",
    status_code=202,
    responses={
        202: answer(
            "Accepted: the batch and all its items are durable.",
            Batch,
            "BatchAccepted",
            "Location",
            "ETag",
            "Retry-After",
            "Idempotency-Replayed",
        ),
        **problems(
            *BODY,
            InvalidIdempotencyKey,
            DefinitionError,
            DestinationRefused,
            InvalidItems,
            IdempotencyConflict,
        ),
    },
    openapi_extra={
        "requestBody": takes(BatchRequest, "SubmitBatch", "SubmitBatchOfFile"),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def submit_batch(
    call: RunWriter,
    request: Annotated[BatchRequest, Depends(JsonBody(BatchRequest, most_values=_MOST_VALUES))],
) -> Response:
    """Accept a batch: one run of the team for each item.

    Each line of a file is checked; `errors` of a refusal name the lines that are invalid.
    """
    batch, replayed = await call.batches.submit(
        call.tenant, request, idempotency_key=call.idempotency_key()
    )
    headers = {"Location": call.link(f"/v1/batches/{batch.id}"), **RETRY_SOON}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return _batch_answer(call, batch, status=202, headers=headers)


@router.get(
    "/v1/batches",
    operation_id="listBatches",
    summary="List batches",
    responses={200: answer("A page of batches.", BatchPage, "Batches"), **problems()},
)
async def list_batches(call: RunReader, limit: Limit = 20, after: After = None) -> Response:
    """List the batches of the caller's tenant, newest first."""
    try:
        page = await call.batches.list(call.tenant, limit=limit, after=after)
    except UsageError as error:
        raise wrong_parameter("after", error.message, code="invalid_cursor") from None
    rooted = [_rooted(call, batch) for batch in page.data]
    return json_answer(page.model_copy(update={"data": rooted}))


@router.get(
    "/v1/batches/{batch_id}",
    operation_id="getBatch",
    summary="Read a batch",
    responses={
        200: answer("The batch.", Batch, "BatchRunning", "ETag", "Preference-Applied"),
        304: {"description": "The batch has not changed."},
        **problems(BatchNotFound),
    },
    openapi_extra={"parameters": [IF_NONE_MATCH, PREFER]},
)
async def get_batch(call: RunReader, batch_id: BatchId, wait: Wait = None) -> Response:
    """Read the current counts, usage, expected cost and time left of a batch.

    `Prefer: wait=N` together with `If-None-Match` is a long poll: the request waits until the batch
    changes. Without `If-None-Match` it waits until the batch has ended.
    """
    preference, known = call.wait_preference(wait), call.header("if-none-match")
    batch = await call.batches.get(call.tenant, batch_id)
    same = matches(known, revision_tag(batch.revision))
    is_open = batch.status not in FINAL
    if preference.timeout is not None and (same or known is None) and is_open:
        waiting = call.batches.wait(
            call.tenant,
            batch_id,
            timeout=preference.timeout,
            revision=batch.revision if same else None,
        )
        batch = await call.until(waiting) or batch
    tag = revision_tag(batch.revision)
    if matches(known, tag):
        return not_modified(tag, headers=preference.applied)
    return _batch_answer(call, batch, headers=preference.applied)


@router.delete(
    "/v1/batches/{batch_id}",
    operation_id="deleteBatch",
    summary="Delete a batch",
    status_code=204,
    responses={
        204: {"description": "The batch is gone."},
        **problems(BatchNotFound, BatchNotFinished),
    },
)
async def delete_batch(call: RunWriter, batch_id: BatchId) -> Response:
    """Delete a batch that has ended, with its items and results. Before the end that is 409.

    The runs of its items are removed one to two hours later.
    """
    await call.batches.delete(call.tenant, batch_id)
    return Response(status_code=204)


@router.get(
    "/v1/batches/{batch_id}/items",
    operation_id="listBatchItems",
    summary="List the items of a batch",
    responses={
        200: answer("A page of items.", BatchItemPage, "BatchItems"),
        **problems(BatchNotFound),
    },
)
async def list_items(
    call: RunReader,
    batch_id: BatchId,
    limit: Limit = 20,
    after: After = None,
    status: Annotated[ItemStatus | None, Query(description="Only items with this status.")] = None,
    custom_id: Annotated[
        str | None, Query(max_length=256, description="Only the item of this name.")
    ] = None,
) -> Response:
    """List items in the order of the input, each with its run and, once it has ended, its result.

    A page may be short, or empty, and still have a `next_cursor`: go on while `has_more`.
    """
    try:
        page = await call.batches.items(
            call.tenant, batch_id, status=status, custom_id=custom_id, limit=limit, after=after
        )
    except BatchNotFound:
        raise
    except UsageError as error:
        raise wrong_parameter("after", error.message, code="invalid_cursor") from None
    return json_answer(page)


@router.get(
    "/v1/batches/{batch_id}/results",
    operation_id="getBatchResults",
    summary="Download the results of a batch",
    responses={
        200: content(
            "The results of all items that have ended, in the order of the input.",
            {
                LINES: ({"type": "string"}, "BatchResultLines"),
                CSV: ({"type": "string"}, "BatchResultTable"),
            },
            "ETag",
        ),
        206: {"description": "The bytes from the requested one on."},
        **problems(BatchNotFound, NotAcceptable),
    },
    openapi_extra={"parameters": [RANGE]},
)
async def get_results(call: RunReader, batch_id: BatchId) -> Response:
    """Download one result per line as JSON or, with `Accept: text/csv`, as CSV.

    Before the end of the batch, this has the results so far. After the end of a batch that was not
    retried, `Range: bytes=N-` resumes a download of the JSON lines.
    """
    form = choose(call.header("accept"), (LINES, CSV))
    results, progress = await call.batches.results(call.tenant, batch_id)
    if form == CSV:
        return _stream(as_csv(results.lines()), CSV, {})
    headers = {"ETag": f'"{batch_id}.{progress.state.entries}.{progress.total.count}"'}
    return _lines(call, results, progress, headers)


def _lines(call: Call, results: Results, progress: Progress, headers: dict[str, str]) -> Response:
    size = stable_size(progress)
    start = 0 if size is None else start_of(call, size, headers["ETag"])
    if size is not None:
        headers |= {"Accept-Ranges": "bytes", "Content-Length": str(size - start)}
    if start:
        headers["Content-Range"] = f"bytes {start}-{(size or 0) - 1}/{size}"
    status = 206 if start else 200
    return _stream(results.lines(start=start), LINES, headers, status=status)


@router.get(
    "/v1/batches/{batch_id}/errors",
    operation_id="getBatchErrors",
    summary="Download what did not complete",
    responses={
        200: content(
            "The lines of the input that were skipped, then the results of other statuses than"
            " `completed`, in the order of the input.",
            {LINES: ({"type": "string"}, "BatchErrorLines")},
        ),
        **problems(BatchNotFound),
    },
)
async def get_errors(call: RunReader, batch_id: BatchId) -> Response:
    """Download the skipped lines and the items that have ended without being completed."""
    results, _ = await call.batches.results(call.tenant, batch_id)
    return _stream(results.failures(), LINES, {})


def _stream(
    chunks: AsyncGenerator[bytes, None],
    media_type: str,
    headers: dict[str, str],
    *,
    status: int = 200,
) -> Response:
    shared = {"Cache-Control": "private, no-cache", "Vary": "Accept"}
    return StreamingResponse(
        chunks, status_code=status, media_type=media_type, headers={**shared, **headers}
    )


@router.get(
    "/v1/batches/{batch_id}/events",
    operation_id="readBatchEvents",
    summary="Read or follow the events of a batch",
    responses={
        200: content(
            "The events: a page, or a stream to the end of the batch.",
            {
                JSON: ({"$ref": "#/components/schemas/BatchEventPage"}, "BatchEvents"),
                STREAM: ({"type": "string"}, "BatchEventStream"),
            },
        ),
        204: {
            "description": "The batch has ended and `Last-Event-ID` is its last event: a browser"
            " stops connecting."
        },
        **problems(BatchNotFound, NotAcceptable),
    },
    openapi_extra={"parameters": [LAST_EVENT_ID]},
)
async def read_batch_events(
    call: RunReader,
    batch_id: BatchId,
    after: Annotated[
        str | None,
        Query(max_length=128, description="Only events after this one: its id, or its `seq`."),
    ] = None,
    limit: Annotated[
        int, Query(ge=1, le=1000, description="Maximum number of events; JSON pages only.")
    ] = 100,
) -> Response:
    """Read events in the form that `Accept` names.

    With `text/event-stream`: all present events, then each as it happens, and after each change a
    frame `batch` without an id, which has the batch with its counts; at last `event: end`. The `id`
    of a frame, sent back as `Last-Event-ID`, resumes the stream there.
    """
    start = start_after(call.header("last-event-id"), batch_id, after)
    head = HEAD_FLAG in call.request.scope["state"]
    form = JSON if head else choose(call.header("accept"), (JSON, STREAM))
    if form == JSON:
        page = await call.batches.events(call.tenant, batch_id, after=start, limit=limit)
        return json_answer(page, headers={"Vary": "Accept"})
    # The batch is read first: a stream that has begun cannot answer 404 any more.
    batch = await call.batches.get(call.tenant, batch_id)
    if call.header("last-event-id") and batch.status in FINAL:
        page = await call.batches.events(call.tenant, batch_id, after=start, limit=1)
        if not page.data:
            return Response(status_code=204, headers={"Vary": "Accept"})
    return EventStream(_frames(call, batch_id, start), api=call.api, headers={"Vary": "Accept"})


async def _frames(call: Call, batch_id: str, after: int) -> AsyncGenerator[bytes, None]:
    yield retry_frame()
    status, last = "", after
    follow = call.batches.follow(call.tenant, batch_id, after=after)
    async with aclosing(follow) as changes:
        async for events, batch in changes:
            frames = [_frame_of(event) for event in events]
            data = _rooted(call, batch).model_dump_json(by_alias=True).encode()
            yield b"".join([*frames, frame(data, event="batch")])
            status, last = batch.status, events[-1].seq if events else last
    end = f'{{"batch_id":"{batch_id}","status":"{status}"}}'.encode()
    yield frame(end, event="end", event_id=f"{batch_id}-{last}")


def _frame_of(event: BatchEvent) -> bytes:
    data = event.model_dump_json(by_alias=True).encode()
    return frame(data, event=event.type, event_id=event.id)


def _changed(description: str, example: str, *headers: str) -> Responses:
    return {202: answer(description, Batch, example, "ETag", "Retry-After", *headers)}


@router.post(
    "/v1/batches/{batch_id}/cancel",
    operation_id="cancelBatch",
    summary="Cancel a batch",
    status_code=202,
    responses={
        **_changed("The cancel is durable.", "BatchCancelling"),
        **problems(*BODY, BatchNotFound, BatchEnded),
    },
    openapi_extra={"requestBody": takes(BatchCancelRequest, "Cancel", required=False)},
)
async def cancel_batch(
    call: RunWriter,
    batch_id: BatchId,
    request: Annotated[BatchCancelRequest, Depends(JsonBody(BatchCancelRequest, optional=True))],
) -> Response:
    """Cancel a batch: no more items start, and those in flight are cancelled."""
    batch = await call.batches.cancel(call.tenant, batch_id, reason=request.reason)
    return _batch_answer(call, batch, status=202, headers=RETRY_SOON)


@router.post(
    "/v1/batches/{batch_id}/pause",
    operation_id="pauseBatch",
    summary="Pause a batch",
    status_code=202,
    responses={
        **_changed("The pause is durable.", "BatchPaused"),
        **problems(*BODY, BatchNotFound, BatchEnded),
    },
    openapi_extra={"requestBody": takes(EmptyRequest, "Nothing", required=False)},
)
async def pause_batch(
    call: RunWriter,
    batch_id: BatchId,
    request: Annotated[EmptyRequest, Depends(JsonBody(EmptyRequest, optional=True))],
) -> Response:
    """Pause a batch: no more items start, and those in flight end."""
    batch = await call.batches.pause(call.tenant, batch_id)
    return _batch_answer(call, batch, status=202, headers=RETRY_SOON)


@router.post(
    "/v1/batches/{batch_id}/resume",
    operation_id="resumeBatch",
    summary="Resume a paused batch",
    status_code=202,
    responses={
        **_changed("The batch continues.", "BatchRunning"),
        **problems(*BODY, BatchNotFound, BatchEnded),
    },
    openapi_extra={"requestBody": takes(EmptyRequest, "Nothing", required=False)},
)
async def resume_batch(
    call: RunWriter,
    batch_id: BatchId,
    request: Annotated[EmptyRequest, Depends(JsonBody(EmptyRequest, optional=True))],
) -> Response:
    """Continue a paused batch; if it is not paused, nothing changes."""
    batch = await call.batches.resume(call.tenant, batch_id)
    return _batch_answer(call, batch, status=202, headers=RETRY_SOON)


@router.post(
    "/v1/batches/{batch_id}/retry-failed",
    operation_id="retryFailedItems",
    summary="Run the items again that have not completed",
    status_code=202,
    responses={
        **_changed("A new round has begun.", "BatchRetried", "Idempotency-Replayed"),
        **problems(*BODY, InvalidIdempotencyKey, BatchNotFound, BatchNotFinished),
    },
    openapi_extra={
        "requestBody": takes(EmptyRequest, "Nothing", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def retry_failed(
    call: RunWriter,
    batch_id: BatchId,
    request: Annotated[EmptyRequest, Depends(JsonBody(EmptyRequest, optional=True))],
) -> Response:
    """Begin a new round of a batch that has ended, with every item that has not completed.

    The results then have the newest result of each item. If all items have completed, nothing
    changes.
    """
    key = call.idempotency_key()
    batch, replayed = await call.batches.retry_failed(call.tenant, batch_id, idempotency_key=key)
    headers = {**RETRY_SOON, **({"Idempotency-Replayed": "true"} if replayed else {})}
    return _batch_answer(call, batch, status=202, headers=headers)


def _batch_answer(
    call: Call, batch: Batch, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    tag = {"ETag": revision_tag(batch.revision)}
    return json_answer(_rooted(call, batch), status=status, headers={**tag, **(headers or {})})


def _rooted(call: Call, batch: Batch) -> Batch:
    """A batch whose URLs begin with the path under which a proxy serves the API."""
    if not call.api.settings.root_path:
        return batch
    return batch.model_copy(
        update={"urls": {name: call.link(url) for name, url in batch.urls.items()}}
    )
