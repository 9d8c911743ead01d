"""Deployments that the suite is run on: an API, and whatever executes its runs.

Another host, such as a cloud function, is one implementation of `Host` and one row in `HOSTS`. The
row is a context manager that starts the host for a `Site` and ends it. The suite calls a host from
one thread, and sends it requests from many.
"""

import asyncio
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import pytest
from tests.conformance.embedded import embedded
from tests.conformance.on_azure import on_azure
from tests.conformance.on_lambda import on_lambda
from tests.conformance.queue import GuardedValkey, guarded_valkey
from tests.conformance.site import Site, Written, files_below
from tests.support.children import Child, start_api, start_worker
from tests.support.quick_webhooks import PAUSE
from tests.support.service import free_port, until

from teamrun.core.refs import RunRef
from teamrun.dispatch.open import open_dispatcher
from teamrun.runtime import namespace_of
from teamrun.settings import CommonSettings, load_settings

__all__ = ["HOSTS", "Crowded", "Host", "Limited", "Queued"]

_SERVES = " running on "


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


@runtime_checkable
class Crowded(Protocol):
    """A host of which several may execute runs at the same time."""

    def overtake(self) -> AbstractContextManager[None]:
        """Let whatever executes runs fall silent, and start a successor beside it.

        At the end of the context the silent one goes on, so that both execute.
        """
        ...


@runtime_checkable
class Limited(Protocol):
    """A host whose platform ends an invocation after a time."""

    limit_s: float
    """The time in seconds. A longer call is cancelled, and made again."""


@runtime_checkable
class Queued(Protocol):
    """A host with a queue."""

    def deliver_again(self, run_id: str) -> None:
        """Send the message that names a run once more."""
        ...


@dataclass
class _Process:
    """One process of a deployment after the other; each has a log file of its own."""

    start_child: Callable[[dict[str, str], Path], Child]
    name: str
    environ: dict[str, str]
    logs: Path
    ready: str
    """A part of the log line that reports readiness."""
    children: list[Child] = field(default_factory=list[Child])

    @property
    def child(self) -> Child:
        return self.children[-1]

    def start(self) -> None:
        log = self.logs / f"{self.name}.{len(self.children) + 1}.log"
        self.children.append(self.start_child(self.environ, log))
        until(lambda: self.ready in log.read_text(encoding="utf-8"), f"{self.name} is ready")

    def end(self) -> None:
        """SIGTERM, and wait."""
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.process.join(60)
            assert not child.is_alive

    def close(self) -> None:
        for child in self.children:
            child.kill()


@dataclass
class Processes:
    """Implements `Host` with an API and processes that execute runs.

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


@dataclass
class Workers(Processes):
    """Implements `Host`, `Crowded` and `Queued`."""

    environ: dict[str, str]
    commands: Callable[[], bytes]
    """What the server of the queue was told."""

    @contextmanager
    def overtake(self) -> Generator[None]:
        silent = [executor.child for executor in self.executors]
        for child in silent:
            child.freeze()
        for executor in self.executors:
            executor.start()
        yield
        for child in silent:
            child.thaw()

    def deliver_again(self, run_id: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "environ", self.environ)
            settings = load_settings(CommonSettings)
        asyncio.run(_send(settings, run_id))

    def written(self) -> Iterator[Written]:
        yield from super().written()
        yield "commands of Redis", self.commands()


async def _send(settings: CommonSettings, run_id: str) -> None:
    prefix, setting = namespace_of(settings), settings.queue_setting
    dispatcher = open_dispatcher(settings.queue, prefix=prefix, setting=setting)
    assert dispatcher is not None
    await dispatcher.send([RunRef("default", run_id)])
    await dispatcher.close()


def _environ(site: Site, **more: str) -> dict[str, str]:
    more |= {"TEAMRUN_DATA_DIR": str(site.folder / "data"), PAUSE: "0.2"}
    return {**os.environ, **site.environ, **more}


@contextmanager
def _api_that_executes(site: Site) -> Generator[Host]:
    port, logs = free_port(), _logs(site)
    api = _Process(start_api, "api", _environ(site, TEAMRUN_PORT=str(port)), logs, _SERVES)
    with closing(api):
        api.start()
        yield Processes(site, f"http://127.0.0.1:{port}", [api])


@contextmanager
def _celery_worker(site: Site) -> Generator[Host]:
    with guarded_valkey() as server, _workers(site, server, 1, "TEAMRUN_REDIS_URL") as host:
        yield host


@contextmanager
def _workers_with_a_queue_alone(site: Site) -> Generator[Host]:
    """Two workers and an API that have a queue and a store, and no common live state."""
    with guarded_valkey() as server, _workers(site, server, 2, "TEAMRUN_QUEUE_URL") as host:
        yield host


@contextmanager
def _workers(site: Site, server: GuardedValkey, count: int, setting: str) -> Generator[Host]:
    port, logs = free_port(), _logs(site)
    environ = _environ(site, TEAMRUN_PORT=str(port)) | {setting: server.url}
    api = _Process(start_api, "api", environ, logs, _SERVES)
    workers = [
        _Process(start_worker, f"worker{number}", environ, logs, "worker.ready")
        for number in range(count)
    ]
    with ExitStack() as stack:
        for process in (api, *workers):
            stack.enter_context(closing(process))
            process.start()
        yield Workers(site, f"http://127.0.0.1:{port}", workers, environ, server.commands)


def _logs(site: Site) -> Path:
    folder = site.folder / "logs"
    folder.mkdir()
    return folder


@contextmanager
def _embedded(site: Site) -> Generator[Host]:
    with embedded(site, _environ(site)) as host:
        yield host


HOSTS: dict[str, Callable[[Site], AbstractContextManager[Host]]] = {
    "embedded": _embedded,
    "api that executes": _api_that_executes,
    "celery worker": _celery_worker,
    "two workers without shared live state": _workers_with_a_queue_alone,
    "aws lambda": on_lambda,
    "azure functions": on_azure,
}
