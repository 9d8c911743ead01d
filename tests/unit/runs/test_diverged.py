import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.errors import NoSuchPoint
from teamrun.runs.engine.finish import Finish
from teamrun.runs.service.resources import Run
from teamrun.testing import ScriptedModel
from teamrun.tools.function import FunctionTool

# A worker whose `note` is another tool than the one on record: it asks for approval first, so
# run code there waits for a person where the record has the outcome of a tool call.


def note() -> str:
    """Note."""
    return "noted"


def elsewhere(cluster: Cluster) -> Registry:
    changed = FunctionTool(note, needs_approval=True)
    return Registry.of(teams={"team": solo("note")}, models={"m": cluster.model}, tools=[changed])


async def half_done(cluster: Cluster) -> RunRef:
    """A run that was handed over after its tool call."""
    ref = await cluster.submit()
    seen = asyncio.Event()
    async with cluster.working(ref, "w1") as (engine, task):
        async for event in cluster.service.follow(TENANT, ref.run_id):
            if event.type == "tool.call.completed":
                engine.abort()
                seen.set()
                break
        await seen.wait()
        assert await asyncio.wait_for(task, 10) in (Finish.YIELDED, Finish.ENDED)
    return ref


async def executed(cluster: Cluster, ref: RunRef, owner: str, registry: Registry | None) -> Run:
    worker = cluster.worker(owner, registry=registry)
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


def diverging() -> Cluster:
    model = ScriptedModel(
        {"a": [{"tool_calls": [{"name": "note", "arguments": {}}]}, "two", "DONE"]},
        latency=timedelta(milliseconds=50),
    )
    return Cluster({}, team=solo("note"), tools=[FunctionTool(note)], model=model)


async def test_a_worker_whose_code_does_not_fit_leaves_the_run_to_others() -> None:
    cluster = diverging()
    ref = await half_done(cluster)
    run = await executed(cluster, ref, "w2", elsewhere(cluster))
    assert run.status == "queued"
    assert "run.retried" in await cluster.event_types(ref)
    cluster.clock.shift += timedelta(minutes=2)
    assert (await executed(cluster, ref, "w3", None)).status == "completed"


async def test_after_an_hour_a_run_that_fits_no_worker_is_paused_and_may_begin_anew() -> None:
    cluster = diverging()
    ref = await half_done(cluster)
    await executed(cluster, ref, "w2", elsewhere(cluster))
    cluster.clock.shift += timedelta(minutes=61)
    run = await executed(cluster, ref, "w3", elsewhere(cluster))
    assert run.status == "paused"
    events = (await cluster.service.events(TENANT, ref.run_id, limit=999)).data
    assert events[-1].type == "run.paused"
    assert events[-1].data["error"]["code"] == "diverged"

    await cluster.service.resume(TENANT, ref.run_id)
    assert (await executed(cluster, ref, "w4", elsewhere(cluster))).status == "queued"
    cluster.clock.shift += timedelta(minutes=61)
    assert (await executed(cluster, ref, "w5", elsewhere(cluster))).status == "paused"
    await cluster.service.resume(TENANT, ref.run_id, anew=True)
    run = await executed(cluster, ref, "w6", None)
    assert (run.status, run.usage.tool_calls) == ("completed", 2)
    seqs = [e.seq for e in (await cluster.service.events(TENANT, ref.run_id, limit=999)).data]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_a_run_that_is_paused_for_another_reason_continues_from_where_it_is() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    await cluster.service.pause(TENANT, ref.run_id)
    with pytest.raises(NoSuchPoint) as caught:
        await cluster.service.resume(TENANT, ref.run_id, anew=True)
    assert caught.value.pointer == "/from"
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "paused"


async def test_before_a_platforms_deadline_the_run_is_handed_over_and_nothing_is_repeated() -> None:
    entered, release, made = asyncio.Event(), asyncio.Event(), list[str]()

    async def held() -> str:
        """Wait."""
        made.append("held")
        entered.set()
        await release.wait()
        return "x"

    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "held", "arguments": {}}]}, "DONE"]
    }
    cluster = Cluster(script, team=solo("held"), tools=[FunctionTool(held)])
    ref = await cluster.submit()
    engine = cluster.worker("w1")
    deadline = cluster.clock.now() + timedelta(seconds=25)
    executing = asyncio.ensure_future(engine.execute(ref, deadline=deadline))
    await asyncio.wait([executing], timeout=0.2)
    assert made == [], "too late for a call to begin"
    assert await executing is Finish.YIELDED
    late = asyncio.ensure_future(
        engine.execute(ref, deadline=cluster.clock.now() + timedelta(seconds=30.2))
    )
    await asyncio.wait_for(entered.wait(), 10)
    release.set()
    assert await asyncio.wait_for(late, 10) in (Finish.YIELDED, Finish.ENDED)
    assert (await executed(cluster, ref, "w2", None)).status == "completed"
    assert made == ["held"]
