"""Jobs: entries of logs whose events are to be delivered, and their markers.

A marker is put before its entry is written, so no event is lost in a crash. Its time is when a
sweep may take the job. The process that wrote the entry starts at once and deletes the marker when
all deliveries are settled; a marker whose time has come was left behind, or is a retry.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

from teamrun.core.refs import RunRef
from teamrun.runs.log.keys import HOOKS, hook_marker

__all__ = ["Hold", "Job", "job_of_marker", "next_hold", "time_of_marker"]


class Job(NamedTuple):
    """One entry of one log."""

    ref: RunRef
    """The tenant and the id of the log."""
    n: int

    def marker(self, at: datetime) -> str:
        """The marker by which a sweep finds the job at that time."""
        return hook_marker(self.ref, self.n, at)

    def as_ref(self) -> RunRef:
        """The form in messages of the queue `hooks`: `{tenant}.{id}-{n}`."""
        return RunRef(self.ref.tenant, f"{self.ref.run_id}-{self.n}")

    @classmethod
    def of_ref(cls, ref: RunRef) -> Self:
        """The job that a message names.

        Raises:
            ValueError: It names none.
        """
        log_id, dash, n = ref.run_id.rpartition("-")
        if not (dash and log_id and n.isascii() and n.isdigit()):
            raise ValueError(f"{ref} is not of the form tenant.id-n")
        return cls(RunRef(ref.tenant, log_id), int(n))

    def log_fields(self) -> dict[str, str | int]:
        """The fields that identify the job on a log line."""
        return {**self.ref.log_fields(), "entry": self.n}


def job_of_marker(key: str) -> Job:
    """The job that a marker names.

    Raises:
        ValueError: It names none.
    """
    return Job.of_ref(RunRef.parse(key.rpartition("/")[2]))


def time_of_marker(key: str) -> datetime:
    """When the job of a marker is due, to the millisecond.

    Raises:
        ValueError: The key is not a marker.
    """
    hour, _, rest = key.removeprefix(HOOKS).partition("/")
    digits = hour + rest.partition("/")[0]
    if len(digits) != 17 or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{key!r} is not the key of a marker")
    at = datetime.strptime(digits[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return at + timedelta(milliseconds=int(digits[14:]))


class Hold(NamedTuple):
    """The time for which a process has a job for itself."""

    until: datetime
    other: datetime | None
    """Another process may have the job until this time; None if the marker of `until` decides."""


def next_hold(due: datetime, now: datetime, hold: timedelta) -> Hold:
    """The hold of a process that takes a job now.

    Holds end at `due` plus a multiple of `hold`, and last from half to one and a half of it. So all
    processes that take the job at about the same time compute the same end, and only one of them
    can create the marker of that time. The same applies after a crash of the one that did. If the
    next end is too near, it is skipped; another process may then have the job until that end.
    """
    end = due + ((now - due) // hold + 1) * hold
    if end - now >= hold / 2:
        return Hold(end, None)
    return Hold(end + hold, end)
