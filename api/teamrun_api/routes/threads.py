"""`/v1/threads`: conversations that runs continue, one after the other."""

from collections.abc import Awaitable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from teamrun.errors import (
    IdempotencyConflict,
    PreconditionFailed,
    ThreadBusy,
    ThreadNotFound,
    UsageError,
)
from teamrun.runs.service.resources import RunPage
from teamrun.threads.requests import ThreadPatch, ThreadRequest
from teamrun.threads.resources import Thread, ThreadMessages, ThreadPage, ThreadSnapshot
from teamrun_api.answers import json_answer, rooted
from teamrun_api.bodies import JsonBody
from teamrun_api.conditional import version_if_given, version_in, version_tag
from teamrun_api.declare import (
    BODY,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_MATCH_OR_ANY,
    answer,
    problems,
    takes,
)
from teamrun_api.dependencies import RunReader, RunWriter, ThreadId
from teamrun_api.faults import InvalidIdempotencyKey, PreconditionRequired
from teamrun_api.queries import wrong_parameter

__all__ = ["router"]

router = APIRouter(tags=["threads"], default_response_class=Response)

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number in a page.")]

After = Annotated[
    str | None, Query(max_length=256, description="`next_cursor` of the page before.")
]


async def _paged(page: Awaitable[T]) -> T:
    """A page; an invalid cursor is an invalid parameter."""
    try:
        return await page
    except ThreadNotFound:
        raise
    except UsageError as error:
        raise wrong_parameter("after", error.message, code="invalid_cursor") from None


def _tagged(
    thread: Thread, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    tag = {"ETag": version_tag(thread.revision)}
    return json_answer(thread, status=status, headers={**tag, **(headers or {})})


@router.post(
    "/v1/threads",
    operation_id="createThread",
    summary="Create a thread",
    status_code=201,
    responses={
        201: answer("The thread.", Thread, "Thread", "Location", "ETag", "Idempotency-Replayed"),
        **problems(*BODY, InvalidIdempotencyKey, IdempotencyConflict),
    },
    openapi_extra={
        "requestBody": takes(ThreadRequest, "CreateThread", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def create_thread(
    call: RunWriter,
    request: Annotated[ThreadRequest, Depends(JsonBody(ThreadRequest, optional=True))],
) -> Response:
    """Create a conversation; runs continue it with `thread_id`."""
    key = call.idempotency_key()
    thread, replayed = await call.threads.create(call.tenant, request, key=key)
    headers = {"Location": call.link(f"/v1/threads/{thread.id}")}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return _tagged(thread, status=201, headers=headers)


@router.get(
    "/v1/threads",
    operation_id="listThreads",
    summary="List threads",
    responses={200: answer("A page of threads.", ThreadPage, "Threads"), **problems()},
)
async def list_threads(call: RunReader, limit: Limit = 20, after: After = None) -> Response:
    """List the threads of the tenant, the newest first."""
    return json_answer(await _paged(call.threads.list(call.tenant, limit=limit, after=after)))


@router.get(
    "/v1/threads/{thread_id}",
    operation_id="getThread",
    summary="Read a thread",
    responses={
        200: answer("The thread.", Thread, "Thread", "ETag"),
        **problems(ThreadNotFound),
    },
)
async def get_thread(call: RunReader, thread_id: ThreadId) -> Response:
    """Read a thread: whether a run is active, and which runs wait for it."""
    return _tagged(await call.threads.get(call.tenant, thread_id))


@router.patch(
    "/v1/threads/{thread_id}",
    operation_id="updateThread",
    summary="Change a thread",
    responses={
        200: answer("The thread.", Thread, "Thread", "ETag"),
        **problems(*BODY, ThreadNotFound, PreconditionFailed, PreconditionRequired),
    },
    openapi_extra={"requestBody": takes(ThreadPatch, "UpdateThread"), "parameters": [IF_MATCH]},
)
async def update_thread(
    call: RunWriter,
    thread_id: ThreadId,
    request: Annotated[ThreadPatch, Depends(JsonBody(ThreadPatch))],
) -> Response:
    """Replace the metadata of a thread; `If-Match` is required."""
    revision = version_in(call.header("if-match"))
    return _tagged(await call.threads.update(call.tenant, thread_id, request, revision=revision))


@router.delete(
    "/v1/threads/{thread_id}",
    operation_id="deleteThread",
    summary="Delete a thread",
    status_code=204,
    responses={
        204: {"description": "The thread is gone."},
        **problems(ThreadNotFound, ThreadBusy, PreconditionFailed),
    },
    openapi_extra={"parameters": [IF_MATCH_OR_ANY]},
)
async def delete_thread(call: RunWriter, thread_id: ThreadId) -> Response:
    """Delete a thread without an active run. Its runs are kept, and can be deleted on their own."""
    revision = version_if_given(call.header("if-match"))
    await call.threads.delete(call.tenant, thread_id, revision=revision)
    return Response(status_code=204)


@router.get(
    "/v1/threads/{thread_id}/messages",
    operation_id="listThreadMessages",
    summary="Read the conversation of a thread",
    responses={
        200: answer("A page of messages.", ThreadMessages, "ThreadMessages"),
        **problems(ThreadNotFound),
    },
)
async def list_thread_messages(
    call: RunReader, thread_id: ThreadId, limit: Limit = 100, after: After = None
) -> Response:
    """List the messages of all runs of the thread, the oldest first.

    Runs that a `rollback` has taken out are left out. Of an unreadable run, only the id is given.
    """
    page = call.threads.messages(call.tenant, thread_id, limit=limit, after=after)
    return json_answer(await _paged(page))


@router.get(
    "/v1/threads/{thread_id}/runs",
    operation_id="listThreadRuns",
    summary="List the runs of a thread",
    responses={
        200: answer("A page of runs.", RunPage, "Runs"),
        **problems(ThreadNotFound),
    },
)
async def list_thread_runs(
    call: RunReader, thread_id: ThreadId, limit: Limit = 20, after: After = None
) -> Response:
    """List the runs of a thread, the newest first."""
    page = await _paged(call.threads.runs(call.tenant, thread_id, limit=limit, after=after))
    return json_answer(page.model_copy(update={"data": [rooted(call, run) for run in page.data]}))


@router.get(
    "/v1/threads/{thread_id}/state",
    operation_id="getThreadState",
    summary="Read the state of a thread",
    responses={
        200: answer("The state.", ThreadSnapshot, "ThreadState"),
        **problems(ThreadNotFound),
    },
)
async def get_thread_state(call: RunReader, thread_id: ThreadId) -> Response:
    """Read the state from which the next run continues, as `save_state` of the team returns it."""
    return json_answer(await call.threads.snapshot(call.tenant, thread_id))
