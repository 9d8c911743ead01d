"""`/v1/batches/{batch_id}/items`, `/results`, `/errors`: what becomes of the items."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from teamrun.batches.progress import Progress
from teamrun.batches.resources import BatchItemPage, ItemStatus
from teamrun.batches.results import Results, as_csv, stable_size
from teamrun.errors import (
    BatchNotFound,
    UsageError,
)
from teamrun_api.answers import json_answer
from teamrun_api.batch_parts import After, BatchId, Limit
from teamrun_api.context import Call
from teamrun_api.declare import (
    answer,
    content,
    problems,
)
from teamrun_api.dependencies import RunReader
from teamrun_api.faults import NotAcceptable, RangeNotSatisfiable
from teamrun_api.negotiation import choose
from teamrun_api.queries import wrong_parameter
from teamrun_api.ranges import RANGE, start_of

__all__ = ["router"]

router = APIRouter(tags=["batches"], default_response_class=Response)

LINES, CSV = "application/x-ndjson", "text/csv"


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
        **problems(BatchNotFound, NotAcceptable, RangeNotSatisfiable),
    },
    openapi_extra={"parameters": [RANGE]},
)
async def get_results(
    call: RunReader,
    batch_id: BatchId,
    escape_formulas: Annotated[
        bool,
        Query(
            description="Whether CSV has an apostrophe before each text that a spreadsheet would"
            " execute as a formula. Programs that need exact texts send `false` or read JSON lines."
        ),
    ] = True,
) -> Response:
    """Download one result per line as JSON or, with `Accept: text/csv`, as CSV.

    Before the end of the batch, this has the results so far. After the end of a batch that was not
    retried, `Range: bytes=N-` resumes a download of the JSON lines.
    """
    form = choose(call.header("accept"), (LINES, CSV))
    results, progress = await call.batches.results(call.tenant, batch_id)
    if form == CSV:
        table = as_csv(results.lines(), escapes_formulas=escape_formulas)
        return _stream(table, CSV, {})
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
            "The lines of the input that were skipped, then the items that did not complete, in the"
            " order of the input.",
            {LINES: ({"type": "string"}, "BatchErrorLines")},
        ),
        **problems(BatchNotFound),
    },
)
async def get_errors(call: RunReader, batch_id: BatchId) -> Response:
    """Download the skipped lines and the items that have ended without being completed.

    Of a batch that is cancelled or stopped, this also has the items that never start, with the
    status `cancelled` and without a run.
    """
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
