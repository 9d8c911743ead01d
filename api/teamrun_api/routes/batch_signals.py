"""`/v1/batches/{batch_id}/cancel`, `/pause`, `/resume`, `/retry-failed`."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from teamrun.batches.resources import Batch
from teamrun.errors import (
    BatchEnded,
    BatchNotFinished,
    BatchNotFound,
)
from teamrun_api.batch_parts import RETRY_SOON, BatchId, batch_answer
from teamrun_api.bodies import JsonBody
from teamrun_api.declare import (
    BODY,
    IDEMPOTENCY_KEY,
    Responses,
    answer,
    problems,
    takes,
)
from teamrun_api.dependencies import RunWriter
from teamrun_api.faults import InvalidIdempotencyKey
from teamrun_api.schemas import BatchCancelRequest, BatchRetryRequest, EmptyRequest

__all__ = ["router"]

router = APIRouter(tags=["batches"], default_response_class=Response)


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
    return batch_answer(call, batch, status=202, headers=RETRY_SOON)


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
    return batch_answer(call, batch, status=202, headers=RETRY_SOON)


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
    return batch_answer(call, batch, status=202, headers=RETRY_SOON)


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
        "requestBody": takes(BatchRetryRequest, "BatchRetry", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def retry_failed(
    call: RunWriter,
    batch_id: BatchId,
    request: Annotated[BatchRetryRequest, Depends(JsonBody(BatchRetryRequest, optional=True))],
) -> Response:
    """Begin a new round of a batch that has ended, with every item that has not completed.

    The results then have the newest result of each item. If all items have completed, nothing
    changes. If the batch has reached `max_cost_usd` or `max_tokens`, send a higher limit; the usage
    of all rounds counts.
    """
    key = call.idempotency_key()
    batch, replayed = await call.batches.retry_failed(
        call.tenant, batch_id, limits=request.limits, idempotency_key=key
    )
    headers = {**RETRY_SOON, **({"Idempotency-Replayed": "true"} if replayed else {})}
    return batch_answer(call, batch, status=202, headers=headers)
