"""Threads in a simulated deployment: what its processes have, and what is known from outside.

The desk sees each entry when it is stored. It computes which run has its turn, and from what it
continues, from the logs alone; the project's own code reads no more than it must.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from tests.simulation.ports import LivePort, QueuePort, StorePort

from teamrun.components.definitions.base import BaseTeamDefinition
from teamrun.core.refs import RunRef
from teamrun.json_types import JsonObject
from teamrun.runs.log.archive import Duty
from teamrun.runs.log.entries import Accepted, Claim, End, Entry, Signal, calls_of, read_entry
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.spec import BusyPolicy
from teamrun.runs.service.cancelling import cancel_run
from teamrun.runs.service.service import RunService
from teamrun.threads.records import INTERRUPTING, Joined, ThreadEntry
from teamrun.threads.service import ThreadService
from teamrun.threads.turns import ThreadTurns

if TYPE_CHECKING:
    from tests.simulation.processes import Process

__all__ = ["KnownRun", "KnownThread", "ThreadDesk", "ThreadParts"]


class ThreadParts:
    """What one process has for threads.

    Args:
        process: The process.
        duties: The steps after the end of a run, besides that of threads.
    """

    def __init__(self, process: "Process", duties: Sequence[Duty]) -> None:
        self._process = process
        self._store, self._live, self._queue = (
            StorePort(process),
            LivePort(process),
            QueuePort(process),
        )
        self.turns = ThreadTurns(
            store=self._store,
            live=self._live,
            clock=process.clock,
            dispatcher=self._queue,
            cancel=self._cancel,
            writer=process.name,
        )
        self.duties = (self.turns.follow, *duties)

    async def _cancel(self, ref: RunRef, reason: str) -> None:
        await cancel_run(
            ref,
            reason,
            store=self._store,
            live=self._live,
            dispatcher=self._queue,
            clock=self._process.clock,
            duties=self.duties,
            observers=Observers(self._live),
        )

    def service(self, runs: RunService) -> ThreadService:
        """The service of an API process."""
        return ThreadService(
            store=self._store, turns=self.turns, read_run=runs.get, clock=self._process.clock
        )


@dataclass(slots=True)
class KnownRun:
    """A run of a thread, as its log became durable."""

    thread: "KnownThread"
    entries: list[Entry] = field(default_factory=list[Entry])
    ended: int | None = None
    """When it ended, in the order of all that the desk has noted."""
    is_cancelled: bool = False
    length_at_turn: int = 0
    """The entries of the thread's log when the run had its turn."""
    length_at_read: int = 0
    """The same, when what it continues from was recorded."""

    @property
    def end(self) -> End:
        """How it ended."""
        body = self.entries[-1].body
        assert isinstance(body, End), "it has ended"
        return body

    @property
    def begin(self) -> JsonObject | None:
        """From what it has continued, as its log has it."""
        for entry in self.entries:
            for call in calls_of(entry.body):
                if call.kind == "thread" and call.error is None:
                    return call.value
        return None

    def said(self) -> dict[str, JsonObject]:
        """The messages that its members have heard, by id: not those inside of an agent."""
        accepted = self.entries[0].body
        assert isinstance(accepted, Accepted), "the first entry accepts it"
        members = accepted.spec.definition.participants
        heard = [[], *([each.name] for each in members if isinstance(each, BaseTeamDefinition))]
        events = [event for entry in self.entries for event in entry.events]
        messages = [e.data["message"] for e in events if e.type == "message.created"]
        return {each["id"]: each for each in messages if each.get("path", []) in heard}


@dataclass(slots=True)
class KnownThread:
    """The log of a thread, as it became durable."""

    thread_id: str
    entries: list[ThreadEntry] = field(default_factory=list[ThreadEntry])
    acknowledged: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])
    """Runs with the times at which they were first submitted, and acknowledged."""

    def joined(self, length: int | None = None) -> list[Joined]:
        """The runs in their order, as the first entries say."""
        bodies = [entry.body for entry in self.entries[:length]]
        return [body for body in bodies if isinstance(body, Joined)]

    def order(self) -> list[str]:
        """The ids of the runs."""
        return [joined.run_id for joined in self.joined()]


class ThreadDesk:
    """The threads of one world.

    Args:
        fault: Called with each violation.
    """

    def __init__(self, fault: Callable[[str], None]) -> None:
        self._fault = fault
        self._times = count(1)
        self.runs: dict[str, KnownRun] = {}
        self.threads: defaultdict[str, KnownThread] = _Threads()

    def now(self) -> int:
        """A time, in the order of all that is noted."""
        return next(self._times)

    # Entries

    def logged(self, thread_id: str, data: bytes) -> None:
        """An entry of a thread's log was created."""
        thread = self.threads[thread_id]
        entry = ThreadEntry.model_validate_json(data)
        if entry.n != len(thread.entries):
            self._fault(f"I2 {thread_id} has entry {entry.n} after {len(thread.entries)} entries")
        before, joined = thread.order(), entry.body
        thread.entries.append(entry)
        if not isinstance(joined, Joined):
            return
        if joined.run_id in before:
            self._fault(f"T1 {joined.run_id} has joined {thread_id} twice")
        if joined.run_id not in self.runs:
            self._fault(f"T1 {joined.run_id} has joined {thread_id} and does not exist")
        if joined.on_busy == "reject" and (busy := self._open(before)):
            self._fault(f"T4 {joined.run_id} has joined {thread_id} beside {busy}")

    def run_logged(self, run_id: str, data: bytes) -> None:
        """An entry of a run's log was created."""
        entry = read_entry(data)
        body = entry.body
        if isinstance(body, Accepted):
            part = body.spec.thread
            if part is None or part.as_of is not None:
                return
            self.runs[run_id] = KnownRun(self.threads[part.thread_id])
        run = self.runs.get(run_id)
        if run is None:
            return
        run.entries.append(entry)
        length = len(run.thread.entries)
        if isinstance(body, Claim) or (isinstance(body, Signal) and body.signal == "turn"):
            run.length_at_turn = run.length_at_turn or length
            self._check_turn(run_id, run, "claim" if isinstance(body, Claim) else "turn")
        elif isinstance(body, Signal) and body.signal == "cancel":
            run.is_cancelled = True
        if any(call.kind == "thread" for call in calls_of(body)):
            run.length_at_read = run.length_at_read or length
        if isinstance(body, End):
            run.ended = self.now()

    def _check_turn(self, run_id: str, run: KnownRun, kind: str) -> None:
        order = run.thread.order()
        if run_id not in order:
            self._fault(f"T2 {run_id} has a {kind} and has not joined")
        elif before := self._open(order[: order.index(run_id)]):
            self._fault(f"T2 {run_id} has a {kind} before {before} have ended")

    def _open(self, run_ids: Sequence[str]) -> list[str]:
        return [each for each in run_ids if each in self.runs and self.runs[each].ended is None]

    # Clients

    def acknowledged(self, thread_id: str, run_id: str, since: int, policy: BusyPolicy) -> None:
        """A client has the answer to a submit that it first sent at `since`."""
        run, thread = self.runs[run_id], self.threads[thread_id]
        joined = {each.run_id: each for each in thread.joined()}.get(run_id)
        if joined is None:
            if run.ended is None:
                self._fault(f"T1 {run_id} was acknowledged and has not joined {thread_id}")
            return
        thread.acknowledged.append((since, self.now(), run_id))
        if policy in INTERRUPTING and run.ended is None:  # an expired one takes no other's place
            spared = [each for each in self._open(joined.busy) if not self.runs[each].is_cancelled]
            if spared:
                self._fault(f"T4 {run_id} was to interrupt {spared}, which continue")

    def refused(self, thread_id: str, busy: str | None, since: int) -> None:
        """A client was told that the thread is busy with a run."""
        run = self.runs.get(busy or "")
        if run is None or run.thread.thread_id != thread_id:
            self._fault(f"T4 {thread_id} is said to be busy with {busy}")
        elif run.ended is not None and run.ended < since:
            self._fault(f"T4 {thread_id} is said to be busy with {busy}, which had ended")


class _Threads(defaultdict[str, KnownThread]):
    def __missing__(self, thread_id: str) -> KnownThread:
        self[thread_id] = thread = KnownThread(thread_id)
        return thread
