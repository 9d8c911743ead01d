"""`/v1/runs/{run_id}/fork`, `/retry`: new runs that share the log of another one."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from teamrun.errors import (
    IdempotencyConflict,
    NoSuchPoint,
    RunNotFinished,
    RunNotFound,
    UnreadableEntry,
)
from teamrun.runs.service.acceptance import Submitted
from teamrun.runs.service.requests import ForkRequest, RetryRequest
from teamrun.runs.service.resources import Run
from teamrun_api.answers import run_answer
from teamrun_api.bodies import JsonBody
from teamrun_api.context import Call
from teamrun_api.declare import (
    BODY,
    IDEMPOTENCY_KEY,
    Responses,
    answer,
    linked,
    problems,
    takes,
)
from teamrun_api.dependencies import RunId, RunWriter
from teamrun_api.faults import InvalidIdempotencyKey

__all__ = ["router"]

router = APIRouter(tags=["runs"], default_response_class=Response)

_REFUSED = (
    *BODY,
    InvalidIdempotencyKey,
    RunNotFound,
    UnreadableEntry,
    NoSuchPoint,
    IdempotencyConflict,
)


def _accepted(description: str, example: str) -> Responses:
    headers = ("Location", "ETag", "Retry-After", "Idempotency-Replayed")
    return {202: linked(answer(description, Run, example, *headers))}


@router.post(
    "/v1/runs/{run_id}/fork",
    operation_id="forkRun",
    summary="Fork a run",
    status_code=202,
    responses={
        **_accepted(
            "Accepted: a new run, which continues from an event of the other one.",
            "RunForked",
        ),
        **problems(*_REFUSED),
    },
    openapi_extra={"requestBody": takes(ForkRequest, "Fork"), "parameters": [IDEMPOTENCY_KEY]},
)
async def fork_run(
    call: RunWriter, run_id: RunId, request: Annotated[ForkRequest, Depends(JsonBody(ForkRequest))]
) -> Response:
    """Create a run that shares another's log up to an event; those calls are not repeated.

    The other run may be running or have ended; it is not changed.
    """
    key = call.idempotency_key()
    return _reply(call, await call.service.fork(call.tenant, run_id, request, idempotency_key=key))


@router.post(
    "/v1/runs/{run_id}/retry",
    operation_id="retryRun",
    summary="Retry a run that has ended",
    status_code=202,
    responses={
        **_accepted("Accepted: a new run of the same team and task.", "RunRetried"),
        **problems(*_REFUSED, RunNotFinished),
    },
    openapi_extra={
        "requestBody": takes(RetryRequest, "Retry", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def retry_run(
    call: RunWriter,
    run_id: RunId,
    request: Annotated[RetryRequest, Depends(JsonBody(RetryRequest, optional=True))],
) -> Response:
    """Create a run from the specification of one that has ended.

    From `here` it repeats only the calls whose failure ended the run; from `start`, all calls.
    """
    key = call.idempotency_key()
    return _reply(call, await call.service.retry(call.tenant, run_id, request, idempotency_key=key))


def _reply(call: Call, submitted: Submitted) -> Response:
    run, replayed = submitted
    call.api.metrics.accepted(replayed=replayed)
    headers = {"Location": call.link(f"/v1/runs/{run.id}"), "Retry-After": "1"}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return run_answer(call, run, status=202, headers=headers)
