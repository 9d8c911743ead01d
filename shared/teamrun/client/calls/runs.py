"""Calls of `/v1/runs` that create, read, follow and delete runs; `signals.py` has the others."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Literal, TypeVar, Unpack

from pydantic import TypeAdapter

from teamrun.client.building import delete, get, given, json_of, path_of, post, query_of
from teamrun.client.calls.run_options import RunOptions, Task, Team, task_of, team_of
from teamrun.client.requests import Paged, Reply, Request, ServerSentEvent, Streamed
from teamrun.core.tolerance import read_tolerantly
from teamrun.runs.log.output import RunResult
from teamrun.runs.log.status import RunStatus
from teamrun.runs.service.resources import Delta, Event, EventPage, Run, RunPage

__all__ = [
    "delete_run",
    "events",
    "get_run",
    "list_runs",
    "poll_run",
    "read_message",
    "result",
    "run_of",
    "stream",
    "stream_frames",
    "submit",
]

T = TypeVar("T")

run_of = json_of(Run)
_PAGE = json_of(RunPage)
_EVENTS = json_of(EventPage)
_RESULT = json_of(RunResult)
_EVENT = TypeAdapter(Event)
_DELTA = TypeAdapter(Delta)


def submit(
    team: Team,
    input: Task,
    *,
    idempotency_key: str | None = None,
    wait_seconds: float = 0,
    **options: Unpack[RunOptions],
) -> Request[Run]:
    """Submit a run. It is durable when this returns.

    Args:
        team: The name of a registered team, or a definition.
        input: The task.
        idempotency_key: Repeating a submit with the same key returns the same run. Without it each
            call has a random key of its own, so that its retries create one run.
        wait_seconds: Return only when the run has ended, or waits for a person, or this time is
            over.
        **options: Fields of `RunOptions`.
    """
    body = {**team_of(team), "input": task_of(input), **given(**options)}
    return post(
        path_of("runs"), run_of, body, idempotency_key=idempotency_key, wait_seconds=wait_seconds
    )


def get_run(run_id: str) -> Request[Run]:
    """Read the current state of a run."""
    return get(path_of("runs", run_id), run_of)


def poll_run(
    run_id: str, *, wait_seconds: float, after_revision: int | None = None
) -> Request[Run | None]:
    """Read a run when it has ended or waits for a person, at the latest after some time.

    Args:
        run_id: The run.
        wait_seconds: The time; the server may grant less.
        after_revision: Return at the next change after this `revision` instead. The result is None
            if nothing has changed.
    """
    known = {} if after_revision is None else {"If-None-Match": f'"r{after_revision}"'}
    return get(
        path_of("runs", run_id),
        _changed,
        headers=known,
        wait_seconds=wait_seconds,
        is_long_poll=True,
    )


def list_runs(
    *,
    status: RunStatus | None = None,
    team: str | None = None,
    tag: str | None = None,
    metadata: Mapping[str, str] | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    order: Literal["asc", "desc"] | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> Paged[Run]:
    """List runs, newest first. Iterating the result reads page after page.

    Args:
        status: Only runs with this status.
        team: Only runs of this team.
        tag: Only runs with this tag.
        metadata: Only runs with these pairs.
        created_after: Only runs created after this time.
        created_before: Only runs created before this time.
        order: `asc` lists the oldest first.
        limit: The number of runs per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    query = {
        "status": status,
        "team": team,
        "tag": tag,
        "created_after": created_after,
        "created_before": created_before,
        "order": order,
        "limit": limit,
        "after": after,
        **{f"metadata[{key}]": value for key, value in (metadata or {}).items()},
    }
    return Paged(get(path_of("runs"), _PAGE, query=query))


def result(run_id: str, *, wait_seconds: float = 0) -> Request[RunResult]:
    """Read the whole result of an ended run: output, messages, files, usage.

    Args:
        run_id: The run.
        wait_seconds: How long to wait for the end; the server's limit is 60 by default.
    """
    return get(path_of("runs", run_id, "result"), _RESULT, wait_seconds=wait_seconds)


def events(
    run_id: str,
    *,
    after: str | int | None = None,
    types: Iterable[str] | None = None,
    limit: int | None = None,
) -> Paged[Event]:
    """Read the events that a run has so far. Iterating the result reads page after page.

    Args:
        run_id: The run.
        after: Only events after this one: its id or its `seq`.
        types: Only events of these types.
        limit: The number of events per page, up to 1000.
    """
    query = {"after": after, "types": _joined(types), "limit": limit}
    return Paged(get(path_of("runs", run_id, "events"), _EVENTS, query=query))


def stream(
    run_id: str, *, after: str | int | None = None, types: Iterable[str] | None = None
) -> Streamed[Event | Delta]:
    """Follow a run: the events so far, then each as it happens, to the end of the run.

    An interrupted stream is resumed after the last event that has arrived. Deltas are pieces of
    text; they are live only, and are not sent again.

    Args:
        run_id: The run.
        after: Only events after this one: its id or its `seq`.
        types: Only events of these types; deltas are `message.delta`.
    """
    return _stream(run_id, read_message, after, types)


def stream_frames(
    run_id: str, *, after: str | int | None = None, types: Iterable[str] | None = None
) -> Streamed[ServerSentEvent]:
    """The same as `stream`, with the frames as they arrive; `read_message` reads one."""
    return _stream(run_id, lambda frame: frame, after, types)


def delete_run(run_id: str) -> Request[None]:
    """Delete a run that has ended, with its events, result and files."""
    return delete(path_of("runs", run_id))


def read_message(event: ServerSentEvent) -> Event | Delta:
    """The message in a frame of the stream.

    Raises:
        ValueError: It is not one.
    """
    if event.name == "message.delta":
        return read_tolerantly(_DELTA, event.data)
    return read_tolerantly(_EVENT, event.data)


def _stream(
    run_id: str,
    read: Callable[[ServerSentEvent], T],
    after: str | int | None,
    types: Iterable[str] | None,
) -> Streamed[T]:
    path, query = path_of("runs", run_id, "events"), query_of({"types": _joined(types)})
    return Streamed(path, read, query, None if after is None else str(after))


def _changed(reply: Reply) -> Run | None:
    return None if reply.status == 304 else run_of(reply)


def _joined(types: Iterable[str] | None) -> str | None:
    return None if types is None else ",".join(types)
