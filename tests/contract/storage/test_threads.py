"""Runs continue a thread in every store: the order is decided by its conditional writes alone."""

import asyncio
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.errors import ThreadBusy
from teamrun.storage.base import ObjectStore
from teamrun.threads.requests import ThreadRequest
from teamrun.threads.resources import Thread

TEAM = {**solo(), "max_turns": 1}
PAUSES: dict[str, Any] = {
    "team": None,
    "team_spec": {**TEAM, "max_turns": 2},
    "limits": {"max_turns": 1, "on_limit": "pause"},
}


class Talk:
    """A thread, and a worker that executes its runs."""

    def __init__(self, store: ObjectStore) -> None:
        self.cluster = Cluster({"a": ["Rain."] * 9}, team=TEAM, store=store)
        self.worker = self.cluster.worker()
        self.thread_id = ""

    async def begin(self) -> "Talk":
        self.thread_id = (await self.cluster.threads.create(TENANT, ThreadRequest())).thread.id
        return self

    async def submit(self, task: str, **request: Any) -> RunRef:
        return await self.cluster.submit(task, thread_id=self.thread_id, **request)

    async def work(self) -> None:
        await self.cluster.queue.deliver(self.worker.execute)

    async def status(self, ref: RunRef) -> str:
        return (await self.cluster.service.get(TENANT, ref.run_id)).status

    async def said(self) -> list[str]:
        page = await self.cluster.threads.messages(TENANT, self.thread_id, limit=99)
        return [str(each.message["content"]) for each in page.data if each.message["source"] != "a"]

    async def thread(self) -> Thread:
        return await self.cluster.threads.get(TENANT, self.thread_id)


@pytest.fixture
async def talk(store: ObjectStore, clusters_are_closed: None) -> Talk:
    """A thread in each store."""
    return await Talk(store).begin()


async def test_first_runs_that_race_take_turns_in_the_order_of_the_log(talk: Talk) -> None:
    tasks = ["One", "Two", "Three"]
    refs = await asyncio.gather(*(talk.submit(task) for task in tasks))
    task_of = {ref.run_id: task for ref, task in zip(refs, tasks, strict=True)}
    thread = await talk.thread()
    order = [task_of[str(thread.active_run_id)], *(task_of[i] for i in thread.queued_run_ids)]
    await talk.work()
    assert [await talk.status(ref) for ref in refs] == ["completed"] * 3
    assert await talk.said() == order
    assert sorted(order) == sorted(tasks)


async def test_of_first_runs_that_race_one_is_not_rejected(talk: Talk) -> None:
    tried = (talk.submit(f"No {n}", on_busy_thread="reject") for n in range(3))
    found = await asyncio.gather(*tried, return_exceptions=True)
    [accepted] = [ref for ref in found if isinstance(ref, RunRef)]
    assert sum(isinstance(each, ThreadBusy) for each in found) == 2
    await talk.work()
    assert await talk.status(accepted) == "completed"
    assert (await talk.thread()).runs_count == 1


@pytest.mark.parametrize("policy", ["interrupt", "rollback"])
async def test_a_run_takes_the_place_of_the_active_one_and_of_the_queue(
    talk: Talk, policy: str
) -> None:
    first = await talk.submit("One")
    await talk.work()
    active = await talk.submit("Two", **PAUSES)
    await talk.work()
    queued = await talk.submit("Three")
    assert await talk.status(active) == "paused"
    last = await talk.submit("Four", on_busy_thread=policy)
    await talk.work()
    found = [await talk.status(ref) for ref in (first, active, queued, last)]
    assert found == ["completed", "cancelled", "cancelled", "completed"]
    kept = ["Two"] if policy == "interrupt" else []
    assert await talk.said() == ["One", *kept, "Four"]
    await talk.cluster.service.delete(TENANT, first.run_id)
    assert ((await talk.thread()).runs_count, (await talk.thread()).status) == (3, "idle")
    await talk.cluster.threads.delete(TENANT, talk.thread_id)
