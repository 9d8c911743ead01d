"""Warm runs: runs that wait for a person, and whose code stays in the memory of their worker.

Without them, each answer would cost a replay of the whole log. A warm run continues where it is,
after the entries since its wait have been read and delivered. The result is the same as that of a
replay, because those entries are the next ones that a replay would deliver, also if another worker
wrote them. If they change what a replay delivers before them (`can_follow`), the warm run is
dropped, and the log is replayed.

Warm runs only save work. They are dropped after some minutes, when they take too much memory, and
when the worker stops.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from teamrun.core.clock import Clock, SystemClock
from teamrun.core.refs import RunRef
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.origin import RunOrigin
from teamrun.runs.log.entries import Claim, End, Entry, Signal, Yield
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.state import RunState

__all__ = ["WarmRun", "WarmRuns", "can_follow"]

_OWN_BYTES = 40_000
"""The memory of a run without its conversation; 35,600 were measured."""

_FACTOR = 1.5
"""Bytes of memory per byte of the log; 1.25 were measured with messages of 200 characters."""


@dataclass(slots=True, kw_only=True, eq=False)
class WarmRun:
    """The code of a run that waits for people, and the state of its log."""

    state: RunState
    journal: Journal
    origin: RunOrigin
    root: asyncio.Task[End] | None
    """The task of run code; None if it has not started, because its state comes from a snapshot."""
    log_bytes: int
    """The size of the log, and of what the run shares with its parent."""
    next_snapshot: int
    """The number of entries at which a snapshot is made."""
    undelivered: list[Entry] = field(default_factory=list[Entry])
    """Entries after the wait; run code receives them when the run has been claimed."""

    async def catch_up(self, log: RunLog) -> bool:
        """Read the entries that have been added; returns whether the run can still continue.

        Raises:
            UnreadableEntry: One of them is unreadable.
            Unavailable: Storage does not respond.
        """
        before = log.size
        for entry in await log.read_on(self.state.entries):
            log.apply(self.state, entry)
            self.undelivered.append(entry)
        self.log_bytes += log.size - before
        return can_follow(self.undelivered, self.journal)

    @property
    def memory(self) -> int:
        """An estimate in bytes."""
        return _OWN_BYTES + int(_FACTOR * self.log_bytes)

    def close(self) -> None:
        """Cancel the tasks of run code."""
        self.journal.close()


def can_follow(entries: Iterable[Entry], journal: Journal) -> bool:
    """Whether a replay of the whole log would end with the delivery of these entries.

    A resume that restarts the run, and a retry, change what comes before them. Sessions of tools
    are lost if another worker may have used its own in the meantime.
    """
    for entry in entries:
        body = entry.body
        restarts = isinstance(body, Signal) and body.anew
        retries = isinstance(body, Yield) and body.undo is not None
        if restarts or retries or isinstance(body, End):
            return False
        if not isinstance(body, Signal | Claim) and journal.tools.sessions:
            return False
    return True


class WarmRuns:
    """The warm runs of one engine.

    Args:
        keep: How long a run stays warm; zero keeps none.
        most_bytes: The memory of all of them together, estimated from their logs.
        clock: The clock.
    """

    def __init__(
        self,
        *,
        keep: timedelta = timedelta(minutes=5),
        most_bytes: int = 64_000_000,
        clock: Clock | None = None,
    ) -> None:
        self._keep = keep
        self._most_bytes = most_bytes
        self._clock = clock or SystemClock()
        self._runs: dict[RunRef, tuple[datetime, WarmRun]] = {}  # the oldest first
        self._taken: dict[RunRef, WarmRun] = {}
        self._bytes = 0
        self.is_on = keep > timedelta() and most_bytes > 0

    def __len__(self) -> int:
        return len(self._runs)

    def put(self, ref: RunRef, run: WarmRun) -> None:
        """Keep a run; the oldest ones are dropped if it needs their memory."""
        self._taken.pop(ref, None)
        if not self.is_on:
            run.close()
            return
        self._runs[ref] = self._clock.now() + self._keep, run
        self._bytes += run.memory
        while self._bytes > self._most_bytes:
            self._drop_oldest()

    def take(self, ref: RunRef) -> WarmRun | None:
        """A run that is still warm; `release` closes it unless it is put back."""
        self.drop_expired()
        kept = self._runs.pop(ref, None)
        if kept is None:
            return None
        _, run = kept
        self._bytes -= run.memory
        self._taken[ref] = run
        return run

    def release(self, ref: RunRef) -> None:
        """Close the run if it was taken, and has not been put back."""
        run = self._taken.pop(ref, None)
        if run is not None:
            run.close()

    def drop(self, ref: RunRef) -> None:
        """Drop a run that another process has continued or ended; nothing if it is not warm."""
        if ref in self._runs:
            _, run = self._runs.pop(ref)
            self._bytes -= run.memory
            run.close()

    def drop_expired(self) -> None:
        """Drop the runs that nothing has continued in time."""
        now = self._clock.now()
        while self._runs and next(iter(self._runs.values()))[0] <= now:
            self._drop_oldest()

    def stop(self) -> None:
        """Drop all runs, and keep no more."""
        self.is_on = False
        while self._runs:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self.drop(next(iter(self._runs)))
