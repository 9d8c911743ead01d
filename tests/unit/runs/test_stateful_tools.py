import asyncio
from typing import Any

from pydantic import BaseModel
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.cancellation import CancellationToken
from teamrun.runs.engine.finish import Finish
from teamrun.tools.base import BaseToolWithState


class Nothing(BaseModel):
    pass


class Count(BaseModel):
    count: int = 10


class Counter(BaseToolWithState[Nothing, str, Count]):
    """Counts from ten; waits in the middle so that calls of several runs would mix."""

    def __init__(self) -> None:
        super().__init__(Nothing, str, Count, "counter", "Count.")
        self._count = 10
        self.hang = False
        self.entered = asyncio.Event()

    async def run(self, args: Nothing, cancellation_token: CancellationToken) -> str:
        before = self._count
        await asyncio.sleep(0)
        if self.hang and before == 11:
            self.entered.set()
            await asyncio.Event().wait()
        self._count = before + 1
        return str(self._count)

    def save_state(self) -> Count:
        return Count(count=self._count)

    def load_state(self, state: Count) -> None:
        self._count = state.count


COUNT: dict[str, Any] = {"tool_calls": [{"name": "counter", "arguments": {}}]}


async def said(cluster: Cluster, run_id: str) -> list[str]:
    return [m["content"] for m in (await cluster.service.result(TENANT, run_id)).messages]


async def test_runs_that_share_a_stateful_tool_do_not_see_each_others_state() -> None:
    script: dict[str, list[Any]] = {"a": [COUNT, COUNT, "DONE"]}
    cluster = Cluster(script, team=solo("counter"), tools=[Counter()])
    refs = [await cluster.submit() for _ in range(5)]
    worker = cluster.worker()
    await asyncio.gather(*(worker.execute(ref) for ref in refs))
    for ref in refs:
        assert await said(cluster, ref.run_id) == ["go", "11", "12", "DONE"]


async def test_a_stateful_tool_continues_from_the_record_on_another_worker() -> None:
    tool = Counter()
    tool.hang = True
    script: dict[str, list[Any]] = {"a": [COUNT, COUNT, "DONE"]}
    cluster = Cluster(script, team=solo("counter"), tools=[tool])
    ref = await cluster.submit()
    async with cluster.working(ref) as (engine, task):
        await asyncio.wait_for(tool.entered.wait(), 10)
        engine.abort()
        assert await asyncio.wait_for(task, 10) is Finish.YIELDED
    fresh = Cluster(script, team=solo("counter"), tools=[Counter()], store=cluster.store)
    worker = fresh.worker("w2")
    assert await worker.execute(ref) is Finish.ENDED
    await worker.close()
    assert await said(fresh, ref.run_id) == ["go", "11", "12", "DONE"]
