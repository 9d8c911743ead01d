"""One real worker process: Celery in front, Valkey as the queue, runs in a folder."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.benchmarks.meter import cpu_s_of, measured, memory_kb, scratch
from tests.benchmarks.ours.team_file import write_team_file
from tests.support.services import valkey

from teamrun.batches.requests import BatchRequest
from teamrun.batches.service import BatchService
from teamrun.components.catalog import Teams
from teamrun.components.team_file import load_registry
from teamrun.core.refs import RunRef
from teamrun.dispatch.celery import CeleryDispatcher
from teamrun.live.open import open_live
from teamrun.runs.service.requests import RunRequest
from teamrun.runs.service.service import RunService
from teamrun.storage.address import key_prefix
from teamrun.storage.open import open_store
from teamrun.testing import MemoryQueue

_REQUEST = RunRequest(team="team", input="Name a word, then another one.")
_NAMESPACE = "benchmark"
_TENANT = "default"


@contextmanager
def worker(folder: Path, redis_url: str, *, runs: int) -> Generator[int]:
    """A worker that takes so many runs at once; its pid, when it consumes."""
    settings = {
        "TEAMRUN_CONFIG": str(folder / "teamrun.yaml"),
        "TEAMRUN_DATA_DIR": str(folder),
        "TEAMRUN_REDIS_URL": redis_url,
        "TEAMRUN_NAMESPACE": _NAMESPACE,
        "TEAMRUN_MAX_RUNS": str(runs + 1),
        "TEAMRUN_LOG_LEVEL": "error",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "teamrun_worker"], env={**os.environ, **settings}
    )
    with process:
        try:
            yield process.pid
        finally:
            process.kill()


@asynccontextmanager
async def service(folder: Path, redis_url: str) -> AsyncGenerator[RunService]:
    """Accepts runs without sending them; `dispatched` sends them."""
    registry = load_registry(folder / "teamrun.yaml", environ={})
    store, live = (
        open_store((folder / "store").as_uri()),
        open_live(redis_url, prefix=key_prefix(_NAMESPACE)),
    )
    try:
        yield RunService(store=store, live=live, dispatcher=MemoryQueue(), registry=registry)
    finally:
        for part in (registry, live, store):
            await part.close()


async def submitted(runs: RunService, count: int) -> list[RunRef]:
    answers = [await runs.submit(_TENANT, _REQUEST) for _ in range(count)]
    return [RunRef(_TENANT, answer.run.id) for answer in answers]


async def ended(folder: Path, refs: list[RunRef], pid: int) -> float:
    """Wait for the results on the disk, which costs the worker nothing; its most KB meanwhile."""
    left, most_kb = {ref.run_id for ref in refs}, 0.0
    while left:
        await asyncio.sleep(0.1)
        most_kb = max(most_kb, memory_kb(pid))
        found = (folder / "store" / "t" / _TENANT / "runs").glob("*/*/result.json*")
        left -= {path.parent.name for path in found}
    return most_kb


async def one_by_one(
    *, runs: int, turns: int, together: int, places: int = 100
) -> dict[str, float]:
    """CPU of a worker per run, if each message names `together` runs; all are in the queue."""
    with scratch() as folder:
        write_team_file(folder, turns=turns, delay_s=0)
        with valkey() as server, worker(folder, server.url, runs=places) as pid:
            async with service(folder, server.url) as accepting:
                queue = CeleryDispatcher(server.url, prefix=key_prefix(_NAMESPACE))
                warm = await submitted(accepting, 20)
                await queue.send(warm)
                await ended(folder, warm, pid)
                refs = await submitted(accepting, runs)
                cpu_s, began = cpu_s_of(pid), time.perf_counter()
                for start in range(0, runs, together):
                    await queue.send(refs[start : start + together])
                await ended(folder, refs, pid)
                wall_s, cpu_s = time.perf_counter() - began, cpu_s_of(pid) - cpu_s
                await queue.close()
    return {"cpu_ms": cpu_s / runs * 1e3, "wall_s": wall_s}


async def batch(*, runs: int) -> dict[str, float]:
    """CPU of a worker per item of a batch of one call each, which it feeds itself."""
    with scratch() as folder:
        write_team_file(folder, turns=1, delay_s=0)
        with valkey() as server, worker(folder, server.url, runs=100) as pid:
            async with batches(folder, server.url) as accepting:
                await _completed(accepting, 20)
                cpu_s, began = cpu_s_of(pid), time.perf_counter()
                await _completed(accepting, runs)
                wall_s, cpu_s = time.perf_counter() - began, cpu_s_of(pid) - cpu_s
    return {"cpu_ms": cpu_s / runs * 1e3, "wall_s": wall_s}


@asynccontextmanager
async def batches(folder: Path, redis_url: str) -> AsyncGenerator[BatchService]:
    """Accepts batches; the worker finds them."""
    registry = load_registry(folder / "teamrun.yaml", environ={})
    store, live = (
        open_store((folder / "store").as_uri()),
        open_live(redis_url, prefix=key_prefix(_NAMESPACE)),
    )
    try:
        yield BatchService(store=store, live=live, teams=Teams(registry))
    finally:
        for part in (registry, live, store):
            await part.close()


async def _completed(accepting: BatchService, items: int) -> None:
    """Submit a batch, and wait for its end."""
    file = await accepting.files.upload(_TENANT, _lines(items), name="items.jsonl", limit=10**9)
    request = BatchRequest(team="team", input_file_id=file.id, max_concurrency=100)
    batch = (await accepting.submit(_TENANT, request)).batch
    while batch.status != "completed":
        assert batch.counts.failed == 0
        await asyncio.sleep(0.2)
        batch = await accepting.get(_TENANT, batch.id)


async def _lines(items: int) -> AsyncIterator[bytes]:
    for number in range(items):
        yield b'{"input":"Name word %d, then another one."}\n' % number


async def cold() -> dict[str, float]:
    """A fresh worker until its first run has ended."""
    with scratch() as folder:
        write_team_file(folder, turns=1, delay_s=0)
        with valkey() as server:
            async with service(folder, server.url) as accepting:
                queue = CeleryDispatcher(server.url, prefix=key_prefix(_NAMESPACE))
                refs = await submitted(accepting, 1)
                await queue.send(refs)
                await queue.close()
                with worker(folder, server.url, runs=1) as pid:
                    await ended(folder, refs, pid)
                    return {"cpu_ms": cpu_s_of(pid) * 1e3, "memory_kb": memory_kb(pid)}


async def at_once(*, runs: int, turns: int, delay_s: float) -> dict[str, float]:
    with scratch() as folder:
        write_team_file(folder, turns=turns, delay_s=delay_s)
        with valkey() as server, worker(folder, server.url, runs=runs) as pid:
            async with service(folder, server.url) as accepting:
                queue = CeleryDispatcher(server.url, prefix=key_prefix(_NAMESPACE))
                [warm] = await submitted(accepting, 1)
                await queue.send([warm])
                await ended(folder, [warm], pid)
                refs = await submitted(accepting, runs)
                idle_kb, cpu_s, began = memory_kb(pid), cpu_s_of(pid), time.perf_counter()
                await queue.send(refs)
                most_kb = await ended(folder, refs, pid)
                wall_s, cpu_s = time.perf_counter() - began, cpu_s_of(pid) - cpu_s
                await queue.close()
                statuses = [(await accepting.get(_TENANT, ref.run_id)).status for ref in refs]
    return {
        "wall_s": wall_s,
        "cpu_ms": cpu_s / runs * 1e3,
        "memory_kb": (most_kb - idle_kb) / runs,
        "done": statuses.count("completed"),
    }


if __name__ == "__main__":
    measured({"at_once": at_once, "batch": batch, "cold": cold, "one_by_one": one_by_one})
