"""What lies beside the log of an ended run: its result, and all its events in one object.

Both are derived from the log; whoever finds an ended run without them makes them.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import to_json

from teamrun.core.refs import RunRef
from teamrun.errors import UnreadableEntry
from teamrun.runs.entries import End, ErrorRecord, WrittenEvents, read_entry, read_events
from teamrun.runs.fold import RunState
from teamrun.runs.keys import created_at, events_key, open_marker, result_key
from teamrun.runs.log import RunLog
from teamrun.runs.public import Output, Run, RunResult, UnreadablePlace
from teamrun.runs.spec import TeamRef
from teamrun.storage.base import ObjectStore

__all__ = ["events_of", "output_of", "public_run", "settle", "unreadable_run"]


def events_of(ref: RunRef, documents: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The events of log entries, as clients see them."""
    for entry in documents:
        for seq, event in enumerate(entry["events"], entry["seq"]):
            yield {
                "id": f"{ref.run_id}-{seq}",
                "seq": seq,
                "type": event["type"],
                "time": entry["at"],
                "run_id": ref.run_id,
                "agent": event["agent"],
                "data": event["data"],
            }


def output_of(state: RunState) -> Output | None:
    """What an ended run produced."""
    if state.end is None or state.end.output is None:
        return None
    return Output.model_validate(state.end.output)


def public_run(state: RunState) -> Run:
    """A run as clients see it."""
    spec, end = state.spec, state.end
    return Run(
        id=spec.run_id,
        status=state.status,
        stop_reason=end.stop_reason if end else None,
        stop_code=end.stop_code if end else None,
        revision=state.entries,
        team=spec.team,
        input=spec.input,
        output=output_of(state),
        error=end.error if end else None,
        required_actions=state.actions if end is None else [],
        unread=end.unread if end else [],
        unknown_outcomes=state.unknown,
        attempt=state.attempts,
        epoch=state.epoch,
        progress=state.progress,
        usage=state.usage,
        scripted=state.scripted,
        limits=state.limits,
        parent_run_id=spec.parent_run_id,
        forked_from=spec.forked_from,
        created_at=spec.created_at,
        queued_at=None if state.status == "scheduled" else spec.run_at or spec.created_at,
        run_at=spec.run_at,
        expires_at=spec.expires_at,
        deadline=spec.deadline,
        started_at=state.started_at,
        finished_at=state.finished_at,
        artifacts_count=len({artifact.name for artifact in state.artifacts}),
        urls=_urls(spec.run_id),
        metadata=spec.metadata,
        tags=spec.tags,
    )


async def unreadable_run(log: RunLog, error: UnreadableEntry) -> Run:
    """A run whose log cannot be read, as clients see it: what its first entry says, if anything."""
    run_id = log.ref.run_id
    shown = Run(
        id=run_id,
        status="unreadable",
        revision=0,
        team=TeamRef(name="", digest=""),
        input="",
        created_at=created_at(run_id),
    )
    with contextlib.suppress(UnreadableEntry):
        first = await log.read_next(0)
        state = None if first is None else log.folded([first])
        shown = shown if state is None else public_run(state)
    own: dict[str, Any] = {
        "status": "unreadable",
        "revision": 0,
        "error": ErrorRecord(type="UnreadableEntry", code=error.code, message=error.message),
        "unreadable": UnreadablePlace(entry=error.entry, key=error.key),
        "urls": _urls(run_id),
    }
    return shown.model_copy(update=own)


def _urls(run_id: str) -> dict[str, str]:
    own = f"/v1/runs/{run_id}"
    parts = (
        "events",
        "result",
        "artifacts",
        "cancel",
        "input",
        "pause",
        "resume",
        "messages",
        "retry",
        "fork",
    )
    return {"self": own, **{part: f"{own}/{part}" for part in parts}}


def _result_json(state: RunState, messages: list[bytes]) -> bytes:
    """The result document of an ended run."""
    assert state.end is not None and state.finished_at is not None
    result = RunResult(
        run_id=state.spec.run_id,
        status=state.end.status,
        stop_reason=state.end.stop_reason,
        stop_code=state.end.stop_code,
        output=output_of(state),
        error=state.end.error,
        usage=state.usage,
        scripted=state.scripted,
        finished_at=state.finished_at,
        artifacts=state.artifacts,
    )
    document = to_json(result)
    assert document.endswith(b'"messages":[]}')
    return b"".join((document[:-2], b",".join(messages), b"]}"))


def _events_in(log: RunLog, data: bytes, *, n: int, seq: int) -> WrittenEvents:
    try:
        written = read_events(data)
    except (ValueError, KeyError, TypeError) as error:
        raise log.unreadable(n) from error
    if written.seq != seq:
        raise log.unreadable(n)
    return written


_MESSAGE_CREATED = b'{"type":"message.created",'
_MESSAGE = b'"data":{"message":'


def _message_in(event: bytes) -> bytes | None:
    """The message that an event tells of, as it is written in the event."""
    if not event.startswith(_MESSAGE_CREATED):
        return None
    return event[event.index(_MESSAGE) + len(_MESSAGE) : -2]


async def settle(store: ObjectStore, log: RunLog, state: RunState) -> None:
    """Write the derived objects of an ended run, and take its marker away.

    What the log holds is copied, not read and written again: that would be a fifth of the cost of
    a whole run.

    Raises:
        Unavailable: Storage does not answer; the marker is still there, so it is tried again.
        UnreadableEntry: The log was damaged since it was folded; nothing is written.
    """
    run_id = log.ref.run_id
    lines: list[bytes] = []
    messages: list[bytes] = []
    stored = await log.stored()
    if stored and isinstance(read_entry(stored[0]).body, End):  # it was deleted meanwhile
        await store.delete(open_marker(log.ref))
        return
    if len(stored) != state.entries:
        raise log.unreadable(min(len(stored), state.entries), "is not what it was")
    for n, data in enumerate(stored):
        written = _events_in(log, data, n=n, seq=len(lines) + 1)
        for seq, event in enumerate(written.events, written.seq):
            origin = (
                f'{{"id":"{run_id}-{seq}","seq":{seq},"time":"{written.at}","run_id":"{run_id}",'
            )
            lines.append(b"%s%s\n" % (origin.encode(), event[1:]))
            if message := _message_in(event):
                messages.append(message)
    await store.put(events_key(log.ref), b"".join(lines))
    await store.put(result_key(log.ref), _result_json(state, messages))
    await store.delete(open_marker(log.ref))
