"""Deployments that the suite is run on: an API, and whatever executes its runs.

Another host, such as a cloud function, is one class here and one row in `HOSTS`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.support.service import free_port, until
from tests.support.services import valkey

__all__ = ["HOSTS", "Host"]


class Host(Protocol):
    """A deployment under test."""

    url: str
    """Of its API."""
    folder: Path
    """The ledger of its tools."""

    def replace(self) -> None:
        """End what executes runs as a deployment of a new release does, and start it again."""
        ...

    def lose(self) -> None:
        """Kill what executes runs, and start it again."""
        ...


@dataclass
class _Process:
    """One process of a deployment, and its log file."""

    module: str
    folder: Path
    environ: dict[str, str]
    ready: str
    """The action or message of the log line that reports readiness."""
    name: str = ""
    """Of its log file, if there are several of the module."""
    _process: "subprocess.Popen[bytes] | None" = None
    _count: int = 0

    def start(self) -> None:
        self._count += 1
        log = self.folder / f"{self.module}{self.name}.{self._count}.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=self.folder,
                env={**os.environ, **self.environ},
                stdout=out,
                stderr=out,
            )
        until(lambda: self.ready in log.read_text(encoding="utf-8"), f"{self.module} is ready")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def end(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=60)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGKILL)


@dataclass
class _Deployment:
    """Implements `Host` with an API process and the process that executes runs."""

    folder: Path
    url: str
    executes: _Process

    def replace(self) -> None:
        self.executes.end(signal.SIGTERM)
        self.executes.start()

    def lose(self) -> None:
        self.executes.kill()
        self.executes.start()


def _environ(folder: Path, port: int) -> dict[str, str]:
    return {
        "TEAMRUN_CONFIG": str(folder / "teamrun.yaml"),
        "TEAMRUN_DATA_DIR": str(folder / "data"),
        "TEAMRUN_PORT": str(port),
        "TEAMRUN_LEASE_SECONDS": "1",
        "TEAMRUN_GRACE_SECONDS": "5",
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        "LEDGER": str(folder / "ledger"),
    }


@contextmanager
def _api_that_executes(folder: Path) -> Generator[Host]:
    port = free_port()
    api = _Process("teamrun_api", folder, _environ(folder, port), " running on ")
    with contextlib.closing(_Closing(api)):
        api.start()
        yield _Deployment(folder, f"http://127.0.0.1:{port}", api)


@contextmanager
def _celery_worker(folder: Path) -> Generator[Host]:
    port = free_port()
    with ExitStack() as stack:
        server = stack.enter_context(valkey())
        environ = {**_environ(folder, port), "TEAMRUN_REDIS_URL": server.url}
        api = _Process("teamrun_api", folder, environ, " running on ")
        worker = _Process("teamrun_worker", folder, environ, "worker.ready")
        stack.enter_context(contextlib.closing(_Closing(api, worker)))
        api.start()
        worker.start()
        yield _Deployment(folder, f"http://127.0.0.1:{port}", worker)


@dataclass
class _Workers:
    """Implements `Host` with several workers, of which the one that owns a run is ended."""

    folder: Path
    url: str
    workers: list[_Process]

    def replace(self) -> None:
        for worker in self.workers:
            worker.end(signal.SIGTERM)
            worker.start()

    def lose(self) -> None:
        owner = self._owner()
        owner.kill()
        owner.start()

    def _owner(self) -> _Process:
        """The worker of the newest claim in the store."""
        logs = (self.folder / "data" / "store").rglob("log/*.json")
        entries = [json.loads(path.read_bytes()) for path in logs]
        claims = [entry for entry in entries if entry["kind"] == "claim"]
        pid = max(claims, key=lambda entry: entry["at"])["writer"].rsplit("-", 2)[1]
        return next(worker for worker in self.workers if worker.pid == int(pid))


@contextmanager
def _workers_with_a_queue_alone(folder: Path) -> Generator[Host]:
    """Two workers and an API that have a queue and a store, and no common live state."""
    port = free_port()
    with ExitStack() as stack:
        server = stack.enter_context(valkey())
        environ = {**_environ(folder, port), "TEAMRUN_QUEUE_URL": server.url}
        api = _Process("teamrun_api", folder, environ, " running on ")
        names = ("first", "second")
        workers = [
            _Process("teamrun_worker", folder, environ, "worker.ready", name) for name in names
        ]
        stack.enter_context(contextlib.closing(_Closing(api, *workers)))
        for process in (api, *workers):
            process.start()
        yield _Workers(folder, f"http://127.0.0.1:{port}", workers)


class _Closing:
    def __init__(self, *processes: _Process) -> None:
        self._processes = processes

    def close(self) -> None:
        for process in self._processes:
            process.kill()


HOSTS: dict[str, Callable[[Path], AbstractContextManager[Host]]] = {
    "api that executes": _api_that_executes,
    "celery worker": _celery_worker,
    "two workers without shared live state": _workers_with_a_queue_alone,
}
