"""`/v1/runs`: submit, list, read, cancel, result."""

import logging
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from teamrun.errors import (
    DefinitionError,
    DestinationRefused,
    IdempotencyConflict,
    ImpossibleTime,
    RunDeleted,
    RunEnded,
    RunInBatch,
    RunNotFinished,
    RunNotFound,
    TeamrunError,
    ThreadBusy,
    ThreadNotFound,
    UsageError,
)
from teamrun.runs.log.output import RunResult
from teamrun.runs.log.status import RunStatus
from teamrun.runs.service.listing import Order, RunFilter
from teamrun.runs.service.requests import Moment, RunRequest
from teamrun.runs.service.resources import Run, RunPage
from teamrun_api.answers import has_ended, json_answer, not_modified, rooted, run_answer
from teamrun_api.bodies import JsonBody
from teamrun_api.conditional import matches, revision_tag
from teamrun_api.context import Call
from teamrun_api.declare import (
    BODY,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    PREFER,
    TRACEPARENT,
    Responses,
    answer,
    linked,
    problems,
    takes,
)
from teamrun_api.dependencies import RunId, RunReader, RunWriter, Wait
from teamrun_api.faults import InvalidIdempotencyKey
from teamrun_api.queries import METADATA, metadata_of, wrong_parameter
from teamrun_api.schemas import CancelRequest

__all__ = ["router"]

logger = logging.getLogger(__name__)

router = APIRouter(tags=["runs"], default_response_class=Response)

RETRY_SOON = {"Retry-After": "1"}

_SUBMITTED: Responses = {
    200: linked(
        answer(
            "The run ended within the requested time.",
            Run,
            "RunEnded",
            "Location",
            "ETag",
            "Preference-Applied",
            "Idempotency-Replayed",
        )
    ),
    202: linked(
        answer(
            "Accepted: the run is durable and does not depend on the client.",
            Run,
            "RunQueued",
            "Location",
            "ETag",
            "Retry-After",
            "Preference-Applied",
            "Idempotency-Replayed",
        )
    ),
    **problems(
        *BODY,
        InvalidIdempotencyKey,
        DefinitionError,
        ImpossibleTime,
        DestinationRefused,
        IdempotencyConflict,
        RunDeleted,
        ThreadBusy,
        ThreadNotFound,
    ),
}


@router.post(
    "/v1/runs",
    operation_id="submitRun",
    summary="Submit a run",
    status_code=202,
    responses=_SUBMITTED,
    openapi_extra={
        "requestBody": takes(RunRequest, "Submit", "SubmitWithin", "SubmitWithWebhook"),
        "parameters": [IDEMPOTENCY_KEY, PREFER, TRACEPARENT],
    },
)
async def submit_run(
    call: RunWriter,
    request: Annotated[RunRequest, Depends(JsonBody(RunRequest))],
    wait: Wait = None,
) -> Response:
    """Accept a run. It is durable when the response is sent, and executed by a worker.

    With `Prefer: wait=N` the request waits for up to N seconds until the run has ended or waits
    for a person (`input_required`, `paused`).
    """
    preference = call.wait_preference(wait)
    run, replayed = await call.service.submit(
        call.tenant,
        request,
        idempotency_key=call.idempotency_key(),
        traceparent=call.header("traceparent"),
    )
    call.api.metrics.accepted(replayed=replayed)
    headers = {"Location": call.link(f"/v1/runs/{run.id}"), **preference.applied}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    if preference.timeout is not None:
        run = await _waited(call, run, timeout=preference.timeout)
        if has_ended(run):
            return run_answer(call, run, headers=headers)
    return run_answer(call, run, status=202, headers={**headers, **RETRY_SOON})


async def _waited(call: Call, run: Run, *, timeout: timedelta) -> Run:
    try:
        return await call.until(call.service.wait(call.tenant, run.id, timeout=timeout)) or run
    except TeamrunError as error:
        # The run has been accepted: the client must learn its id, whatever fails from here on.
        data = {"action": "request.wait_failed", "run_id": run.id, "code": error.code}
        logger.warning("A request stopped waiting for a run because of an error", extra=data)
        return run


@router.get(
    "/v1/runs",
    operation_id="listRuns",
    summary="List runs",
    responses={200: answer("A page of runs.", RunPage, "Runs"), **problems()},
    openapi_extra={"parameters": [METADATA]},
)
async def list_runs(
    call: RunReader,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of runs.")] = 20,
    after: Annotated[
        str | None, Query(max_length=256, description="`next_cursor` of the page before.")
    ] = None,
    status: Annotated[RunStatus | None, Query(description="Only runs with this status.")] = None,
    team: Annotated[
        str | None, Query(max_length=256, description="Only runs of this team.")
    ] = None,
    tag: Annotated[str | None, Query(max_length=64, description="Only runs with this tag.")] = None,
    created_after: Annotated[
        Moment | None, Query(description="Only runs created after that time.")
    ] = None,
    created_before: Annotated[
        Moment | None, Query(description="Only runs created before that time.")
    ] = None,
    order: Annotated[
        Order, Query(description="`desc` lists the newest first, `asc` the oldest.")
    ] = "desc",
) -> Response:
    """List the runs of the caller's tenant.

    A page may be short, or empty, and still have a `next_cursor`: go on while `has_more`.
    """
    where = RunFilter(
        status=status,
        team=team,
        tag=tag,
        metadata=metadata_of(call.request),
        created_after=created_after,
        created_before=created_before,
    )
    try:
        page = await call.service.list(call.tenant, where, limit=limit, after=after, order=order)
    except UsageError as error:  # the only one that a list raises
        raise wrong_parameter("after", error.message, code="invalid_cursor") from None
    page = page.model_copy(update={"data": [rooted(call, run) for run in page.data]})
    return json_answer(page)


@router.get(
    "/v1/runs/{run_id}",
    operation_id="getRun",
    summary="Read a run",
    responses={
        200: answer("The run.", Run, "RunAsking", "ETag", "Preference-Applied"),
        304: {"description": "The run has not changed."},
        **problems(RunNotFound),
    },
    openapi_extra={"parameters": [IF_NONE_MATCH, PREFER]},
)
async def get_run(call: RunReader, run_id: RunId, wait: Wait = None) -> Response:
    """Read the current state of a run.

    `Prefer: wait=N` together with `If-None-Match` is a long poll: the request waits until the run
    changes. Without `If-None-Match` it waits until the run has ended or waits for a person.
    """
    preference, known = call.wait_preference(wait), call.header("if-none-match")
    run = await call.service.get(call.tenant, run_id)
    same = matches(known, revision_tag(run.revision))
    if preference.timeout is not None and (same or known is None) and not has_ended(run):
        revision = run.revision if same else None
        waiting = call.service.wait(
            call.tenant, run_id, timeout=preference.timeout, revision=revision
        )
        run = await call.until(waiting) or run
    tag = revision_tag(run.revision)
    if matches(known, tag):
        return not_modified(tag, headers=preference.applied)
    return run_answer(call, run, headers=preference.applied)


@router.delete(
    "/v1/runs/{run_id}",
    operation_id="deleteRun",
    summary="Delete a run",
    status_code=204,
    responses={
        204: {"description": "The run is gone."},
        **problems(RunNotFound, RunNotFinished, RunInBatch),
    },
)
async def delete_run(call: RunWriter, run_id: RunId) -> Response:
    """Delete a run that has ended, with its events, result and files. Before the end that is 409.

    Forks and retries of it stay as they are.
    """
    await call.service.delete(call.tenant, run_id)
    return Response(status_code=204)


@router.get(
    "/v1/runs/{run_id}/result",
    operation_id="getRunResult",
    summary="Read the result of a run",
    responses={
        200: answer("The result.", RunResult, "Result", "Preference-Applied"),
        **problems(RunNotFound, RunNotFinished),
    },
    openapi_extra={"parameters": [PREFER]},
)
async def get_result(call: RunReader, run_id: RunId, wait: Wait = None) -> Response:
    """Read the whole result: output, messages, files, usage. Before the end that is 409.

    With `Prefer: wait=N` the request waits for up to N seconds until the run has ended or waits
    for a person.
    """
    preference = call.wait_preference(wait)
    if preference.timeout is not None:
        await call.until(call.service.wait(call.tenant, run_id, timeout=preference.timeout))
    result = await call.service.result(call.tenant, run_id)
    return json_answer(result, headers=preference.applied)


@router.post(
    "/v1/runs/{run_id}/cancel",
    operation_id="cancelRun",
    summary="Cancel a run",
    responses={
        200: answer("The run is cancelled.", Run, "RunCancelled", "ETag"),
        202: answer(
            "The run will be cancelled; its owner is notified.",
            Run,
            "RunCancelling",
            "ETag",
            "Retry-After",
        ),
        **problems(*BODY, InvalidIdempotencyKey, RunNotFound, RunEnded),
    },
    openapi_extra={
        "requestBody": takes(CancelRequest, "Cancel", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def cancel_run(
    call: RunWriter,
    run_id: RunId,
    request: Annotated[CancelRequest, Depends(JsonBody(CancelRequest, optional=True))],
) -> Response:
    """End a run. Repeating it changes nothing; a run that has ended otherwise answers 409.

    With `graceful` no more calls start, those in progress complete and are recorded, and then the
    run is `cancelled`. `now` after that interrupts them.
    """
    call.idempotency_key()  # only validated: a cancel is safe to repeat without it
    run = await call.service.cancel(call.tenant, run_id, reason=request.reason, mode=request.mode)
    if has_ended(run):
        return run_answer(call, run)
    return run_answer(call, run, status=202, headers=RETRY_SOON)
