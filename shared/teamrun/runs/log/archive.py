"""The objects beside the log of an ended run: its result and, if asked for, its events.

Both are derived from the log. A missing result is written again when it is read.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from pydantic_core import to_json

from teamrun.core.refs import RunRef
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import WrittenEvents, read_events
from teamrun.runs.log.keys import events_key, open_marker, result_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.output import Output, RunResult
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = [
    "DUTIES",
    "Duty",
    "conclude",
    "events_of",
    "output_of",
    "write_events",
    "write_result",
]


def events_of(ref: RunRef, documents: Iterable[JsonObject]) -> Iterator[JsonObject]:
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


_MESSAGE_CREATED = b'{"type":"message.created",'

_MESSAGE = b'"data":{"message":'


async def _stored_events(log: RunLog, state: RunState) -> list[WrittenEvents]:
    """The events of all entries as they are stored; none if the run is being deleted.

    The stored bytes are copied. Parsing and serializing them again would take a fifth of the cost
    of a whole run.
    """
    entries: list[WrittenEvents] = []
    seq = 1
    for n, data in enumerate(await log.stored(state.entries)):
        try:
            written = read_events(data)
            found = written.seq
        except ValueError as error:
            raise log.unreadable(n) from error
        if found != seq:
            raise log.unreadable(n)
        if n == 0 and written.envelope["kind"] == "end":
            return []
        entries.append(written)
        seq += len(written.events)
    return entries


async def write_result(store: ObjectStore, log: RunLog, state: RunState) -> None:
    """Write `result.json` of an ended run.

    Raises:
        Unavailable: Storage does not respond.
        UnreadableEntry: The log was damaged since it was folded; nothing is written.
    """
    if entries := await _stored_events(log, state):
        messages = [
            event[event.index(_MESSAGE) + len(_MESSAGE) : -2]  # as it is stored
            for written in entries
            for event in written.events
            if event.startswith(_MESSAGE_CREATED)
        ]
        await store.put(result_key(log.ref), _result_json(state, messages))


async def write_events(store: ObjectStore, log: RunLog, state: RunState) -> None:
    """Write `events.jsonl` of an ended run, for programs that read the store.

    Raises:
        Unavailable: Storage does not respond.
        UnreadableEntry: The log was damaged since it was folded; nothing is written.
    """
    run_id = log.ref.run_id
    name = run_id.encode()
    lines: list[bytes] = []
    for written in await _stored_events(log, state):
        place = f'"time":"{written.envelope["at"]}","run_id":"{run_id}",'.encode()
        for seq, event in enumerate(written.events, written.seq):
            lines.append(b'{"id":"%s-%d","seq":%d,%s%s\n' % (name, seq, seq, place, event[1:]))
    if lines:
        await store.put(events_key(log.ref), b"".join(lines))


Duty = Callable[[ObjectStore, RunLog, RunState], Awaitable[None]]
"""A step to perform after the end of a run. It may be performed twice, so it must be idempotent."""


async def _write_result(store: ObjectStore, log: RunLog, state: RunState) -> None:
    """Write the result, but not that of an item of a batch: the batch has it."""
    if state.spec.batch is None:
        await write_result(store, log, state)


DUTIES: tuple[Duty, ...] = (_write_result,)
"""The steps to perform after the end of every run, in this order."""


async def conclude(
    store: ObjectStore, log: RunLog, state: RunState, *, duties: Sequence[Duty] = DUTIES
) -> None:
    """Perform the steps that are due after the end of a run, then delete its marker.

    The reaper sends an ended run again while its marker exists, so no step is lost in a crash.

    Raises:
        Unavailable: Storage does not respond.
        UnreadableEntry: The log was damaged since it was folded.
    """
    for duty in duties:
        await duty(store, log, state)
    await store.delete(open_marker(log.ref))
