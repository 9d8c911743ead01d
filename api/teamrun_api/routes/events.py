"""`/v1/runs/{run_id}/events`: one log of events in three forms, chosen by `Accept`."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from teamrun.errors import RunNotFound, UnreadableEntry
from teamrun.runs.service.follow import Start
from teamrun.runs.service.news import DELTA, frame
from teamrun.runs.service.resources import EventPage
from teamrun_api.answers import json_answer
from teamrun_api.context import Api
from teamrun_api.declare import LAST_EVENT_ID, content, problems
from teamrun_api.dependencies import RunId, RunReader
from teamrun_api.event_ids import seq_of, start_after
from teamrun_api.faults import NotAcceptable
from teamrun_api.methods import HEAD_FLAG
from teamrun_api.negotiation import choose
from teamrun_api.sse import EventStream, retry_frame

__all__ = ["router"]

JSON = "application/json"
LINES = "application/x-ndjson"
STREAM = "text/event-stream"

_TYPES = re.compile(r"[a-z]+(\.[a-z_]+)+(,[a-z]+(\.[a-z_]+)+)*")

_LINES_PAGE = 1000

router = APIRouter(tags=["events"], default_response_class=Response)


class _End(BaseModel):
    """The data of the frame `end`."""

    run_id: str
    status: str


class _Log(NamedTuple):
    """The requested events of a run."""

    api: Api
    tenant: str
    run_id: str
    after: int
    types: frozenset[str] | None

    def wants(self, kind: str) -> bool:
        if kind == DELTA and self.api.settings.buffered:
            return False  # between two requests, pieces of the text would be missing
        return self.types is None or kind in self.types


@router.get(
    "/v1/runs/{run_id}/events",
    operation_id="readRunEvents",
    summary="Read or follow the events of a run",
    responses={
        200: content(
            "The events: a page, all present events as lines, or a stream to the end of the run.",
            {
                JSON: ({"$ref": "#/components/schemas/EventPage"}, "Events"),
                LINES: ({"type": "string"}, "EventLines"),
                STREAM: ({"type": "string"}, "EventStream"),
            },
        ),
        204: {
            "description": "The run has ended and `Last-Event-ID` is its last event: a browser"
            " stops connecting."
        },
        **problems(RunNotFound, NotAcceptable, UnreadableEntry),
    },
    openapi_extra={"parameters": [LAST_EVENT_ID]},
)
async def read_events(
    call: RunReader,
    run_id: RunId,
    after: Annotated[
        str | None,
        Query(
            max_length=128,
            description="Only events after this one: an event id, or its `seq`.",
            examples=["run_01jd8v3m7q-12"],
        ),
    ] = None,
    types: Annotated[
        str | None,
        Query(
            max_length=1024,
            pattern=f"^{_TYPES.pattern}$",
            description="Only events of these types, separated by commas.",
            examples=["run.completed,message.created"],
        ),
    ] = None,
    limit: Annotated[
        int, Query(ge=1, le=1000, description="Maximum number of events; JSON pages only.")
    ] = 100,
) -> Response:
    """Read events in the form that `Accept` names.

    - `application/json`: a page; continue with `after` = `next_cursor`.
    - `application/x-ndjson`: all present events, one per line.
    - `text/event-stream`: all present events, then each as it happens, to `event: end`. The `id`
      of a frame is the event's; sent back as `Last-Event-ID` it resumes the stream there, for as
      long as the run is kept, and answers 204 if nothing is left. `message.delta` frames are
      pieces of text on their way and have no id. If `server.streaming` of `/v1/info` is false,
      the response ends after the first events, or after 20 seconds: send the request again.
    """
    start = start_after(call.header("last-event-id"), run_id, after)
    wanted = frozenset(types.split(",")) if types else None
    log = _Log(call.api, call.tenant, run_id, start, wanted)
    # HEAD is answered as the page is: it opens no stream.
    head = HEAD_FLAG in call.request.scope["state"]
    form = JSON if head else choose(call.header("accept"), (JSON, LINES, STREAM))
    if form == STREAM:
        return await _stream(log, resumed=call.header("last-event-id") is not None)
    page = await call.service.events(
        call.tenant,
        run_id,
        after=start,
        limit=limit if form == JSON else _LINES_PAGE,
        types=wanted,
    )
    if form == LINES:
        return EventStream(
            _lines(log, page), api=call.api, media_type=LINES, ping=None, headers=_VARY
        )
    return json_answer(page, headers=_VARY)


_VARY = {"Vary": "Accept"}


async def _stream(log: _Log, *, resumed: bool) -> Response:
    # The log is read first: a stream that has begun cannot answer 404 or 409 any more.
    start = await log.api.service.start(log.tenant, log.run_id, after=log.after)
    if resumed and start.has_ended and not await _is_anything_left(log):
        return Response(status_code=204, headers=_VARY)
    return EventStream(_frames(log, start), api=log.api, headers=_VARY)


async def _is_anything_left(log: _Log) -> bool:
    page = await log.api.service.events(
        log.tenant, log.run_id, after=log.after, limit=1, types=log.types
    )
    return bool(page.data)


async def _frames(log: _Log, start: Start) -> AsyncGenerator[bytes, None]:
    yield retry_frame(log.api)
    last, status = log.after, None
    async with aclosing(log.api.service.news(start)) as batches:
        async for batch in batches:
            pieces = [piece for news in batch for piece in news.pieces]
            if frames := [piece.frame for piece in pieces if log.wants(piece.type)]:
                yield b"".join(frames)
            last = max((piece.seq for piece in pieces if piece.seq is not None), default=last)
            status = batch[-1].status if batch else None
    if status is not None:
        # The id of the last event: a browser connects again after the end, and is answered 204.
        end = _End(run_id=log.run_id, status=status).model_dump_json().encode()
        yield frame(end, event="end", event_id=f"{log.run_id}-{last}")


async def _lines(log: _Log, page: EventPage) -> AsyncGenerator[bytes, None]:
    while True:
        if page.data:
            lines = (event.model_dump_json(by_alias=True) for event in page.data)
            yield "".join(f"{line}\n" for line in lines).encode()
        if not (page.has_more and page.next_cursor):
            return
        page = await log.api.service.events(
            log.tenant,
            log.run_id,
            after=seq_of(page.next_cursor, log.run_id),
            limit=_LINES_PAGE,
            types=log.types,
        )
