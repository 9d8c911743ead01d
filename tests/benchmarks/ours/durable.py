"""Durable runs: an engine and a store in the measured process, as in a worker."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.meter import TASK, Meter, gathered, measured, memory_kb, scratch
from tests.benchmarks.ours.models import Halting, Speaker, ToolCaller
from tests.benchmarks.ours.stores import RecordingStore, replay

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.live.memory import MemoryLive
from teamrun.models import ChatCompletionClient
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.engine import Engine
from teamrun.runs.service.requests import RunRequest
from teamrun.runs.service.service import RunService
from teamrun.storage.base import ObjectStore
from teamrun.storage.file import FileStore
from teamrun.storage.memory import MemoryStore
from teamrun.testing import MemoryQueue
from teamrun.tools import FunctionTool

_TENANT = "default"
_GC_THRESHOLDS = (50_000, 20, 100)  # as in a worker process


async def add(a: int, b: int) -> int:
    return a + b


@dataclass(frozen=True, slots=True)
class Service:
    """The service that accepts runs and the engine that executes them."""

    runs: RunService
    engine: Engine
    store: ObjectStore
    live: MemoryLive

    async def submit(self) -> RunRef:
        submitted = await self.runs.submit(_TENANT, RunRequest(team="team", input=TASK))
        return RunRef(_TENANT, submitted.run.id)

    async def execute(self, ref: RunRef) -> None:
        finish = await self.engine.execute(ref)
        assert finish == "ended", finish

    async def completed(self, refs: list[RunRef]) -> int:
        runs = [await self.runs.get(ref.tenant, ref.run_id) for ref in refs]
        return sum(run.status == "completed" for run in runs)


def talk(turns: int) -> dict[str, Any]:
    agents = [{"type": "assistant_agent", "name": name, "model": "m"} for name in ("a", "b")]
    return {"type": "round_robin_group_chat", "participants": agents, "max_turns": turns}


def calculate(rounds: int) -> dict[str, Any]:
    agent = {"type": "assistant_agent", "name": "a", "model": "m", "tools": ["add"]}
    return {
        "type": "round_robin_group_chat",
        "participants": [{**agent, "max_tool_iterations": rounds + 1}],
        "max_turns": 1,
    }


@asynccontextmanager
async def service(
    model: ChatCompletionClient, team: dict[str, Any], store: ObjectStore, **options: Any
) -> AsyncGenerator[Service]:
    registry = Registry.of(
        teams={"team": team},
        models={"m": model},
        tools=[FunctionTool(add, description="Add two numbers.")],
    )
    live, queue = MemoryLive(), MemoryQueue()
    runs = RunService(store=store, live=live, dispatcher=queue, registry=registry)
    program = team_program(registry)
    engine = Engine(
        store=store, live=live, dispatcher=queue, program=program, owner="bench", **options
    )
    try:
        yield Service(runs, engine, store, live)
    finally:
        await engine.close()
        await store.close()


@contextmanager
def opened(kind: str) -> Generator[ObjectStore]:
    """A fresh store."""
    if kind == "memory":
        yield MemoryStore()
        return
    with scratch() as folder:
        yield FileStore(folder)


async def turn(*, store: str, runs: int, turns: int) -> dict[str, float]:
    return await _one_by_one(talk(turns), Speaker(), store=store, runs=runs, units=turns)


async def tool_round(*, store: str, runs: int, rounds: int) -> dict[str, float]:
    model = ToolCaller(rounds)
    return await _one_by_one(calculate(rounds), model, store=store, runs=runs, units=rounds)


async def _one_by_one(
    team: dict[str, Any], model: ChatCompletionClient, *, store: str, runs: int, units: int
) -> dict[str, float]:
    """Run after run; the store's own cost is that of the same calls on another such store."""
    as_worker()
    with opened(store) as first:
        recording = RecordingStore(first)
        async with service(model, team, recording) as warm:
            refs = [await warm.submit() for _ in range(runs)]
            recording.calls.clear()
            for ref in refs:
                await warm.execute(ref)
    with opened(store) as second, Meter() as alone:
        await replay(recording.calls, second)
    with opened(store) as third:
        async with service(model, team, third) as serving:
            refs = [await serving.submit() for _ in range(runs)]
            with Meter() as meter:
                for ref in refs:
                    await serving.execute(ref)
                await serving.engine.drained()
            assert await serving.completed(refs) == runs
    count = runs * units
    return {
        "cpu_us": meter.cpu_s / count * 1e6,
        "store_us": alone.cpu_s / count * 1e6,
        "besides_us": (meter.cpu_s - alone.cpu_s) / count * 1e6,
        "puts_per_run": sum(call[0].startswith("put") for call in recording.calls) / runs,
    }


async def at_once(*, store: str, runs: int, turns: int, delay_s: float) -> dict[str, float]:
    return await _at_once(talk(turns), Speaker(delay_s), store=store, runs=runs, units=turns)


async def rounds_at_once(*, store: str, runs: int, rounds: int, delay_s: float) -> dict[str, float]:
    model = ToolCaller(rounds, delay_s)
    return await _at_once(calculate(rounds), model, store=store, runs=runs, units=rounds)


async def _at_once(
    team: dict[str, Any], model: ChatCompletionClient, *, store: str, runs: int, units: int
) -> dict[str, float]:
    with opened(store) as place:
        async with service(model, team, place) as serving:
            await serving.execute(await serving.submit())
            refs = [await serving.submit() for _ in range(runs)]
            as_worker()
            with Meter() as meter:
                await gathered(serving.execute(ref) for ref in refs)
            done = await serving.completed(refs)
    figures = {"wall_s": meter.wall_s, "cpu_ms": meter.cpu_s / runs * 1e3, "done": done}
    return {**figures, "cpu_us": meter.cpu_s / runs / units * 1e6}


async def halfway(*, store: str, runs: int, turns: int) -> dict[str, float]:
    model = Halting(turns // 2)
    with opened(store) as place:
        async with service(model, talk(turns), place) as serving:
            model.go.set()
            await serving.execute(await serving.submit())
            model.go.clear()
            refs = [await serving.submit() for _ in range(runs)]
            model.halted = 0
            as_worker()
            idle_kb = memory_kb()
            tasks = [asyncio.ensure_future(serving.execute(ref)) for ref in refs]
            await model.all_halted(runs)
            used_kb = memory_kb() - idle_kb
            model.go.set()
            await gathered(tasks)
            done = await serving.completed(refs)
    return {"memory_kb": used_kb / runs, "done": done}


def as_worker() -> None:
    """The settings of the garbage collector in a worker process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


if __name__ == "__main__":
    works = {"turn": turn, "tool_round": tool_round, "halfway": halfway}
    measured({**works, "at_once": at_once, "rounds_at_once": rounds_at_once})
