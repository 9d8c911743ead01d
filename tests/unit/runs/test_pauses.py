"""A pause that meets a claim, a stop, or the end of a worker's time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.support.deployment import sometime
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.entries import Claim
from teamrun.storage.memory import MemoryStore
from teamrun.testing.faults import Fault, FaultStore
from teamrun.tools.base import Tool
from teamrun.tools.function import FunctionTool

LEASE = timedelta(seconds=60)


async def resumed(cluster: Cluster, ref: RunRef) -> list[str]:
    """Resume the run and let it end; its events before and after the resume."""
    before = await cluster.event_types(ref)
    assert (await cluster.service.resume(TENANT, ref.run_id)).status == "queued"
    assert await cluster.worker("last").execute(ref) is Finish.ENDED
    types = await cluster.event_types(ref)
    assert types.count("run.paused") == types.count("run.resumed") == 1
    assert types.count("model.call.started") == types.count("model.call.completed")
    return types[: len(before)]


def held_back(store: FaultStore, n: int) -> Fault:
    """Let the write of an entry wait for the test."""
    return store.plan(Fault(outcome="held", method="put_new", key=f"*/log/{n:06d}.json"))


@pytest.mark.parametrize("is_paused", [False, True])
async def test_a_worker_that_is_stopped_when_it_claims_announces_no_call(is_paused: bool) -> None:
    store = FaultStore(MemoryStore())
    cluster = Cluster({"a": ["DONE"]}, team=solo(), store=store, lease=LEASE)
    ref = await cluster.submit()
    await cluster.live.age()
    await cluster.claim_and_die(ref)
    if is_paused:
        await cluster.service.pause(TENANT, ref.run_id)
    cluster.clock.shift += 2 * LEASE
    claim = held_back(store, 2 + is_paused)
    async with cluster.working(ref) as (engine, finished):
        await claim.reached.wait()
        engine.stop()
        claim.release.set()
        assert await finished is (Finish.WAITING if is_paused else Finish.YIELDED)
    await cluster.service.pause(TENANT, ref.run_id)

    types = await resumed(cluster, ref)
    assert types == ["run.queued", "message.created", "run.paused"]


async def test_a_run_whose_time_is_over_announces_no_call() -> None:
    store = FaultStore(MemoryStore())
    cluster = Cluster({"a": ["DONE"]}, team=solo(), store=store, lease=LEASE)
    ref = await cluster.submit(limits={"timeout_seconds": 10, "on_limit": "pause"})
    claim = held_back(store, 1)
    async with cluster.working(ref) as (_, finished):
        await claim.reached.wait()
        cluster.clock.shift += timedelta(seconds=20)
        claim.release.set()
        assert await finished is Finish.WAITING

    types = await cluster.event_types(ref)
    assert types[-2:] == ["limit.reached", "run.paused"]
    assert "turn.started" not in types and "model.call.started" not in types


async def test_a_stopped_worker_announces_no_call_after_the_last_one_that_it_made() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def held() -> str:
        begun.set()
        await may_end.wait()
        return "x"

    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "held", "arguments": {}}]}, "DONE"]
    }
    tool = FunctionTool(held, description="Waits.")
    cluster = Cluster(script, team=solo("held", reflect_on_tool_use=True), tools=[tool])
    ref = await cluster.submit()
    async with cluster.working(ref) as (engine, finished):
        await begun.wait()
        engine.stop()
        may_end.set()
        assert await finished is Finish.YIELDED
    await cluster.service.pause(TENANT, ref.run_id)

    types = await resumed(cluster, ref)
    assert types[-2:] == ["tool.call.completed", "run.paused"]


async def has_completed(cluster: Cluster, ref: RunRef) -> bool:
    return "tool.call.completed" in await cluster.event_types(ref)


async def test_a_stopped_worker_announces_no_call_beside_one_that_was_announced_before() -> None:
    begun, done = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        begun.set()
        if not done.is_set():
            await asyncio.Event().wait()
        return "x"

    async def quick() -> str:
        await begun.wait()
        return "y"

    script: dict[str, list[Any]] = {
        name: [{"tool_calls": [{"name": tool, "arguments": {}}]}, "DONE"]
        for name, tool in (("a", "slow"), ("b", "quick"))
    }
    team = {
        "type": "concurrent",
        "participants": [
            {**solo(tool, reflect_on_tool_use=True)["participants"][0], "name": name}
            for name, tool in (("a", "slow"), ("b", "quick"))
        ],
    }
    store = FaultStore(MemoryStore())
    tools: list[Tool] = [FunctionTool(tool, description="Works.") for tool in (slow, quick)]
    cluster = Cluster(script, team=team, store=store, tools=tools, lease=LEASE)
    ref = await cluster.submit()
    async with cluster.working(ref) as (engine, _):
        await begun.wait()
        engine.stop()
        await sometime(lambda: has_completed(cluster, ref), "the quick tool has completed")
    done.set()
    cluster.clock.shift += 2 * LEASE
    before = await cluster.event_types(ref)
    claim = held_back(store, len(await cluster.entries(ref)))
    async with cluster.working(ref) as (engine, finished):
        await claim.reached.wait()
        engine.stop()
        claim.release.set()
        assert await finished is Finish.YIELDED

    assert await cluster.event_types(ref) == before
    assert before.count("model.call.started") == before.count("model.call.completed") == 2


async def paused(cluster: Cluster, ref: RunRef) -> None:
    await cluster.service.pause(TENANT, ref.run_id)


async def executed(cluster: Cluster, ref: RunRef) -> None:
    assert await cluster.worker("quick").execute(ref) is Finish.WAITING


@pytest.mark.parametrize(
    ("meanwhile", "status", "claims"),
    [(paused, "paused", 0), (executed, "input_required", 1)],
)
async def test_a_claim_that_loses_the_race_to_what_lets_the_run_wait_is_given_up(
    meanwhile: Callable[[Cluster, RunRef], Awaitable[None]], status: str, claims: int
) -> None:
    store = FaultStore(MemoryStore())
    person: dict[str, Any] = {
        "type": "round_robin_group_chat",
        "participants": [{"type": "user_proxy_agent", "name": "boss"}],
        "max_turns": 1,
    }
    cluster = Cluster({}, team=person, store=store, is_live_shared=False)
    ref = await cluster.submit()
    delayed = held_back(store, 1)
    slow = asyncio.ensure_future(cluster.worker("slow").execute(ref))
    await delayed.reached.wait()
    await meanwhile(cluster, ref)
    delayed.release.set()

    assert await slow is Finish.WAITING
    assert (await cluster.service.get(TENANT, ref.run_id)).status == status
    entries = await cluster.entries(ref)
    assert sum(isinstance(entry.body, Claim) for entry in entries) == claims


async def test_a_run_that_is_paused_when_it_fails_says_so_before_its_next_attempt() -> None:
    store = FaultStore(MemoryStore())
    failure = {"error": {"message": "busy", "status_code": 503, "retryable": True}}
    cluster = Cluster({"a": [failure, "DONE"]}, team=solo(), store=store)
    ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 1})
    outcome = held_back(store, 2)
    async with cluster.working(ref) as (_, finished):
        await outcome.reached.wait()
        await cluster.service.pause(TENANT, ref.run_id)
        outcome.release.set()
        assert await finished is Finish.YIELDED
    assert (await cluster.event_types(ref))[-2:] == ["run.retried", "run.paused"]
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "paused"
