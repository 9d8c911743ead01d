"""Settings of one worker process, from `TEAMRUN_*` variables."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from teamrun.settings import CommonSettings

__all__ = ["WorkerSettings"]


class WorkerSettings(CommonSettings):
    """What one worker process is told."""

    max_runs: int = Field(default=200, ge=1, le=10_000)
    """Runs in flight at once; a full worker stops consuming."""

    threads: int = Field(default=4, ge=1, le=64)
    """Threads that take messages from the queue; each may hold one while the worker is full."""

    grace_seconds: float = Field(default=20.0, ge=0, le=3600)
    """How long calls under way may take to complete after SIGTERM; then they are given up, and made
    again by the next worker. Allow ten seconds more before you kill the process."""

    worker_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")] | None = None
    """A name that lasts over restarts and that no other worker has at the same time, such as that
    of a StatefulSet's pod. A worker with one takes up its former process's runs at once, without
    waiting for their lease; `teamrun serve` gives its worker one."""

    heartbeat: Path | None = None
    """A file that is touched while the worker consumes; older than a minute means it hangs."""

    @property
    def grace(self) -> timedelta:
        """`grace_seconds` as a duration."""
        return timedelta(seconds=self.grace_seconds)
