"""What the runs of a thread have said, and from what the next one continues.

A run continues from the newest run before it that has left something. One that has completed has
left the state of its team. One that was interrupted has left its messages; its log also has the
state from which it had begun itself, so nothing before it has to be read.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, NamedTuple

from teamrun.components.definitions.base import BaseTeamDefinition
from teamrun.core.refs import RunRef
from teamrun.errors import UnreadableEntry
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import Entry, calls_of
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.spec import ThreadPart
from teamrun.runs.log.state import RunState
from teamrun.threads.ends import RunEnds
from teamrun.threads.log import ThreadLogs
from teamrun.threads.records import ThreadState

__all__ = ["Conversation", "Said"]

_TOGETHER: Final = 16
"""How many entries of a run's log are read together for its messages."""


class Said(NamedTuple):
    """A message of a run."""

    entry: int
    """The number of the entry of the run's log that has it."""
    event: int
    """Its place among the events of that entry."""
    message: JsonObject


class _Left(NamedTuple):
    place: int
    run: RunState


class Conversation:
    """Reads the runs of threads.

    Args:
        logs: The logs of threads.
        reader: Reads runs.
        ends: Finds out which runs have ended.
    """

    def __init__(self, *, logs: ThreadLogs, reader: RunReader, ends: RunEnds) -> None:
        self._logs = logs
        self._reader = reader
        self._ends = ends

    async def before(self, tenant: str, part: ThreadPart, run_id: str) -> JsonObject:
        """From what a run continues: `state` of the team, and `messages` that came after it.

        A fork or retry continues from what its parent has read, whatever happened to the thread.

        Raises:
            StorageError: Storage does not respond, or a log is unreadable.
        """
        if part.as_of is not None:
            pinned = _pinned(await self._reader.log(RunRef(tenant, part.as_of)).read())
            if pinned is not None:
                return pinned
        state = await self._logs.any_state(tenant, part.thread_id)
        place = None if state is None else state.positions.get(part.as_of or run_id)
        if state is None or place is None:
            return {"state": None, "messages": []}
        entries, found = state.entries, None
        begin: JsonObject = {"state": None, "messages": []}
        async with aclosing(self._candidates(tenant, state, place)) as candidates:
            async for each in candidates:
                left = await self._left_by(RunRef(tenant, state.runs[each.place].run_id), each.run)
                if left is not None:
                    begin, found = left, each.place
                    break
        if state.entries == entries and state.ended >= place:
            state.mark(place, found)
        return begin

    async def latest(self, tenant: str, state: ThreadState) -> tuple[str | None, JsonObject | None]:
        """The run that has left the newest state of the team, and that state; None without any.

        Raises:
            StorageError: Storage does not respond.
        """
        await self._ends.first_open(tenant, state)
        async with aclosing(self._candidates(tenant, state, state.ended)) as candidates:
            async for each in candidates:
                if each.run.end is not None and each.run.end.state is not None:
                    return state.runs[each.place].run_id, each.run.end.state
        return None, None

    async def said(
        self, ref: RunRef, *, most: int, after: tuple[int, int] | None = None
    ) -> list[Said]:
        """The next messages of a run, without those that it has taken over from others.

        Args:
            ref: The run.
            most: The number of messages that are enough; a few more may be returned.
            after: The entry and the event of the last message that is known.

        Raises:
            StorageError: Storage does not respond, or the log is unreadable.
        """
        log, found = self._reader.log(ref), list[Said]()
        n = 0 if after is None else after[0]
        taken = await _taken(log) if n else None
        while len(found) < most and (entries := await log.read_some(n, _TOGETHER)):
            if taken is None and (pinned := _pinned(entries)) is not None:
                taken = _ids(pinned)
            said = [each for each in _said(entries) if each.message["id"] not in (taken or ())]
            found += [each for each in said if after is None or each[:2] > after]
            n += len(entries)
        return found

    async def _candidates(
        self, tenant: str, state: ThreadState, place: int
    ) -> AsyncGenerator[_Left, None]:
        """The runs before a place that may have left something, the newest first."""
        while place > 0:
            mark = state.mark_before(place)
            for number in (*reversed(range(mark.upto, place)), mark.left):
                run = None if number is None else await self._run(tenant, state, number)
                if number is not None and run is not None and state.has_left(number, run):
                    yield _Left(number, run)
            place = mark.left or 0

    async def _run(self, tenant: str, state: ThreadState, place: int) -> RunState | None:
        """The run at a place; None if it was deleted, or is unreadable."""
        run_id = state.runs[place].run_id
        if run_id in state.removed:
            return None
        [run] = await self._reader.states([RunRef(tenant, run_id)])
        return None if isinstance(run, UnreadableEntry) else run

    async def _left_by(self, ref: RunRef, run: RunState) -> JsonObject | None:
        if run.end is not None and run.end.state is not None:
            return {"state": run.end.state, "messages": []}
        entries = await self._reader.log(ref).read()
        pinned = _pinned(entries)
        if pinned is None:  # it was interrupted before it had begun
            return None
        # Those that it had taken over are among what it has said, if it came so far.
        own = {
            said.message["id"]: said.message
            for said in _said(entries)
            if _is_for_members(said.message, run.spec.definition)
        }
        taken = [message for message in pinned["messages"] if message["id"] not in own]
        return {"state": pinned["state"], "messages": [*taken, *own.values()]}


def _pinned(entries: list[Entry]) -> JsonObject | None:
    """From what a run has continued, as its log has it; None if it had not begun."""
    for entry in reversed(entries):
        for call in calls_of(entry.body):
            if call.kind == "thread" and call.error is None:
                return call.value
    return None


async def _taken(log: RunLog) -> set[str]:
    """The ids of the messages that a run has taken over; it did so before it said anything."""
    n = 0
    while entries := await log.read_some(n, _TOGETHER):
        if (pinned := _pinned(entries)) is not None:
            return _ids(pinned)
        n += len(entries)
    return set()


def _ids(pinned: JsonObject) -> set[str]:
    return {message["id"] for message in pinned["messages"]}


def _is_for_members(message: JsonObject, team: BaseTeamDefinition) -> bool:
    """Whether the members of the team have heard it: not what was said inside of an agent.

    Those of an inner team are members too. A task that an agent delegated would be one of the user.
    """
    for name in message.get("path", ()):
        inner = next((each for each in team.participants if each.name == name), None)
        if not isinstance(inner, BaseTeamDefinition):
            return False
        team = inner
    return True


def _said(entries: list[Entry]) -> list[Said]:
    return [
        Said(entry.n, index, event.data["message"])
        for entry in entries
        for index, event in enumerate(entry.events)
        if event.type == "message.created"
    ]
