"""`/v1/batches`: submit, list, read and delete batches."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from teamrun.batches.entries import FINAL
from teamrun.batches.requests import BatchRequest
from teamrun.batches.resources import Batch, BatchPage
from teamrun.errors import (
    BatchDeleted,
    BatchNotFinished,
    BatchNotFound,
    DefinitionError,
    DestinationRefused,
    IdempotencyConflict,
    InvalidItems,
    UsageError,
)
from teamrun_api.answers import json_answer, not_modified
from teamrun_api.batch_parts import RETRY_SOON, After, BatchId, Limit, batch_answer, rooted_batch
from teamrun_api.bodies import JsonBody
from teamrun_api.conditional import matches, revision_tag
from teamrun_api.declare import (
    BODY,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    PREFER,
    answer,
    problems,
    takes,
)
from teamrun_api.dependencies import RunReader, RunWriter, Wait
from teamrun_api.faults import InvalidIdempotencyKey
from teamrun_api.queries import wrong_parameter

__all__ = ["router"]

router = APIRouter(tags=["batches"], default_response_class=Response)

_MOST_VALUES = 200_000
"""Values in the body of a batch: a thousand items have more than other bodies."""


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
            BatchDeleted,
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
    return batch_answer(call, batch, status=202, headers=headers)


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
    rooted = [rooted_batch(call, batch) for batch in page.data]
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
    return batch_answer(call, batch, headers=preference.applied)


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
