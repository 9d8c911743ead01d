"""The same job under the same faults: as a run of ours, and as a plain Celery task."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.benchmarks.peers.celery_jobs import CALLS, TASK, make_app
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import heading
from tests.support.deployment import CountingModel, Deployment, deployed, sometime
from tests.support.load import Load
from tests.support.services import Valkey, valkey

from teamrun.redis.pipe import RedisPipe

__all__ = ["report"]

LATENCY_S = 0.2
LEASE_S = 5.0
"""Our lease, and Celery's visibility timeout: both longer than a job."""
PLACES = 6
"""Jobs that a worker does at once."""
JOBS, OVER_S = 60, 6.0
SILENCE_S = 8 * LEASE_S
"""Jobs that have not ended this long after the last one that did are lost."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The results of the jobs."""

    jobs: int
    lost: int
    doubled: int
    """Jobs whose line is in the ledger more than once."""
    calls_again: int
    took_s: float


class Process(Protocol):
    """A worker."""

    @property
    def pid(self) -> int: ...
    def kill(self) -> None: ...


class Rig(Protocol):
    """Two workers and a queue; a job is seven model calls and a line in a ledger."""

    server: Valkey

    async def worker(self) -> Process: ...
    async def submit(self, count: int, *, over_s: float = 0) -> None: ...
    async def counts(self) -> Counts: ...


class OurRig:
    """Runs of ours."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._load = Load(deployment)
        self.server = deployment.server

    async def worker(self) -> Process:
        """Start one, and wait until it takes jobs."""
        child = self._deployment.worker()
        await self._deployment.ready(child)
        return child

    async def submit(self, count: int, *, over_s: float = 0) -> None:
        """Send jobs."""
        await self._load.submit(count, over_s=over_s)

    async def counts(self) -> Counts:
        """Wait for the end, and count."""
        begun = time.monotonic()
        await self._deployment.all_settled(within_s=SILENCE_S)
        took_s = time.monotonic() - begun
        tally = await self._load.tally()
        return Counts(tally.runs, len(tally.unfinished), tally.doubled, tally.extra_calls, took_s)


class CeleryRig:
    """Plain tasks."""

    def __init__(self, folder: Path, server: Valkey, model: CountingModel) -> None:
        folder.mkdir()
        self._folder = folder
        self._model = model
        self._app = make_app(server.broker_url, LEASE_S)
        self._workers: list[subprocess.Popen[bytes]] = []
        self._tokens: list[str] = []
        self.server = server

    async def worker(self) -> Process:
        """Start one, and wait until it takes jobs."""
        arguments = [self.server.broker_url, self._model.base_url, str(self._folder)]
        command = [sys.executable, "-m", "tests.benchmarks.peers.celery_jobs", *arguments]
        process = _started([*command, str(LEASE_S), str(PLACES)])
        self._workers.append(process)
        await sometime(lambda: str(process.pid) in self._read("ready.txt"), "the worker consumes")
        return process

    async def submit(self, count: int, *, over_s: float = 0) -> None:
        """Send jobs."""
        for _ in range(count):
            token = f"token-{len(self._tokens)}"
            self._tokens.append(token)
            await asyncio.to_thread(self._send, token)
            await asyncio.sleep(over_s / count)

    async def counts(self) -> Counts:
        """Wait until all have ended, or nothing has for a long time; count."""
        begun = last = time.monotonic()
        done = 0
        while done < len(self._tokens) and time.monotonic() - last < SILENCE_S:
            await asyncio.sleep(0.2)
            if (now := len(set(self._read("done.txt")))) > done:
                done, last = now, time.monotonic()
        took_s = last - begun
        await asyncio.sleep(2 * LEASE_S)  # second copies are under way
        lines = self._read("ledger.txt")
        calls = sum(self._model.by_token[token] for token in self._tokens)
        return Counts(
            jobs=len(self._tokens),
            lost=len(self._tokens) - done,
            doubled=sum(lines.count(token) > 1 for token in self._tokens),
            calls_again=max(calls - CALLS * done, 0),
            took_s=took_s,
        )

    def close(self) -> None:
        """Kill the started processes."""
        for process in self._workers:
            process.kill()
            process.wait()

    def _send(self, token: str) -> None:
        self._app.send_task(TASK, [token])

    def _read(self, name: str) -> list[str]:
        path = self._folder / name
        return path.read_text(encoding="utf-8").split() if path.exists() else []


async def _kill(rig: Rig) -> None:
    """Every two seconds a worker with jobs under way gets SIGKILL, and is replaced."""
    workers = [await rig.worker(), await rig.worker()]
    sending = asyncio.create_task(rig.submit(JOBS, over_s=OVER_S))
    for _ in range(3):
        await asyncio.sleep(2)
        workers.pop(0).kill()
        workers.append(await rig.worker())
    await sending


async def _flush(rig: Rig) -> None:
    """Redis loses all data every two seconds."""
    await rig.worker()
    await rig.worker()
    pipe = RedisPipe(rig.server.url)
    sending = asyncio.create_task(rig.submit(JOBS, over_s=OVER_S))
    for _ in range(3):
        await asyncio.sleep(2)
        await pipe.call(b"FLUSHALL")
    await sending
    await pipe.close()


async def _freeze(rig: Rig) -> None:
    """An idle worker is frozen for good, and killed later; another one works."""
    frozen = await rig.worker()
    await rig.worker()
    _signal(frozen, "STOP")
    await rig.submit(JOBS // 2)
    await asyncio.sleep(LEASE_S)
    frozen.kill()


async def _zombie(rig: Rig) -> None:
    """A busy worker is frozen for three leases, and wakes up; another one works."""
    zombie = await rig.worker()
    await rig.submit(PLACES)
    await asyncio.sleep(2 * LATENCY_S)
    _signal(zombie, "STOP")
    await rig.worker()
    await asyncio.sleep(3 * LEASE_S)
    _signal(zombie, "CONT")


FAULTS: dict[str, Callable[[Rig], Awaitable[None]]] = {
    "kill -9 of a worker, 3 times": _kill,
    "FLUSHALL, 3 times": _flush,
    "an idle worker frozen": _freeze,
    "a busy worker frozen, then awake": _zombie,
}


def _started(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def _signal(process: Process, name: str) -> None:
    os.kill(process.pid, signal.Signals[f"SIG{name}"])


@asynccontextmanager
async def _ours(folder: Path, model: CountingModel) -> AsyncGenerator[Rig]:
    environ = {"TEAMRUN_LEASE_SECONDS": str(LEASE_S), "TEAMRUN_MAX_RUNS": str(PLACES)}
    async with deployed(folder, model=model, environ=environ) as deployment:
        yield OurRig(deployment)


@asynccontextmanager
async def _celery(folder: Path, model: CountingModel) -> AsyncGenerator[Rig]:
    with valkey() as server:
        rig = CeleryRig(folder, server, model)
        try:
            yield rig
        finally:
            rig.close()


SUBJECTS = {"teamrun": _ours, "Celery, acks_late": _celery}


async def _measure(folder: Path) -> list[tuple[str, str, Counts]]:
    found: list[tuple[str, str, Counts]] = []
    for fault, act in FAULTS.items():
        for name, subject in SUBJECTS.items():
            place = folder / f"{len(found)}"
            async with (
                CountingModel(latency_seconds=LATENCY_S) as model,
                subject(place, model) as rig,
            ):
                await act(rig)
                found.append((fault, name, await rig.counts()))
    return found


def report(bench: Bench) -> None:
    """Measure and print; it takes three minutes, quick or not."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        found = asyncio.run(_measure(Path(folder)))
    heading(
        f"Faults, jobs of {CALLS} model calls and one write; lease and visibility timeout "
        f"{LEASE_S:.0f} s, {PLACES} jobs at once for each of two workers"
    )
    titles = ("", "", "jobs", "lost", "written twice", "calls made again", "the last ended after")
    print("  {:34}{:20}{:>6}{:>6}{:>15}{:>18}{:>22}".format(*titles))
    for fault, name, counts in found:
        figures = (counts.jobs, counts.lost, counts.doubled, counts.calls_again)
        took = f"{counts.took_s:.1f} s"
        print("  {:34}{:20}{:>6}{:>6}{:>15}{:>18}{:>22}".format(fault, name, *figures, took))
