"""The log of a thread: which runs continue it, in their order.

    t/{tenant}/threads/{h2}/{thread_id}/log/{n:06d}.json   the entries
    t/{tenant}/thread-list/{inverted ms}.{thread_id}       the marker by which a thread is listed

| entry | meaning |
|---|---|
| `created` (n = 0) | the thread exists |
| `joined` | a run continues the thread when all runs before it have ended |
| `changed` | other metadata |
| `deleted` | the last entry |

What the runs say, and the state of their team, are in the logs of the runs.
"""

import hashlib
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.core.ids import id_time
from teamrun.runs.log.keys import list_path, list_place
from teamrun.runs.log.metadata import Metadata
from teamrun.runs.log.spec import BusyPolicy

__all__ = [
    "Changed",
    "Created",
    "Deleted",
    "Joined",
    "ThreadEntry",
    "ThreadState",
    "entry_folder",
    "list_key",
    "thread_list_folder",
]


def entry_folder(tenant: str, thread_id: str) -> str:
    """The entries of a thread's log."""
    spread = hashlib.sha256(thread_id.encode()).hexdigest()[:2]
    return f"t/{tenant}/threads/{spread}/{thread_id}/log/"


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
    """The runs that had not ended then; `interrupt` and `rollback` cancel them."""


class Changed(_Record):
    """Other metadata."""

    kind: Literal["changed"] = "changed"
    metadata: Metadata


class Deleted(_Record):
    """The thread has been deleted."""

    kind: Literal["deleted"] = "deleted"


class ThreadEntry(_Record):
    """One numbered entry."""

    v: Literal[1] = 1
    n: int
    at: datetime
    nonce: str
    body: Annotated[Created | Joined | Changed | Deleted, Field(discriminator="kind")]


class ThreadState:
    """The state of a thread: a fold of its log."""

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id
        self.entries = 0
        self.metadata: dict[str, str] = {}
        self.request_hash = ""
        self.created_at = self.updated_at = id_time(thread_id)
        self.runs: list[Joined] = []
        """The runs, in their order."""
        self.positions: dict[str, int] = {}
        """The place of each run in `runs`."""
        self.dropped: set[str] = set()
        """Runs that `rollback` has taken out of the conversation."""
        self.interrupted: set[str] = set()
        """Runs whose messages the next one takes over."""
        self.is_deleted = False

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
                self.positions[entry.body.run_id] = len(self.runs)
                self.runs.append(entry.body)
                if entry.body.on_busy == "rollback":
                    self.dropped.update(entry.body.busy)
                elif entry.body.on_busy == "interrupt":
                    self.interrupted.update(entry.body.busy)
            case Changed():
                self.metadata = dict(entry.body.metadata)
            case Deleted():
                self.is_deleted = True
