"""Reads a log with retries as the log of a single attempt.

A failure that is retried must leave no trace for run code: the failed call is left out, and so are
the events that run code emitted after the failure was delivered. Calls that completed later are
kept, because they were paid for and writes must not be repeated. But without the failure, run code
may take another path, so those calls may no longer be awaited.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import End, Entry, LoggedEvent, Step, Undo, Yield

__all__ = ["halves", "latest_attempt", "undone", "without_end"]


class EndedLog(NamedTuple):
    """The log of an ended run, as it was before its end."""

    before: list[Entry]
    end: Entry
    """It may follow a step that was stored in the same entry."""


def halves(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries, with what followed the outcomes of an entry in an entry of its own.

    In each of them, the events of run code come first, in the order in which it emitted them.
    """
    for entry in entries:
        body = entry.body
        if isinstance(body, Step) and body.followed:
            rest, own = Step(emitted=body.followed), 0
        elif isinstance(body, End) and body.calls:
            alone: JsonObject = {"calls": [], "emitted": body.followed, "followed": 0}
            rest, own = body.model_copy(update=alone), 1
        else:
            yield entry
            continue
        at = len(entry.events) - body.followed - own
        first = Step(calls=body.calls, emitted=body.emitted - body.followed)
        yield replace(entry, events=entry.events[:at], body=first)
        yield replace(entry, seq=entry.seq + at, events=entry.events[at:], body=rest)


def without_end(entries: Sequence[Entry]) -> EndedLog:
    """The log of an ended run, in two parts: what led to its end, and the end."""
    *led, end = halves(entries[-1:])
    return EndedLog([*entries[:-1], *led], end)


def latest_attempt(entries: Iterable[Entry]) -> list[Entry]:
    """The entries as the newest attempt replays them: as they are if nothing was retried."""
    entries = [*entries]
    if not any(isinstance(entry.body, Yield) and entry.body.undo for entry in entries):
        return entries
    latest: list[Entry] = []
    for entry in halves(entries):
        latest.append(entry)
        if isinstance(entry.body, Yield) and entry.body.undo is not None:
            latest = undone(latest, entry.body.undo)
    return latest


def undone(entries: Iterable[Entry], undo: Undo) -> list[Entry]:
    """The entries without a failure that ended an attempt."""
    kept: list[Entry] = []
    left, is_after = undo.said, False
    for entry in entries:
        body = entry.body
        emitted = int(getattr(body, "emitted", 0))
        kept_events = min(emitted, left)
        left -= kept_events
        own = [event for event in entry.events[emitted:] if not _reports_undone(event, undo)]
        if isinstance(body, Step):
            calls = list(body.calls)
            for n, call in enumerate(calls):
                is_after = is_after or call.call_id in undo.calls
                calls[n] = replace(call, unawaited=True) if is_after else call
            calls = [call for call in calls if call.call_id not in undo.calls]
            body = replace(body, calls=calls, emitted=kept_events)
        elif kept_events < emitted:
            body = body.model_copy(update={"emitted": kept_events})
        kept.append(replace(entry, events=[*entry.events[:kept_events], *own], body=body))
    return kept


def _reports_undone(event: LoggedEvent, undo: Undo) -> bool:
    """Whether the event reports the failure of a call that is left out."""
    if event.type == "run.input_received":
        return event.data["action_id"] in undo.calls and event.data["decision"] == "expired"
    return event.data.get("call_id") in undo.calls and event.type.endswith(".failed")
