"""`/v1/batches/{batch_id}/events`: a page of events, or a stream to the end of the batch."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from teamrun.batches.entries import FINAL
from teamrun.batches.resources import BatchEvent
from teamrun.errors import (
    BatchNotFound,
)
from teamrun.runs.service.news import frame
from teamrun_api.answers import json_answer
from teamrun_api.batch_parts import BatchId, rooted_batch
from teamrun_api.context import Call
from teamrun_api.declare import (
    LAST_EVENT_ID,
    content,
    problems,
)
from teamrun_api.dependencies import RunReader
from teamrun_api.event_ids import start_after
from teamrun_api.faults import NotAcceptable
from teamrun_api.methods import HEAD_FLAG
from teamrun_api.negotiation import choose
from teamrun_api.sse import EventStream, Quiet, retry_frame

__all__ = ["router"]

router = APIRouter(tags=["batches"], default_response_class=Response)

JSON, STREAM = "application/json", "text/event-stream"


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
    yield retry_frame(call.api)
    status, last = "", after
    follow = call.batches.follow(call.tenant, batch_id, after=after)
    async with aclosing(follow) as changes:
        async for events, batch in changes:
            frames = [_frame_of(event) for event in events]
            data = rooted_batch(call, batch).model_dump_json(by_alias=True).encode()
            chunk = b"".join([*frames, frame(data, event="batch")])
            # A client that continues has seen the batch already, so only a change is news.
            is_known = after and not frames and not status
            yield Quiet(chunk) if is_known else chunk
            status, last = batch.status, events[-1].seq if events else last
    end = f'{{"batch_id":"{batch_id}","status":"{status}"}}'.encode()
    yield frame(end, event="end", event_id=f"{batch_id}-{last}")


def _frame_of(event: BatchEvent) -> bytes:
    data = event.model_dump_json(by_alias=True).encode()
    return frame(data, event=event.type, event_id=event.id)
