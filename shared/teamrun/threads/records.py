"""The log of a thread: which runs continue it, in their order.

    t/{tenant}/threads/{h2}/{thread_id}/log/{n:06d}.json   the entries
    t/{tenant}/threads/{h2}/{thread_id}/pages/{k:06d}.jsonl   copies of 64 entries (`pages.py`)
    t/{tenant}/thread-list/{inverted ms}.{thread_id}       the marker by which a thread is listed

| entry | meaning |
|---|---|
| `created` (n = 0) | the thread exists |
| `joined` | a run continues the thread when all runs before it have ended |
| `removed` | a run of the thread has been deleted |
| `changed` | other metadata |
| `deleted` | the last entry |

What the runs say, and the state of their team, are in the logs of the runs.
"""

import hashlib
from bisect import bisect_right
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from teamrun.core.ids import id_time
from teamrun.runs.log.keys import list_path, list_place
from teamrun.runs.log.metadata import Metadata
from teamrun.runs.log.spec import INTERRUPTING, BusyPolicy
from teamrun.runs.log.state import RunState

__all__ = [
    "Changed",
    "Created",
    "Deleted",
    "Joined",
    "Removed",
    "ThreadBody",
    "ThreadEntry",
    "ThreadState",
    "entry_folder",
    "list_key",
    "page_key",
    "thread_list_folder",
]


def entry_folder(tenant: str, thread_id: str) -> str:
    """The entries of a thread's log."""
    return f"{_folder(tenant, thread_id)}log/"


def page_key(tenant: str, thread_id: str, number: int) -> str:
    """A copy of many entries."""
    return f"{_folder(tenant, thread_id)}pages/{number:06d}.jsonl"


def _folder(tenant: str, thread_id: str) -> str:
    spread = hashlib.sha256(thread_id.encode()).hexdigest()[:2]
    return f"t/{tenant}/threads/{spread}/{thread_id}/"


def thread_list_folder(tenant: str) -> str:
    """The markers by which threads are listed, the newest first."""
    return f"t/{tenant}/thread-list/"


def list_key(tenant: str, thread_id: str) -> str:
    """The marker by which a thread is listed."""
    name = f"{list_place(id_time(thread_id)):013d}.{thread_id}"
    return thread_list_folder(tenant) + list_path(name)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Created(_Record):
    """The thread exists."""

    kind: Literal["created"] = "created"
    metadata: Metadata = {}
    request_hash: str = ""
    """The digest of the request, to recognize a repeated one."""


class Joined(_Record):
    """A run continues the thread."""

    kind: Literal["joined"] = "joined"
    run_id: str
    on_busy: BusyPolicy
    busy: list[str] = []
    """The runs that had not ended then, if the policy cancels them."""
    after: str | None = None
    """The run before it. If the entry of that run is damaged, its place is known from here."""
    ended: str | None = None
    """A run that had ended then, as had all before it; a reader need not look at these again."""
    left: str | None = None
    """The newest of those that has left something to continue from; None if none has."""


class Removed(_Record):
    """A run of the thread has been deleted."""

    kind: Literal["removed"] = "removed"
    run_id: str


class Changed(_Record):
    """Other metadata."""

    kind: Literal["changed"] = "changed"
    metadata: Metadata


class Deleted(_Record):
    """The thread has been deleted."""

    kind: Literal["deleted"] = "deleted"


ThreadBody = Created | Joined | Removed | Changed | Deleted


class ThreadEntry(_Record):
    """One numbered entry."""

    v: Literal[1] = 1
    n: int
    at: datetime
    nonce: str
    body: Annotated[ThreadBody, Field(discriminator="kind")]


class Mark(NamedTuple):
    """What is known about the first runs of a thread, which have all ended."""

    upto: int
    """The number of these runs."""
    left: int | None
    """The place of the newest one that has left something to continue from."""


class ThreadState:
    """The state of a thread: a fold of its log, with what has been found out about its runs.

    That a run has ended does not change again. So each reader looks at an ended run a limited
    number of times, however long the thread is.
    """

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id
        self.entries = 0
        self.metadata: dict[str, str] = {}
        self.request_hash: str | None = None
        """The digest of the request that created the thread; None if entry 0 is damaged."""
        self.created_at = self.updated_at = id_time(thread_id)
        self.runs: list[Joined] = []
        """The runs, in their order."""
        self.positions: dict[str, int] = {}
        """The place of each run in `runs`."""
        self.removed: set[str] = set()
        """Runs that have been deleted."""
        self.dropped: set[str] = set()
        """Runs that `rollback` has taken out of the conversation."""
        self.interrupted: set[str] = set()
        """Runs whose messages the next one takes over."""
        self.is_deleted = False
        self.ended = 0
        """All runs before this place are known to have ended."""
        self._known: set[int] = set()
        """Further places of runs that are known to have ended."""
        self.marks = [Mark(0, None)]
        """In increasing order."""

    def apply(self, entry: ThreadEntry) -> None:
        """Apply the next entry.

        Raises:
            ValueError: It is not the next one.
        """
        if entry.n != self.entries or (entry.n == 0) != isinstance(entry.body, Created):
            raise ValueError(f"entry {entry.n} cannot follow {self.entries} entries")
        self.entries += 1
        self.updated_at = entry.at
        match entry.body:
            case Created():
                self.metadata, self.created_at = dict(entry.body.metadata), entry.at
                self.request_hash = entry.body.request_hash
            case Joined():
                self._join(entry.body)
            case Removed(run_id=run_id):
                if run_id in self.positions:  # else its own entry is damaged
                    self.removed.add(run_id)
            case Changed():
                self.metadata = dict(entry.body.metadata)
            case Deleted():
                self.is_deleted = True

    def joined(self, run_id: str, on_busy: BusyPolicy, busy: list[str]) -> Joined:
        """The entry by which a run joins, with what is known about the runs before it."""
        upto, left = self.marks[-1]
        return Joined(
            run_id=run_id,
            on_busy=on_busy,
            busy=busy,
            after=self.runs[-1].run_id if self.runs else None,
            ended=self.runs[upto - 1].run_id if upto else None,
            left=None if left is None else self.runs[left].run_id,
        )

    def skip(self) -> None:
        """Leave the next entry out; it is damaged."""
        self.entries += 1

    def _join(self, joined: Joined) -> None:
        if joined.after is not None and joined.after not in self.positions:
            self._place(Joined(run_id=joined.after, on_busy="enqueue"))
        if joined.run_id in self.positions:  # it joined again while its entry was damaged
            return
        self._place(joined)
        places = self.positions
        if joined.ended in places and (joined.left is None or joined.left in places):
            left = None if joined.left is None else places[joined.left]
            self.mark(places[joined.ended] + 1, left)
        if joined.on_busy not in INTERRUPTING:
            return
        (self.dropped if joined.on_busy == "rollback" else self.interrupted).update(joined.busy)
        # What they leave has changed, if one of them ended before this entry was read.
        first = min((places[run_id] for run_id in joined.busy if run_id in places), default=None)
        while first is not None and self.marks[-1].upto > first:
            self.marks.pop()

    def _place(self, joined: Joined) -> None:
        self.positions[joined.run_id] = len(self.runs)
        self.runs.append(joined)

    def is_known_ended(self, place: int) -> bool:
        """Whether the run at a place is known to have ended."""
        return place < self.ended or place in self._known

    def set_ended(self, place: int, *, with_all_before: bool = False) -> None:
        """The run at a place has ended, and perhaps all before it."""
        self._known.add(place)
        if with_all_before:
            self.ended = max(self.ended, place + 1)
        while self.ended in self._known:
            self._known.remove(self.ended)
            self.ended += 1

    def mark(self, upto: int, left: int | None) -> None:
        """All runs before `upto` have ended; the run at `left` is the newest to continue from."""
        while self.marks[-1].upto >= upto > 0:
            if self.marks[-1].upto > upto:
                return
            self.marks.pop()
        if upto:
            self.marks.append(Mark(upto, left))
            self.ended = max(self.ended, upto)

    def mark_before(self, place: int) -> Mark:
        """The last mark that concerns only runs before `place`."""
        return self.marks[bisect_right(self.marks, place, key=attrgetter("upto")) - 1]

    def has_left(self, place: int, run: RunState) -> bool:
        """Whether an ended run, at this place, may have left something to continue from."""
        run_id = self.runs[place].run_id
        if run.end is None or run_id in self.dropped:
            return False
        return run.end.state is not None or (run_id in self.interrupted and run.epoch > 0)
