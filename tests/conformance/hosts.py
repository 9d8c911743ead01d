"""Deployments that the suite is run on: an API, and whatever executes its runs.

Another host, such as a cloud function, is one implementation of `Host` and one row in `HOSTS`. The
row is a context manager that starts the host for a `Site` and ends it. The suite calls a host from
one thread, and sends it requests from many.
"""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.conformance.embedded import Embedded
from tests.conformance.on_lambda import on_lambda
from tests.conformance.site import Site, Written, files_below
from tests.support.children import Child, start_api, start_worker
from tests.support.service import free_port, until
from tests.support.services import valkey

__all__ = ["HOSTS", "Host", "Processes"]


class Host(Protocol):
    """A deployment under test."""

    @property
    def url(self) -> str:
        """Of its API; the same for the life of the host.

        A host that cannot stream answers a request for an event stream with the events that there
        are, perhaps after a while, and ends the response; clients continue behind the last event.
        """
        ...

    def lose(self) -> None:
        """Let whatever executes runs vanish without a word (SIGKILL), and start it anew.

        The platform delivers again what was in progress, if that is what it does.
        """
        ...

    def limit(self) -> None:
        """Let whatever executes runs meet the time limit of the platform, once.

        Called while a call of a run is in progress that does not end before the limit. Returns
        when the invocation in progress has ended, and its successor can execute the run.
        """
        ...

    def written(self) -> Iterator[Written]:
        """Everything that the deployment has written: objects, queue messages, log lines."""
        ...


@dataclass
class _Process:
    """One process of a deployment; each start has a log file of its own."""

    start_child: Callable[[dict[str, str], Path], Child]
    name: str
    environ: dict[str, str]
    logs: Path
    ready: str
    """A part of the log line that reports readiness."""
    child: Child | None = None
    _count: int = 0

    def start(self) -> None:
        self._count += 1
        log = self.logs / f"{self.name}.{self._count}.log"
        self.child = self.start_child(self.environ, log)
        until(lambda: self.ready in log.read_text(encoding="utf-8"), f"{self.name} is ready")

    def end(self) -> None:
        """SIGTERM, and wait."""
        assert self.child is not None
        self.child.terminate()
        self.child.process.join(60)
        assert not self.child.is_alive

    def close(self) -> None:
        if self.child is not None:
            self.child.kill()


@dataclass
class Processes:
    """Implements `Host` with an API and one process or several that execute runs.

    They have no limit of a platform; SIGTERM is what ends them when their time is over.
    """

    site: Site
    url: str
    executors: list[_Process]

    def limit(self) -> None:
        for executor in self.executors:
            executor.end()
            executor.start()

    def lose(self) -> None:
        for executor in self.executors:
            executor.close()
        for executor in self.executors:
            executor.start()

    def written(self) -> Iterator[Written]:
        return files_below(self.site.folder / "logs", self.site.folder / "data")


def _environ(site: Site, **more: str) -> dict[str, str]:
    return {**os.environ, **site.environ, "TEAMRUN_DATA_DIR": str(site.folder / "data"), **more}


@contextmanager
def _processes(site: Site, workers: int, **more: str) -> Generator[Host]:
    port = free_port()
    logs = site.folder / "logs"
    logs.mkdir()
    environ = _environ(site, TEAMRUN_PORT=str(port), **more)
    api = _Process(start_api, "api", environ, logs, " running on ")
    made = [
        _Process(start_worker, f"worker{number}", environ, logs, "worker.ready")
        for number in range(workers)
    ]
    with ExitStack() as stack:
        for process in (api, *made):
            stack.enter_context(closing(process))
            process.start()
        yield Processes(site, f"http://127.0.0.1:{port}", made or [api])


@contextmanager
def _api_that_executes(site: Site) -> Generator[Host]:
    with _processes(site, 0) as host:
        yield host


@contextmanager
def _celery_worker(site: Site) -> Generator[Host]:
    with valkey() as server, _processes(site, 1, TEAMRUN_REDIS_URL=server.url) as host:
        yield host


@contextmanager
def _workers_with_a_queue_alone(site: Site) -> Generator[Host]:
    """Two workers and an API that have a queue and a store, and no common live state."""
    with valkey() as server, _processes(site, 2, TEAMRUN_QUEUE_URL=server.url) as host:
        yield host


@contextmanager
def _embedded(site: Site) -> Generator[Host]:
    with Embedded(site, _environ(site)) as host:
        yield host


HOSTS: dict[str, Callable[[Site], AbstractContextManager[Host]]] = {
    "embedded": _embedded,
    "api that executes": _api_that_executes,
    "celery worker": _celery_worker,
    "two workers without shared live state": _workers_with_a_queue_alone,
    "aws lambda": on_lambda,
}
