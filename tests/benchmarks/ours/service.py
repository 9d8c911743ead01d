"""The whole service: an API process and a worker process, with Valkey and a folder between them."""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.meter import cpu_s_of, measured, memory_kb, scratch
from tests.benchmarks.ours.http import Client, Stream, answer_of
from tests.benchmarks.ours.served import store_calls
from tests.benchmarks.ours.team_file import write_team_file
from tests.support.services import valkey

from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.live.open import open_live
from teamrun.runs.log.entries import End, LoggedEvent, Step
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.observers import Observers
from teamrun.storage.address import key_prefix
from teamrun.storage.open import open_store

_NAMESPACE = "benchmark"
_BODY = {"team": "team", "input": "Name a word, then another one."}
_EVENTS = 2  # of an entry


@dataclass(frozen=True, slots=True)
class Process:
    """A process of ours."""

    pid: int
    counts: Path

    def cpu_s(self) -> float:
        return cpu_s_of(self.pid)

    def calls(self) -> int:
        """The calls of its store so far."""
        return sum(store_calls(self.counts).values())


@contextmanager
def process(kind: str, folder: Path, redis_url: str, **more: str) -> Generator[Process]:
    settings = {
        "TEAMRUN_CONFIG": str(folder / "teamrun.yaml"),
        "TEAMRUN_DATA_DIR": str(folder),
        "TEAMRUN_REDIS_URL": redis_url,
        "TEAMRUN_NAMESPACE": _NAMESPACE,
        "TEAMRUN_LOG_LEVEL": "error",
        **more,
    }
    root = Path(__file__).parents[3]
    sources = [str(root / part) for part in ("shared", "api", "worker", "")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sources), **settings}
    counts = folder / f"{kind}.calls"
    command = [sys.executable, "-m", "tests.benchmarks.ours.served", kind, str(counts)]
    with subprocess.Popen(command, env=environ) as running:
        try:
            yield Process(running.pid, counts)
        finally:
            running.terminate()


@asynccontextmanager
async def served(folder: Path, redis_url: str) -> AsyncGenerator[tuple[Process, int]]:
    """An API process that answers, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with process("api", folder, redis_url, TEAMRUN_PORT=str(port)) as api:
        for _ in range(200):
            try:
                client = await Client.open(port)
                break
            except OSError:
                await asyncio.sleep(0.05)
        else:
            raise RuntimeError("the API does not answer")
        await client.request("GET", "/healthz")
        client.close()
        yield api, port


async def streams(*, clients: int, entries: int, interval_s: float = 0.25) -> dict[str, float]:
    """So many streams of one run, whose log grows from another process."""
    with scratch() as folder, valkey() as server:
        write_team_file(folder, turns=1, delay_s=0)
        store = open_store((folder / "store").as_uri())
        live = open_live(server.url, prefix=key_prefix(_NAMESPACE))
        observers = Observers(live)
        async with served(folder, server.url) as (api, port):
            client = await Client.open(port)
            run_id = answer_of(await client.request("POST", "/v1/runs", _BODY))["id"]
            log = RunLog(
                store,
                RunRef("default", run_id),
                writer="w",
                clock=SystemClock(),
                observers=observers.rows,
            )
            state = await log.state()
            assert state is not None
            sent: list[float] = []
            delays: list[float] = []

            expected = 1 + entries * _EVENTS

            def heard(events: int, now: float) -> None:
                entry = (events - 1) // _EVENTS - 1
                if 0 <= entry < len(sent) and events <= expected:
                    delays.append(now - sent[entry])

            path, idle_kb = f"/v1/runs/{run_id}/events", memory_kb(api.pid)
            following = [await Stream.open(port, path, heard) for _ in range(clients)]
            await _until(lambda: all(stream.events > 0 for stream in following))
            cpu_s, calls = api.cpu_s(), api.calls()
            for number in range(entries):
                text = f"{number:06d}" + "x" * 200
                data = {"message": {"type": "TextMessage", "source": "a", "content": text}}
                events = [LoggedEvent("message.created", "a", data) for _ in range(_EVENTS)]
                await log.append(state, Step(), events, epoch=0)
                sent.append(time.perf_counter())
                await asyncio.sleep(interval_s)
            await _until(lambda: all(stream.events >= expected for stream in following))
            cpu_s, calls = api.cpu_s() - cpu_s, api.calls() - calls
            most_kb = memory_kb(api.pid)
            end = [LoggedEvent("run.completed", None, {})]
            await log.append(state, End(status="completed"), end, epoch=0)
            await asyncio.gather(*(stream.ended for stream in following))
            client.close()
        await observers.notices.close()
        await live.close()
        await store.close()
    return {
        "us": cpu_s / (entries * _EVENTS * clients) * 1e6,
        "p50_ms": statistics.median(delays) * 1e3,
        "p99_ms": _percentile(delays, 0.99) * 1e3,
        "calls": calls / entries,
        "memory_kb": (most_kb - idle_kb) / clients,
    }


async def submissions(*, rate: float, seconds: float, clients: int = 64) -> dict[str, float]:
    """Requests that arrive at a rate, whether or not those before them have been answered.

    The delay counts from the moment at which a request should have been sent.
    """
    with scratch() as folder, valkey() as server:
        write_team_file(folder, turns=1, delay_s=0)
        async with served(folder, server.url) as (api, port):
            free: asyncio.Queue[Client] = asyncio.Queue()
            for _ in range(clients):
                free.put_nowait(await Client.open(port))

            async def submitted(due: float) -> float:
                client = await free.get()
                answer_of(await client.request("POST", "/v1/runs", _BODY))
                free.put_nowait(client)
                return time.perf_counter() - due

            await asyncio.gather(*(submitted(0) for _ in range(200)))
            cpu_s, calls, began = api.cpu_s(), api.calls(), time.perf_counter()
            count, waiting = int(rate * seconds), list[asyncio.Task[float]]()
            for number in range(count):
                due = began + number / rate
                if (early := due - time.perf_counter()) > 0:
                    await asyncio.sleep(early)
                waiting.append(asyncio.ensure_future(submitted(due)))
            delays = await asyncio.gather(*waiting)
            took_s = time.perf_counter() - began
            cpu_s, calls = api.cpu_s() - cpu_s, api.calls() - calls
    return {
        "cpu_ms": cpu_s / count * 1e3,
        "per_s": count / took_s,
        "p50_ms": statistics.median(delays) * 1e3,
        "p99_ms": _percentile(delays, 0.99) * 1e3,
        "calls": calls / count,
    }


async def runs(
    *, runs: int, turns: int, in_flight: int, delay_s: float, client: str
) -> dict[str, float]:
    """Runs over HTTP, each with one client that waits for it or follows it."""
    with scratch() as folder, valkey() as server:
        write_team_file(folder, turns=turns, delay_s=delay_s)
        with process("worker", folder, server.url, TEAMRUN_MAX_RUNS="200") as worker:
            async with served(folder, server.url) as (api, port):
                await _rounds(port, range(1), 1, client)  # the worker is up
                await _rounds(port, range(in_flight), in_flight, client)
                parts = {"api": api, "worker": worker}
                cpu_s = {name: part.cpu_s() for name, part in parts.items()}
                calls = {name: part.calls() for name, part in parts.items()}
                valkey_s, began = cpu_s_of(server.pid), time.perf_counter()
                await _rounds(port, range(runs), in_flight, client)
                wall_s = time.perf_counter() - began
                figures = {
                    f"{name}_ms": (part.cpu_s() - cpu_s[name]) / runs * 1e3
                    for name, part in parts.items()
                }
                figures |= {
                    f"{name}_calls": (part.calls() - calls[name]) / runs
                    for name, part in parts.items()
                }
                figures["valkey_ms"] = (cpu_s_of(server.pid) - valkey_s) / runs * 1e3
    figures["cpu_ms"] = figures["api_ms"] + figures["worker_ms"]
    return figures | {"per_s": runs / wall_s}


async def _rounds(port: int, numbers: Iterable[int], at_once: int, client: str) -> None:
    left = iter(numbers)

    async def one_after_another() -> None:
        connection = await Client.open(port)
        for _ in left:
            if client == "wait":
                reply = await connection.request("POST", "/v1/runs", _BODY, Prefer="wait=60")
                assert answer_of(reply)["status"] == "completed", reply
            else:
                run_id = answer_of(await connection.request("POST", "/v1/runs", _BODY))["id"]
                stream = await Stream.open(port, f"/v1/runs/{run_id}/events")
                await stream.ended
        connection.close()

    await asyncio.gather(*(one_after_another() for _ in range(at_once)))


async def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(4000):
        if is_so():
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("the service is stuck")


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


if __name__ == "__main__":
    measured({"streams": streams, "submissions": submissions, "runs": runs})
