"""Invariants of the logs of runs, regardless of faults during their execution.

The numbers are those of the invariants in `docs/design/log.md`'s terms: one end, nothing after it;
every number once; every epoch one more; only the owner of the epoch writes; a call ends once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from teamrun.runs.log.attempts import latest_attempt
from teamrun.runs.log.entries import (
    CallRecord,
    Claim,
    End,
    Entry,
    Intent,
    Step,
    Wait,
    Yield,
    calls_of,
)

__all__ = ["claims_of", "model_calls_of", "violations_of"]

_OWNERS = (Claim, Step, Intent, Wait, Yield)


def violations_of(entries: list[Entry]) -> list[str]:
    """The violations in the log of a run that should have ended."""
    return [
        *_of_the_end(entries),
        *_of_the_order(entries),
        *_of_the_owners(entries),
        *_of_the_calls(entries),
    ]


def claims_of(entries: Iterable[Entry]) -> int:
    """How often the run was begun or taken over."""
    return sum(isinstance(entry.body, Claim) for entry in entries)


def model_calls_of(entries: Iterable[Entry]) -> int:
    """Calls of models whose outcome is in the log."""
    return sum(record.kind == "model" for record in _records(entries))


def _of_the_end(entries: list[Entry]) -> Iterator[str]:
    ends = [entry.n for entry in entries if isinstance(entry.body, End)]
    if ends != [len(entries) - 1]:
        yield f"{len(entries)} entries, ends at {ends}"


def _of_the_order(entries: list[Entry]) -> Iterator[str]:
    seq = 1
    for n, entry in enumerate(entries):
        if entry.n != n:
            yield f"entry {entry.n} in place {n}"
        if entry.seq != seq:
            yield f"entry {n} begins with event {entry.seq}, not {seq}"
        if n and entry.at < entries[n - 1].at:
            yield f"entry {n} is older than the one before"
        seq += len(entry.events)


def _of_the_owners(entries: list[Entry]) -> Iterator[str]:
    epoch, owner = 0, ""
    for entry in entries:
        if isinstance(entry.body, Claim):
            epoch, owner = epoch + 1, entry.body.owner
        if entry.epoch != epoch:
            yield f"entry {entry.n} is of epoch {entry.epoch} in epoch {epoch}"
        if isinstance(entry.body, _OWNERS) and entry.writer != owner:
            yield f"entry {entry.n} was written by {entry.writer}, the owner was {owner}"


def _of_the_calls(entries: list[Entry]) -> Iterator[str]:
    # A call whose failure was undone for another attempt is made once more.
    ended = Counter(record.call_id for record in _records(latest_attempt(entries)))
    begun = Counter(
        call_id
        for entry in entries
        if isinstance(entry.body, Intent)
        for call_id in entry.body.calls
    )
    for counts, what in ((ended, "ended"), (begun, "was intended")):
        yield from (f"{call} {what} {count} times" for call, count in counts.items() if count > 1)


def _records(entries: Iterable[Entry]) -> Iterator[CallRecord]:
    for entry in entries:
        yield from calls_of(entry.body)
