"""Replays an ended run against its log, without making calls, to find where the code differs."""

from datetime import datetime
from typing import Any

from teamrun.core.clock import Clock
from teamrun.errors import RunNotFinished, RunNotFound
from teamrun.json_types import JsonObject
from teamrun.runs.engine.execution import Execution, Program
from teamrun.runs.log.attempts import without_end
from teamrun.runs.log.entries import End, Entry
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.prefix import read_prefix
from teamrun.runs.log.state import fold
from teamrun.storage.memory import MemoryStore

__all__ = ["replay"]


async def replay(log: RunLog, program: Program, clock: Clock) -> str | None:
    """Where the current code differs from the recorded run; None if it does not.

    Nothing is called and nothing is written: a copy in memory is replayed.

    Raises:
        RunNotFound: The run does not exist.
        RunNotFinished: The run has not ended.
    """
    entries = await log.read()
    state = log.folded(entries)
    run_id = log.ref.run_id
    if state is None:
        raise RunNotFound(f"Run {run_id!r} does not exist.", run_id=run_id)
    if state.end is None:
        raise RunNotFinished(
            f"Run {run_id!r} has not ended; its status is {state.status}.", run_id=run_id
        )
    if state.epoch == 0:
        return None  # it never started
    ended = without_end(entries)
    again = await _driven(log, ended.before, program, clock)
    return _difference(ended.end, again)


async def _driven(log: RunLog, entries: list[Entry], program: Program, clock: Clock) -> Entry:
    copy = RunLog(MemoryStore(), log.ref, writer="replay", clock=clock)
    before = fold(entries)
    assert before is not None, "a log has an entry 0"
    execution = Execution(
        log=copy,
        entries=[*entries],  # the execution adds to its own
        prefix=await read_prefix(log, entries),
        state=before,
        program=program,
        clock=clock,
        observer=_NoObserver(),
        calls_nothing=True,
    )
    await execution.run()
    return (await copy.read(len(entries)))[-1]


def _difference(recorded: Entry, again: Entry) -> str | None:
    was, now = recorded.body, again.body
    assert isinstance(was, End) and isinstance(now, End)
    if was.status in ("cancelled", "incomplete", "expired"):
        # A cancel may come when nothing is left to do but the end.
        is_same = was.status == "cancelled" and now.status == "completed"
        is_same = is_same or now.stop_code in ("stopped_here", was.stop_code)
        return None if is_same else _change(was, now)
    if (was.status, was.stop_code, was.output) != (now.status, now.stop_code, now.output):
        return _change(was, now)
    events, emitted = _emitted(recorded, was), _emitted(again, now)
    return None if events == emitted else f"The last events differ: {events} is now {emitted}."


def _change(was: End, now: End) -> str:
    return (
        f"The run ended as {was.status} ({was.stop_reason}); the replay ended as {now.status} "
        f"({now.stop_reason})."
    )


def _emitted(entry: Entry, end: End) -> list[Any]:
    """The events of run code and the end; events of calls in flight are left out."""
    events = [*entry.events[: end.emitted], entry.events[-1]]
    return [(event.type, event.agent) for event in events]


class _NoObserver:
    def delta(self, data: JsonObject) -> None:
        """Ignore it."""

    async def will_wait(self, until: datetime) -> None:
        """Ignore it."""
