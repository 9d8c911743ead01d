"""`teamrun serve` as a user starts it, for tests: a subprocess, and what can be seen of it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Served", "Timeline", "example", "free_port", "processes", "serving", "until"]

ROOT = Path(__file__).parents[2]
WITHIN_S = 150.0
"""Far longer than anything takes: what is too slow here is a busy machine, which proves nothing."""
MARK = "TEAMRUN_TEST_MARK"

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def until(probe: Callable[[], Any], what: str, *, within_s: float = WITHIN_S) -> None:
    """Poll until a condition in another process is true."""
    deadline = time.monotonic() + within_s
    tick = threading.Event()
    while not probe():
        assert time.monotonic() < deadline, f"in {within_s} s it did not come true: {what}"
        tick.wait(0.05)


def processes(mark: str, folder: Path) -> dict[int, str]:
    """Every living process that was started, however indirectly, with this mark; by pid.

    Valkey overwrites its environment; it is known by its working directory in `folder`.
    """
    found: dict[int, str] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        try:
            marked = f"{MARK}={mark}".encode() in (process / "environ").read_bytes()
            within = (process / "cwd").readlink().is_relative_to(folder)
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if (marked or within) and command:
            found[int(process.name)] = command
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def example(folder: Path, *, latency_ms: int | None = None) -> Path:
    """A copy of the example, its scripted model slowed down; the file to serve."""
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "teamrun.yaml"
    text = path.read_text(encoding="utf-8")
    assert "latency_ms: 150" in text
    if latency_ms is not None:
        path.write_text(
            text.replace("latency_ms: 150", f"latency_ms: {latency_ms}"), encoding="utf-8"
        )
    return path


@dataclass
class Timeline:
    """The events of a run as one client saw them, over however many connections."""

    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    ended: bool = False

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def last_id(self) -> str | None:
        return self.events[-1]["id"] if self.events else None


@dataclass
class Served:
    """One `teamrun serve`."""

    process: subprocess.Popen[str]
    environ: dict[str, str]
    data_dir: Path
    url: str = ""

    @property
    def processes(self) -> dict[int, str]:
        return processes(self.environ[MARK], self.data_dir)

    def pid_of(self, part: str) -> int:
        """The one process whose command line contains `part`."""
        (pid,) = (pid for pid, command in self.processes.items() if part in command)
        return pid

    def cli(self, *arguments: str, timeout_s: float = WITHIN_S) -> subprocess.CompletedProcess[str]:
        """A command of the CLI against this service."""
        return subprocess.run(
            [sys.executable, "-m", "teamrun", *arguments],
            env={**self.environ, "TEAMRUN_URL": self.url},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def get(self, path: str) -> Any:
        with _direct.open(f"{self.url}{path}", timeout=WITHIN_S) as response:
            return json.load(response)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with _direct.open(request, timeout=WITHIN_S) as response:
            return json.load(response)

    def follow(self, run_id: str, seen: Timeline) -> Iterator[dict[str, Any]]:
        """Durable events by SSE, after the last one in `seen`; they are added to it."""
        headers = {"Accept": "text/event-stream"}
        if seen.last_id is not None:
            headers["Last-Event-ID"] = seen.last_id
        request = urllib.request.Request(f"{self.url}/v1/runs/{run_id}/events", headers=headers)
        with _direct.open(request, timeout=WITHIN_S) as response:
            event_id: str | None = None
            for raw in response:
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name == "id":
                    event_id = value
                elif name == "event" and value == "end":
                    seen.ended = True
                    return
                elif name == "data" and event_id is not None:
                    event = json.loads(value)
                    assert event["id"] == event_id
                    seen.events.append(event)
                    event_id = None
                    yield event

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(WITHIN_S)


@contextmanager
def serving(
    data_dir: Path,
    *,
    config: Path,
    environ: dict[str, str] | None = None,
    ready: bool = True,
    port: int | None = None,
) -> Generator[Served]:
    """A running service; whatever is left of it at the end is killed."""
    full = {**os.environ, MARK: uuid.uuid4().hex, **(environ or {})}
    command = [sys.executable, "-m", "teamrun", "serve", "--data-dir", str(data_dir)]
    process = subprocess.Popen(
        [*command, "--config", str(config), "--port", str(port or 0)],
        env=full,
        stdout=subprocess.PIPE,
        stderr=None if ready else subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    served = Served(process, full, data_dir)
    try:
        if ready:
            assert process.stdout is not None
            served.url = process.stdout.readline().strip()
            assert served.url, f"serve ended with {process.wait(WITHIN_S)}"
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(WITHIN_S)
        for pid in served.processes:
            os.kill(pid, signal.SIGKILL)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
