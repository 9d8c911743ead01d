"""Settings of one worker process, from `TEAMRUN_*` variables."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from teamrun.dispatch.queues import Queue
from teamrun.settings import CommonSettings

__all__ = ["WorkerSettings"]


RunQueue = Literal["interactive", "batch"]
"""The names of `RUN_QUEUES`."""


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    names = dict.fromkeys(part.strip() for part in value.split(","))
    return [*names] if any(names) else []


class WorkerSettings(CommonSettings):
    """The settings of one worker process."""

    queues: Annotated[tuple[RunQueue, ...], BeforeValidator(_listed), Field(min_length=1)] = (
        "interactive",
        "batch",
    )
    """The queues to consume, separated by commas: `interactive` and `batch`. A worker takes a
    message from `batch` only when none waits in `interactive`."""

    threads: int = Field(default=4, ge=1, le=64)
    """Threads that consume the queue; while the worker is full, each may keep one message."""

    grace_seconds: float = Field(default=20.0, ge=0, le=3600)
    """Time for calls in progress to complete after SIGTERM; then they are cancelled, and the
    next worker makes them again. Wait ten seconds longer before you kill the process."""

    worker_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")] | None = None
    """A name that is stable across restarts and unique among running workers, such as the name of a
    StatefulSet's pod. A named worker continues the runs of its previous process at once, without
    waiting for their leases to expire; `teamrun serve` names its worker."""

    heartbeat: Path | None = None
    """A file that is touched while the worker consumes; if it is older than a minute, the worker
    hangs."""

    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    """A port on which the worker serves `GET /metrics` in the Prometheus text format, and the
    probes `GET /healthz` and `GET /readyz`; 0 selects a free port and logs it. By default, nothing
    is served."""

    metrics_host: str = "127.0.0.1"
    """The address to bind the metrics port to. Metrics and probes need no key, so bind only to a
    network that may read them."""

    @property
    def run_queues(self) -> list[Queue]:
        """`queues` as members of the table."""
        return [Queue(name) for name in self.queues]

    @property
    def grace(self) -> timedelta:
        """`grace_seconds` as a duration."""
        return timedelta(seconds=self.grace_seconds)
