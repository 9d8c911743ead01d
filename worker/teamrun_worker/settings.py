"""Settings of one worker process, from `TEAMRUN_*` variables."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from teamrun.settings import CommonSettings

__all__ = ["WorkerSettings"]


class WorkerSettings(CommonSettings):
    """What one worker process is told."""

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

    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    """A port on which the worker answers `GET /metrics` in the Prometheus text format; 0 takes a
    free one and logs it. Without it nothing is served."""

    metrics_host: str = "127.0.0.1"
    """The address of that port. The metrics have no key, so bind only to a network that may read
    them."""

    @property
    def grace(self) -> timedelta:
        """`grace_seconds` as a duration."""
        return timedelta(seconds=self.grace_seconds)
