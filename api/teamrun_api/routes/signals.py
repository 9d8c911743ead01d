"""`/v1/runs/{run_id}/input`, `/messages`, `/pause`, `/resume`: signals to a run."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from teamrun.errors import (
    IdempotencyConflict,
    NoSuchPoint,
    RunEnded,
    RunNotFound,
    StaleAction,
    UnfitAnswer,
)
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.service.requests import Answer
from teamrun.runs.service.resources import Run
from teamrun.runs.service.signals import SignalResult
from teamrun_api.answers import run_answer
from teamrun_api.bodies import JsonBody
from teamrun_api.context import Call
from teamrun_api.declare import BODY, IDEMPOTENCY_KEY, Responses, answer, problems, takes
from teamrun_api.dependencies import RunId, RunWriter
from teamrun_api.faults import InvalidIdempotencyKey
from teamrun_api.schemas import PauseRequest, ResumeRequest

__all__ = ["router"]

router = APIRouter(tags=["runs"], default_response_class=Response)

_RETRY_SOON = {"Retry-After": "1"}

_REFUSED = (*BODY, InvalidIdempotencyKey, RunNotFound, RunEnded)


def _accepted(description: str, example: str, *headers: str) -> Responses:
    return {202: answer(description, Run, example, "ETag", "Retry-After", *headers)}


@router.post(
    "/v1/runs/{run_id}/input",
    operation_id="answerRun",
    summary="Answer a question of a run",
    status_code=202,
    responses={
        **_accepted(
            "The answer is durable, and the run continues.",
            "RunAnswered",
            "Idempotency-Replayed",
        ),
        **problems(*_REFUSED, StaleAction, UnfitAnswer, IdempotencyConflict),
    },
    openapi_extra={"requestBody": takes(Answer, "Answer"), "parameters": [IDEMPOTENCY_KEY]},
)
async def answer_run(
    call: RunWriter, run_id: RunId, request: Annotated[Answer, Depends(JsonBody(Answer))]
) -> Response:
    """Answer one of the run's `required_actions`.

    An approval takes `approve` or `reject`; a question takes `content`, or `data` if it has a
    schema. The response is 409 if the question is not open.
    """
    key = call.idempotency_key()
    return _reply(
        call, await call.service.answer(call.tenant, run_id, request, idempotency_key=key)
    )


@router.post(
    "/v1/runs/{run_id}/messages",
    operation_id="speakToRun",
    summary="Send a message to the team of a run",
    status_code=202,
    responses={
        **_accepted(
            "The message is durable; the team receives it before its next turn.",
            "RunRunning",
            "Idempotency-Replayed",
        ),
        **problems(*_REFUSED, IdempotencyConflict),
    },
    openapi_extra={"requestBody": takes(InputMessage, "Message"), "parameters": [IDEMPOTENCY_KEY]},
)
async def speak_to_run(
    call: RunWriter,
    run_id: RunId,
    request: Annotated[InputMessage, Depends(JsonBody(InputMessage))],
) -> Response:
    """Send a message that the team receives before its next turn.

    A message that arrives too late is in the `unread` of the ended run.
    """
    key = call.idempotency_key()
    return _reply(call, await call.service.speak(call.tenant, run_id, request, idempotency_key=key))


@router.post(
    "/v1/runs/{run_id}/pause",
    operation_id="pauseRun",
    summary="Pause a run",
    status_code=202,
    responses={
        **_accepted("The run is paused, or will be when its calls have ended.", "RunPaused"),
        **problems(*_REFUSED),
    },
    openapi_extra={
        "requestBody": takes(PauseRequest, "Nothing", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
    dependencies=[Depends(JsonBody(PauseRequest, optional=True))],
)
async def pause_run(call: RunWriter, run_id: RunId) -> Response:
    """Start no more calls; those in progress complete. Repeating it changes nothing."""
    call.idempotency_key()  # only validated: a pause is safe to repeat without it
    run = await call.service.pause(call.tenant, run_id)
    return run_answer(call, run, status=202, headers=_RETRY_SOON)


@router.post(
    "/v1/runs/{run_id}/resume",
    operation_id="resumeRun",
    summary="Resume a paused run",
    status_code=202,
    responses={
        **_accepted("The run continues.", "RunResumed"),
        **problems(*_REFUSED, NoSuchPoint),
    },
    openapi_extra={
        "requestBody": takes(ResumeRequest, "Resume", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def resume_run(
    call: RunWriter,
    run_id: RunId,
    request: Annotated[ResumeRequest, Depends(JsonBody(ResumeRequest, optional=True))],
) -> Response:
    """Continue a paused run, and change the limits that are given; the others stay.

    Limits are changed for a run that is not paused, too. Repeating it changes nothing.
    """
    call.idempotency_key()
    run = await call.service.resume(
        call.tenant, run_id, limits=request.limits, anew=request.from_ == "start"
    )
    return run_answer(call, run, status=202, headers=_RETRY_SOON)


def _reply(call: Call, heard: SignalResult) -> Response:
    replayed = {"Idempotency-Replayed": "true"} if heard.replayed else {}
    return run_answer(call, heard.run, status=202, headers={**_RETRY_SOON, **replayed})
