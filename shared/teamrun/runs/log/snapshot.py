"""Snapshots: a long run as it was after one of its entries, so that few entries have to be read.

A snapshot has the state of the run and, as JSON data, that of its code (`engine/frozen.py`). It is
derived from the log and may be lost at any time. One of another release, of another run, of entries
that the log does not have, or that is damaged counts as none: the whole log is read then.
"""

from hashlib import sha256
from typing import NamedTuple, Self

from pydantic_core import to_json

from teamrun.runs.log.entries import Entry
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.spec import BEHAVIOUR
from teamrun.runs.log.state import RunState
from teamrun.version import VERSION

__all__ = ["SHORT", "Recent", "Snapshot", "next_snapshot", "recent"]

SHORT = 64
"""The number of entries up to which a log has no snapshot."""

_MADE_BY = to_json({"release": VERSION, "behaviour": BEHAVIOUR, "format": 1})


class Snapshot(NamedTuple):
    """A run after `state.entries` entries."""

    state: RunState
    code: bytes
    """The state of run code when it had received the last of these entries, as JSON."""

    def to_json(self) -> bytes:
        """The stored form: a sha256 of the rest, then three lines, each a JSON document."""
        content = b"\n".join((_MADE_BY, self.code, self.state.to_json()))
        return b"\n".join((_digest(content), content))

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Parse the stored form.

        Raises:
            ValueError: It is damaged, or another release wrote it.
        """
        digest, _, content = data.partition(b"\n")
        if digest != _digest(content):
            raise ValueError("the snapshot is damaged")
        made_by, code, state = content.split(b"\n")  # JSON escapes newlines in text
        if made_by != _MADE_BY:
            raise ValueError("another release made the snapshot")
        return cls(RunState.from_json(state), code)

    def is_after(self, entry: Entry) -> bool:
        """Whether this is its last entry: the log may have been restored from an older copy."""
        end = entry.n + 1, entry.epoch, entry.at, entry.seq + len(entry.events)
        state = self.state
        return end == (state.entries, state.epoch, state.at, state.seq)


class Recent(NamedTuple):
    """A log, or its end and the snapshot before it."""

    entries: list[Entry]
    snapshot: Snapshot | None
    """The run before `entries`; None if they are the whole log."""


def next_snapshot(entries: int) -> int:
    """How long a log has to be for the next snapshot after one of so many entries.

    A snapshot contains the whole conversation. The longer it is, the rarer are snapshots, so that
    all of them together cost a constant share of the run: about a fifth of its CPU time.
    """
    return entries + max(SHORT, entries // 2)


async def recent(log: RunLog) -> Recent:
    """Read a log, or only its end if it is long and has a usable snapshot.

    Raises:
        UnreadableEntry: An entry that was read is unreadable.
        Unavailable: Storage does not respond.
    """
    entries = await log.read_if_short(SHORT)
    if entries is not None:
        return Recent(entries, None)
    snapshot = await _read_snapshot(log)
    if snapshot is not None:
        entries = await log.read(snapshot.state.entries - 1)
        if entries and snapshot.is_after(entries[0]):
            return Recent(entries[1:], snapshot)
    return Recent(await log.read(), None)


async def _read_snapshot(log: RunLog) -> Snapshot | None:
    data = await log.get_snapshot()
    if data is None:
        return None
    try:
        snapshot = Snapshot.from_json(data)
    except ValueError:
        return None
    spec = snapshot.state.spec
    if (spec.tenant, spec.run_id) != (log.ref.tenant, log.ref.run_id):
        return None
    # The log may have been deleted, which leaves only its first entry.
    first = await log.read_next(0)
    return snapshot if first is not None and first.body.kind == "accepted" else None


def _digest(content: bytes) -> bytes:
    return sha256(content).hexdigest().encode()
