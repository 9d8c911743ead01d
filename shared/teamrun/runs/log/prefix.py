"""Runs that continue from a point of another run: forks and retries.

Entry 0 of the child names a blob with its prefix, the part of the parent's log that it shares. A
replay delivers the prefix first, so none of its calls is made again. Its events are renumbered and
come first among the child's events. Claims, cancels and limits of the parent are left out.
"""

from collections.abc import Iterable
from dataclasses import replace

from pydantic import ConfigDict, TypeAdapter, ValidationError

from teamrun.errors import DamagedBlob, NoSuchPoint
from teamrun.runs.log.attempts import halves, latest_attempt, undone
from teamrun.runs.log.entries import (
    Accepted,
    Claim,
    End,
    Entry,
    Intent,
    LoggedEvent,
    Prefix,
    Signal,
    Step,
    Wait,
    Yield,
    calls_of,
)
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.spec import InputMessage

__all__ = [
    "cut_at",
    "read_prefix",
    "turns_of",
    "with_message",
    "without_failure",
    "write_prefix",
]

_ENTRIES = TypeAdapter(list[Entry], config=ConfigDict(defer_build=True, serialize_by_alias=True))

_OWN = ("run.", "limit.")

_SHARED = ("run.input_required", "run.input_received")


def cut_at(entries: Iterable[Entry], after_seq: int) -> list[Entry]:
    """The part of a log up to one of its events, as the prefix of a child."""
    kept = [entry for entry in halves(entries) if entry.seq <= after_seq]
    kept[-1] = _trimmed(kept[-1], after_seq)
    return _shared(_before_open_intent(latest_attempt(kept)))


def without_failure(entries: list[Entry]) -> list[Entry]:
    """A failed run's log without the calls whose failure ended it.

    Raises:
        NoSuchPoint: The run did not fail because of a call.
    """
    end = entries[-1].body
    if not isinstance(end, End) or end.undo is None:
        raise NoSuchPoint(
            "The run did not fail because of a call, so it cannot continue from there; use "
            "'start'.",
            pointer="/from",
        )
    last = replace(entries[-1], body=Step(emitted=end.emitted))
    attempt = latest_attempt(halves([*entries[:-1], last]))
    return _shared(_before_open_intent(undone(attempt, end.undo)))


async def write_prefix(log: RunLog, entries: list[Entry], parent: RunLog) -> Prefix:
    """Store a prefix and its artifacts beside the child's log."""
    calls = [call for entry in entries for call in calls_of(entry.body)]
    artifacts = [artifact for call in calls for artifact in call.artifacts]
    for digest in {artifact.sha256 for artifact in artifacts}:
        await log.put_blob(await parent.get_blob(digest))
    return Prefix(
        blob=await log.put_blob(_ENTRIES.dump_json(entries)),
        emitted=sum(entry.body.emitted for entry in entries if isinstance(entry.body, Step)),
        artifacts=artifacts,
        scripted=any(call.scripted for call in calls),
    )


async def read_prefix(log: RunLog, entries: list[Entry]) -> list[Entry]:
    """The prefix of a run; empty for a run without a parent.

    Raises:
        UnreadableEntry: The prefix is missing or damaged.
    """
    accepted = entries[0].body
    if not isinstance(accepted, Accepted) or accepted.prefix is None:
        return []
    try:
        data = await log.get_blob(accepted.prefix.blob)
        log.size += len(data)
        return _ENTRIES.validate_json(data)
    except (ValidationError, DamagedBlob) as error:
        raise log.unreadable(0, "names shared entries that cannot be read") from error


def with_message(entries: list[Entry], given: str | InputMessage) -> list[Entry]:
    """A prefix with a message to the team, in time for its next turn.

    The message comes before the last entry that run code continues from, which leads to that turn.
    Steps after that entry are left out: run code emits their events again, and may then take
    another path.
    """
    message = InputMessage(content=given) if isinstance(given, str) else given
    driving = [n for n, entry in enumerate(entries) if _drives(entry)]
    at = driving[-1] if driving else len(entries)
    signal = Signal(signal="message", content=message.content, source=message.source)
    addition = replace(entries[at - 1], n=0, events=[], body=signal)
    rest = [entry for entry in entries[at + 1 :] if not isinstance(entry.body, Step)]
    return [*entries[:at], addition, *entries[at : at + 1], *rest]


def turns_of(entries: Iterable[Entry]) -> int:
    """The number of turns that have started in a prefix."""
    return sum(event.type == "turn.started" for entry in entries for event in entry.events)


def _drives(entry: Entry) -> bool:
    """Whether run code continues when the entry is delivered."""
    match entry.body:
        case Claim():
            return True
        case Step():
            return bool(entry.body.calls)
        case Signal():
            return entry.body.signal == "input"
        case _:
            return False


def _trimmed(entry: Entry, after_seq: int) -> Entry:
    """The entry without the events after that number, and without the calls that they report."""
    kept, body = entry.events[: after_seq - entry.seq + 1], entry.body
    match body:
        case Step():
            reported = {
                event.data.get("call_id") or event.data.get("action_id")
                for event in kept[body.emitted :]
                if event.type.endswith((".completed", ".failed", ".input_received"))
            }
            calls = [call for call in body.calls if call.call_id in reported]
            emitted = min(body.emitted, len(kept))
            return replace(entry, events=kept, body=Step(calls=calls, emitted=emitted))
        case Intent() | Wait() | Yield():
            emitted = min(body.emitted, len(kept))
            return replace(entry, events=kept, body=body.model_copy(update={"emitted": emitted}))
        case _:
            return entry


def _before_open_intent(entries: list[Entry]) -> list[Entry]:
    """The entries before the first intent without an outcome.

    Otherwise the child could not know whether that call has taken effect.
    """
    begun = dict[str, int]()
    for n, entry in enumerate(entries):
        if isinstance(entry.body, Intent):
            begun.update(dict.fromkeys(entry.body.calls, n))
        for call in calls_of(entry.body):
            begun.pop(call.call_id, None)
    return entries[: min(begun.values(), default=len(entries))]


def _shared(entries: list[Entry]) -> list[Entry]:
    """The entries as the child shares them, with the events renumbered."""
    shared: list[Entry] = []
    claimed, seq = False, 1
    for entry in entries:
        if isinstance(entry.body, Claim) and claimed:
            continue
        claimed = claimed or isinstance(entry.body, Claim)
        given = _given(entry)
        if given is not None:
            shared.append(replace(given, n=0, seq=seq))
            seq += len(given.events)
    return shared


def _given(entry: Entry) -> Entry | None:
    body = entry.body
    match body:
        case Accepted() | Claim():
            return replace(entry, events=[])
        case Step():
            return replace(entry, events=_kept(entry.events))
        case Intent() | Wait() | Yield():
            events = entry.events[: body.emitted]
            return replace(entry, events=events, body=Step(emitted=len(events)))
        case Signal() if body.signal in ("input", "message"):
            return replace(entry, events=_kept(entry.events))
        case _:
            return None


def _kept(events: list[LoggedEvent]) -> list[LoggedEvent]:
    return [e for e in events if not e.type.startswith(_OWN) or e.type in _SHARED]
