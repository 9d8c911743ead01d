"""Real workers and API servers as child processes that start in a tenth of a second.

They are forked off a server process that has imported everything already, and then do what
`python -m teamrun_worker` and `python -m teamrun_api` do. Should the test run itself be killed,
they end with it.
"""

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.support.crash_points import (
    Crash,
    Points,
    WatchedDispatcher,
    WatchedLive,
    WatchedStore,
    arm,
)
from tests.support.quick_webhooks import quicken

from teamrun.live.memory import MemoryLive
from teamrun.runtime import Backends, open_backends
from teamrun.settings import CommonSettings

__all__ = ["Child", "start_api", "start_worker"]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.support.preloaded"])


class Child:
    """One process, and the file that it writes its log to."""

    def __init__(self, process: BaseProcess, log: Path) -> None:
        self.process = process
        self.log = log
        self.frozen = False
        log.touch()
        process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> None:
        """SIGKILL, whatever state it is in."""
        self.process.kill()
        self.process.join(10)

    def terminate(self) -> None:
        """SIGTERM; it may take a while."""
        self.process.terminate()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
        self.frozen = False

    def actions(self) -> list[str]:
        """The `action` of each line of its log, and `traceback` for each exception in there."""
        found: list[str] = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            if line.startswith("{"):
                record = json.loads(line)
                found.append(record.get("action", ""))
                if "exception" in record:
                    found.append("traceback")
            elif line.startswith("Traceback"):
                found.append("traceback")
        return found


def start_worker(
    environ: Mapping[str, str],
    log: Path,
    *,
    note: Path | None = None,
    crash: Crash | None = None,
    lonely: bool = False,
) -> Child:
    """Start a worker; with `note`, its passings of crash points are noted there.

    A lonely one has separate live state: leases and notifications of others do not reach it.
    """
    given = (dict(environ), log, note, crash, lonely)
    process = _context.Process(target=_worker, args=given, daemon=True)
    return Child(process, log)


def start_api(
    environ: Mapping[str, str], log: Path, *, note: Path | None = None, crash: Crash | None = None
) -> Child:
    """Start an API server; with `note`, its passings of crash points are noted there."""
    process = _context.Process(target=_api, args=(dict(environ), log, note, crash), daemon=True)
    return Child(process, log)


def _worker(
    environ: dict[str, str], log: Path, note: Path | None, crash: Crash | None, lonely: bool
) -> None:
    _settle_in(environ, log)
    quicken(environ)
    from teamrun_worker.process import main

    def backends(settings: CommonSettings) -> Backends:
        opened = open_backends(settings)
        queue = opened.dispatcher
        assert queue is not None
        if lonely:
            opened = opened._replace(live=MemoryLive())
        if note is None:
            return opened
        points = Points(note, crash)
        arm(points)
        return Backends(
            store=WatchedStore(opened.store, points),
            live=WatchedLive(opened.live, points),
            dispatcher=WatchedDispatcher(queue, points, in_worker=True),
        )

    sys.exit(main(backends=backends))


def _api(environ: dict[str, str], log: Path, note: Path | None, crash: Crash | None) -> None:
    _settle_in(environ, log)
    quicken(environ)
    from teamrun_api.process import main

    def watched(settings: CommonSettings) -> Backends:
        backends = open_backends(settings)
        if note is None or backends.dispatcher is None:
            return backends
        points = Points(note, crash)
        return Backends(
            store=WatchedStore(backends.store, points),
            live=backends.live,
            dispatcher=WatchedDispatcher(backends.dispatcher, points),
        )

    sys.exit(main([], backends=watched))


def _settle_in(environ: dict[str, str], log: Path) -> None:
    os.environ.update(environ)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_with_parent, daemon=True).start()
