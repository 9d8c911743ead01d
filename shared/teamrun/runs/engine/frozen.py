"""The state of run code as JSON data, for a snapshot: at a moment at which it awaits nothing.

Run code itself, a coroutine, cannot be stored. Between two turns of the team, however, everything
that its further course depends on is in the team's own state and in the journal. From both, run
code is started in that place instead of at the beginning.
"""

from datetime import datetime
from typing import NamedTuple, cast

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import to_json

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages import BaseChatMessage, MessageFactory
from teamrun.runs.engine.inner_calls import InnerCalls
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.loop import RunLoop
from teamrun.runs.engine.origin import RunOrigin
from teamrun.runs.engine.warm import WarmRun
from teamrun.runs.log.entries import Entry, Signal
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.snapshot import Snapshot, next_snapshot

__all__ = ["freeze", "thawed"]


class _Code(NamedTuple):
    """The fields of the JSON object."""

    team: JsonObject
    """The team's `save_state`."""
    emitted: int
    """The number of events that run code had emitted."""
    ids: int
    time: datetime
    positions: dict[str, int]
    made_inside: dict[str, int]
    tool_states: dict[str, JsonObject]
    journaled: list[str]
    unread: list[Signal]
    turn: int
    latest: JsonObject | None
    """The last message that counts as output."""


def freeze(journal: Journal, team: JsonMapping) -> None:
    """Keep the state of run code in `journal.frozen`; run code calls it between turns.

    Nothing is kept if other code of the run awaits something.
    """
    journal.freezes = False
    if journal.pending or journal.has_spare:
        return
    latest = journal.transcript.latest
    code = _Code(
        team=dict(team),
        emitted=journal.emitted,
        ids=journal.origin.count,
        time=journal.origin.time,
        positions=journal.positions,
        made_inside=journal.inner.made_by_path,
        tool_states=journal.tools.states,
        journaled=sorted(journal.tools.journaled),
        unread=journal.unread,
        turn=journal.transcript.turn,
        latest=latest and latest.dump(),
    )
    # As bytes, because run code goes on and changes these objects before they are stored.
    journal.frozen = to_json(code._asdict())


def thawed(snapshot: Snapshot, entries: list[Entry], log: RunLog) -> WarmRun:
    """A run whose code starts where it was when the snapshot was made.

    Args:
        snapshot: The snapshot.
        entries: The entries of the log after it.
        log: The log of the run.

    Raises:
        UnreadableEntry: The entries do not follow the snapshot.
        ValueError: The snapshot is damaged.
    """
    code = _CODES.validate_json(snapshot.code)
    state = snapshot.state
    due = next_snapshot(state.entries)
    for entry in entries:
        log.apply(state, entry)
    origin = RunOrigin(state.spec.seed, code.time, count=code.ids)
    journal = Journal(RunLoop(), origin, emitted=code.emitted, positions=code.positions)
    journal.thawed = code.team
    journal.inner = InnerCalls(code.made_inside)
    journal.tools.states = code.tool_states
    journal.tools.journaled = set(code.journaled)
    journal.unread = code.unread
    journal.transcript.turn = code.turn
    if code.latest is not None:
        journal.transcript.latest = cast("BaseChatMessage", MessageFactory().create(code.latest))
    return WarmRun(
        state=state,
        journal=journal,
        origin=origin,
        root=None,
        log_bytes=log.size,
        next_snapshot=due,
        undelivered=entries,
    )


_CODES = TypeAdapter(_Code, config=ConfigDict(defer_build=True))
