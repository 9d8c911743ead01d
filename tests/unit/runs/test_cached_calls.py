"""Equal calls of a cached tool in durable runs: one is made, and every run records its result."""

import asyncio
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.entries import calls_of
from teamrun.runs.log.state import fold
from teamrun.tools import FunctionTool
from teamrun.tools.cached import CachedTool, ResultCache

BOUND_S = 20
"""Without single flight, calls would wait for ever."""
FIVE = {"tool_calls": [{"name": "rate", "arguments": {"currency": "eur"}}] * 5}


class Counting(CachedTool):
    """Notes when ten calls have been asked for."""

    asked = 0
    have_ten: asyncio.Event

    async def run_json(self, *args: Any, **options: Any) -> str:
        self.asked += 1
        if self.asked == 10:
            self.have_ten.set()
        return await super().run_json(*args, **options)


class Rates:
    """A tool whose first call ends when the test lets it."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.asked = 0
        self.have_ten, self.may_end = asyncio.Event(), asyncio.Event()
        self._is_broken = is_broken

    async def rate(self, currency: str) -> str:
        self.asked += 1
        await self.may_end.wait()
        if self._is_broken:
            raise ValueError("closed")
        return f"{currency} {self.asked}"

    def cluster(self) -> Cluster:
        tool = Counting(FunctionTool(self.rate, "A rate.", name="rate"), ResultCache())
        tool.have_ten = self.have_ten
        team = solo("rate", reflect_on_tool_use=True)
        return Cluster({"a": [FIVE, "DONE"]}, team=team, tools=[tool])


async def recorded(cluster: Cluster, ref: RunRef) -> list[Any]:
    calls = [call for entry in await cluster.entries(ref) for call in calls_of(entry.body)]
    tools = [call for call in calls if "/tool:" in call.call_id]
    return [call.value if call.error is None else call.error.message for call in tools]


@pytest.mark.parametrize(("is_broken", "result"), [(False, "eur 1"), (True, "closed")])
async def test_five_at_once_are_one_call_with_five_records(is_broken: bool, result: str) -> None:
    rates = Rates(is_broken=is_broken)
    rates.may_end.set()
    cluster = rates.cluster()
    ref = await cluster.submit()
    async with asyncio.timeout(BOUND_S):
        assert await cluster.worker().execute(ref) is Finish.ENDED

    assert rates.asked == 1
    assert await recorded(cluster, ref) == [result] * 5
    state = fold(await cluster.entries(ref))
    assert state is not None
    program = team_program(cluster.registry)(state.spec)
    assert await replay(cluster.log(ref), program, cluster.clock) is None
    assert rates.asked == 1


async def test_a_run_that_is_cancelled_leaves_the_call_to_another_run() -> None:
    rates = Rates()
    cluster = rates.cluster()
    first, second = await cluster.submit(), await cluster.submit()
    async with (
        asyncio.timeout(BOUND_S),
        cluster.working(first, "w1") as (_, one),
        cluster.working(second, "w2") as (_, two),
    ):
        await rates.have_ten.wait()
        await cluster.service.cancel(TENANT, first.run_id, reason="no")
        await one
        rates.may_end.set()
        assert await two is Finish.ENDED

    assert (await cluster.service.get(TENANT, first.run_id)).status == "cancelled"
    assert rates.asked == 1
    assert await recorded(cluster, second) == ["eur 1"] * 5
