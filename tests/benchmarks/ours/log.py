"""The log alone: the cost of appending an entry, and of resuming a run."""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.benchmarks.meter import Meter, measured, scratch, text_of
from tests.benchmarks.ours.durable import as_worker, service, talk
from tests.benchmarks.ours.models import Halting
from tests.support.services import moto

from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import CallRecord, Claim, LoggedEvent, Step
from teamrun.runs.log.keys import snapshot_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore
from teamrun.storage.open import open_store


@asynccontextmanager
async def stored(kind: str) -> AsyncGenerator[ObjectStore]:
    """A new store: in memory, a folder, a folder with fsync, or a bucket."""
    if kind == "memory":
        yield MemoryStore()
    elif kind == "file":
        with scratch() as folder:
            yield open_store(f"file://{folder}")
    elif kind == "fsync":
        with tempfile.TemporaryDirectory(prefix="teamrun-bench-") as folder:
            yield open_store(f"file://{folder}", fsync=True)
    else:
        with moto() as server:
            server.make_bucket("bench")
            os.environ.update(server.environ())
            yield open_store(server.url("bench"))


async def append(*, store: str, count: int) -> dict[str, float]:
    """Entry after entry, each with a model's answer of 200 characters; and their bytes alone."""
    async with stored(store) as place, service(Halting(0), talk(2), place) as serving:
        log, state = await _claimed(place, await serving.submit())
        with Meter() as meter:
            for n in range(count):
                body, events = _step(n)
                entry = await log.append(state, body, events, epoch=state.epoch)
                assert entry is not None
        written = (await log.stored())[-count:]
        with Meter() as alone:
            for n, data in enumerate(written):
                await place.put_new(f"t/default/bench/{n:06d}.json", data)
    return {
        "wall_us": meter.wall_s / count * 1e6,
        "cpu_us": meter.cpu_s / count * 1e6,
        "store_us": alone.cpu_s / count * 1e6,
        "store_wall_us": alone.wall_s / count * 1e6,
    }


async def _claimed(store: ObjectStore, ref: RunRef) -> tuple[RunLog, RunState]:
    log = RunLog(store, ref, writer="bench", clock=SystemClock())
    state = await log.state()
    assert state is not None
    entry = await log.append(state, Claim(owner="bench"), [], epoch=1)
    assert entry is not None
    return log, state


def _step(n: int) -> tuple[Step, list[LoggedEvent]]:
    call_id, text = f"team/a/model:{n}", text_of(n)
    record = CallRecord(call_id=call_id, kind="model", name="m", value={"content": text})
    event = LoggedEvent(type="model.call.completed", agent="a", data={"call_id": call_id})
    return Step(calls=[record]), [event]


async def resume(*, steps: int, runs: int, has_snapshot: bool) -> dict[str, float]:
    """From taking up a run with so many answered calls to the beginning of its next call.

    Without the snapshot of a long run, its whole log is replayed.
    """
    model = Halting(steps)
    async with service(model, talk(steps + 1), MemoryStore()) as first:
        refs = [await first.submit() for _ in range(runs)]
        tasks = [asyncio.ensure_future(first.execute(ref)) for ref in refs]
        await model.all_halted(runs)
        first.engine.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        store = first.store
        if not has_snapshot:
            await store.delete_many([snapshot_key(ref) for ref in refs])
        again = Halting(steps)
        async with service(again, talk(steps + 1), store) as second:
            as_worker()
            tasks = list[asyncio.Task[None]]()
            with Meter() as meter:
                for n, ref in enumerate(refs, start=1):
                    tasks.append(asyncio.create_task(second.execute(ref)))
                    await again.all_halted(n)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    per_step_us = meter.cpu_s / runs / max(steps, 1) * 1e6
    return {"cpu_ms": meter.cpu_s / runs * 1e3, "step_us": per_step_us}


if __name__ == "__main__":
    measured({"append": append, "resume": resume})
