"""Driving an ended run once more against its record: for nothing, and to see where code differs."""

from datetime import datetime
from typing import Any

from teamrun.core.clock import Clock
from teamrun.errors import RunNotFinished, RunNotFound
from teamrun.runs.engine.execution import Execution, Program
from teamrun.runs.log.entries import End, Entry
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.prefix import read_prefix
from teamrun.runs.log.state import RunState, fold
from teamrun.storage.memory import MemoryStore

__all__ = ["replay"]


async def replay(log: RunLog, program: Program, clock: Clock) -> str | None:
    """Where the code of today differs from the record; None where it says and does the same.

    Nothing is called and nothing is written: the copy that is driven lies in memory.

    Raises:
        RunNotFound: There is no such run.
        RunNotFinished: It has not ended.
    """
    entries = await log.read()
    state = log.folded(entries)
    run_id = log.ref.run_id
    if state is None:
        raise RunNotFound(f"There is no run {run_id!r}.", run_id=run_id)
    if state.end is None:
        raise RunNotFinished(f"Run {run_id!r} is {state.status}.", run_id=run_id)
    if state.epoch == 0:
        return None  # it never began
    again = await _driven(log, entries, program, clock)
    return _difference(entries[-1], again)


async def _driven(log: RunLog, entries: list[Entry], program: Program, clock: Clock) -> Entry:
    copy = RunLog(MemoryStore(), log.ref, writer="replay", clock=clock)
    before = fold(entries[:-1])
    assert before is not None, "a log has an entry 0"
    execution = Execution(
        log=copy,
        entries=entries[:-1],
        prefix=await read_prefix(log, entries),
        state=before,
        program=program,
        clock=clock,
        observer=_Nobody(),
        calls_nothing=True,
    )
    await execution.run()
    return (await copy.read(len(entries) - 1))[-1]


def _difference(recorded: Entry, again: Entry) -> str | None:
    was, now = recorded.body, again.body
    assert isinstance(was, End) and isinstance(now, End)
    if was.status in ("cancelled", "incomplete", "expired"):
        return None if now.stop_code in ("stopped_here", was.stop_code) else _told(was, now)
    if (was.status, was.stop_code, was.output) != (now.status, now.stop_code, now.output):
        return _told(was, now)
    events, said = _said(recorded, was), _said(again, now)
    return None if events == said else f"The last events differ: {events} is now {said}."


def _told(was: End, now: End) -> str:
    return (
        f"The record ends {was.status} ({was.stop_reason}); now: {now.status} ({now.stop_reason})."
    )


def _said(entry: Entry, end: End) -> list[Any]:
    """What run code said, and the end; what calls under way had told is left out."""
    events = [*entry.events[: end.emitted], entry.events[-1]]
    return [(event.type, event.agent) for event in events]


class _Nobody:
    def changed(self, state: RunState) -> None:
        """Nobody listens."""

    def wrote(self, entry: Entry) -> None:
        """Nothing counts it."""

    def delta(self, data: dict[str, Any]) -> None:
        """Nobody listens."""

    async def will_wait(self, until: datetime) -> None:
        """Nobody comes back."""
