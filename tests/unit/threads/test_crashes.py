"""A process dies at each write while runs of a thread are accepted, executed and cancelled.

Another process goes on, and the client repeats its requests.
"""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.mortal_store import MortalStore, until_dead
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import End, calls_of
from teamrun.runs.service.requests import RunRequest
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel
from teamrun.threads.requests import ThreadRequest

TEAM = {**solo(), "max_turns": 1}
LEASE = timedelta(seconds=1)


def cluster_over(store: Any, before: Cluster | None = None) -> Cluster:
    models = {"m": ScriptedModel({"a": ["Rain."] * 2})}
    shared: dict[str, Any] = {}
    if before is not None:
        shared = {"queue": before.queue, "clock": before.clock, "live": before.live}
    registry = Registry.of(teams={"team": TEAM}, models=models)
    return Cluster({}, team=TEAM, registry=registry, store=store, lease=LEASE, **shared)


async def journey(cluster: Cluster, owner: str, thread_id: str, policy: str) -> None:
    """Two runs are submitted; the message of the second one arrives first."""
    worker = cluster.worker(owner)
    refs: list[RunRef] = []
    for task, on_busy in (("One", "enqueue"), ("Two", policy)):
        asked = RunRequest.model_validate(
            {"team": "team", "input": task, "thread_id": thread_id, "on_busy_thread": on_busy}
        )
        made = await cluster.service.submit(TENANT, asked, idempotency_key=task)
        refs.append(RunRef(TENANT, made.run.id))
    for ref in reversed(refs):
        await worker.execute(ref)
    await cluster.queue.deliver(worker.execute)


async def settle(cluster: Cluster) -> None:
    """What the other processes of the deployment do, until nothing is left to do."""
    worker, reaper = cluster.worker("later"), cluster.reaper()
    for _ in range(6):
        cluster.clock.shift += timedelta(minutes=3)
        await reaper.sweep()
        await cluster.queue.deliver(worker.execute)


async def outcome(policy: str, dies_at: int, *, is_after: bool) -> tuple[dict[str, str], list[str]]:
    """The status of each task, and the conversation."""
    inner = MemoryStore()
    thread = (await cluster_over(inner).threads.create(TENANT, ThreadRequest())).thread
    mortal = MortalStore(inner, dies_at=dies_at, is_after=is_after)
    first = cluster_over(mortal)
    died = await until_dead(mortal, journey(first, "w1", thread.id, policy))
    assert died == (dies_at >= 0)
    last = first
    if died:
        last = cluster_over(inner, first)
        last.clock.shift += timedelta(minutes=3)
        await journey(last, "w2", thread.id, policy)
        await settle(last)
    reader = cluster_over(inner)
    runs = (await reader.threads.runs(TENANT, thread.id, limit=9)).data
    for run in runs:
        entries = await reader.entries(RunRef(TENANT, run.id))
        assert sum(isinstance(entry.body, End) for entry in entries) == 1
        made = [call.call_id for entry in entries for call in calls_of(entry.body)]
        assert len(made) == len(set(made)), "a recorded call was made twice"
    page = await reader.threads.messages(TENANT, thread.id, limit=99)
    said = [str(each.message["content"]) for each in page.data]
    assert len({str(run.input) for run in runs}) == len(runs) == 2, runs
    return {str(run.input): run.status for run in runs}, said


async def writes_of(policy: str) -> int:
    inner = MemoryStore()
    thread = (await cluster_over(inner).threads.create(TENANT, ThreadRequest())).thread
    mortal = MortalStore(inner)
    await until_dead(mortal, journey(cluster_over(mortal), "w1", thread.id, policy))
    return mortal.writes


WHOLE = ["One", "Rain.", "Two", "Rain."]


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("policy", ["enqueue", "interrupt", "rollback"])
async def test_nothing_is_lost_or_run_twice_when_a_process_dies(
    policy: str, is_after: bool
) -> None:
    status, said = await outcome(policy, -1, is_after=False)
    assert status == {
        "One": "completed" if policy == "enqueue" else "cancelled",
        "Two": "completed",
    }
    assert said == (WHOLE if policy == "enqueue" else ["Two", "Rain."])
    for dies_at in range(1, await writes_of(policy) + 1):
        found = await outcome(policy, dies_at, is_after=is_after)
        # The first run may have ended before the second one, which a crash has delayed, came.
        is_late = found == ({"One": "completed", "Two": "completed"}, WHOLE)
        assert found == (status, said) or is_late, f"dies at {dies_at}: {found}"
