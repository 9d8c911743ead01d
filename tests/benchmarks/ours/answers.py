"""Runs that ask a person again and again: the cost of the k-th answer for the worker."""

from contextlib import nullcontext
from typing import Any

from tests.benchmarks.meter import Meter, measured
from tests.benchmarks.ours.durable import Service, as_worker, service
from tests.benchmarks.ours.models import Speaker
from tests.benchmarks.ours.stores import Call, RecordingStore

from teamrun.core.refs import RunRef
from teamrun.runs.engine.finish import Finish
from teamrun.runs.service.requests import Answer
from teamrun.storage.memory import MemoryStore


def interview(answers: int) -> dict[str, Any]:
    members = [
        {"type": "assistant_agent", "name": "a", "model": "m"},
        {"type": "user_proxy_agent", "name": "boss"},
    ]
    return {
        "type": "round_robin_group_chat",
        "participants": members,
        "max_turns": 2 * answers + 2,
    }


async def answered(serving: Service, ref: RunRef) -> None:
    run = await serving.runs.get(ref.tenant, ref.run_id)
    answer = Answer(action_id=run.required_actions[0].id, content="go on with it")
    await serving.runs.answer(ref.tenant, ref.run_id, answer)


async def waits(serving: Service, ref: RunRef) -> None:
    assert await serving.engine.execute(ref) is Finish.WAITING


async def answer(*, k: int, runs: int, is_warm: bool) -> dict[str, float]:
    """From the notice of the k-th answer until the run waits again, in the same or a new worker."""
    store, more = RecordingStore(MemoryStore()), 10 if is_warm else 1
    async with service(Speaker(), interview(k + more), store) as first:
        refs = [await first.submit() for _ in range(runs)]
        for ref in refs:
            await waits(first, ref)
            for _ in range(k - 1):
                await answered(first, ref)
                await waits(first, ref)
        other = service(Speaker(), interview(k + more), store)
        async with nullcontext(first) if is_warm else other as serving:
            as_worker()
            cpu_s, calls = 0.0, list[Call]()
            for _ in range(more):
                for ref in refs:
                    await answered(first, ref)
                store.calls.clear()
                with Meter() as meter:
                    for ref in refs:
                        await waits(serving, ref)
                cpu_s += meter.cpu_s
                calls += store.calls
    return {
        "cpu_ms": cpu_s / runs / more * 1e3,
        "calls": len(calls) / runs / more,
        "objects": sum(map(_objects, calls)) / runs / more,
    }


def _objects(call: Call) -> int:
    """The requests that a bucket would receive."""
    name, arguments, _ = call
    return len(arguments[0]) if name == "get_many" else 1


if __name__ == "__main__":
    measured({"answer": answer})
