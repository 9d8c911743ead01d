import asyncio
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.runs.entries import End, Intent
from teamrun.runs.execution import Finish
from teamrun.runs.talk import Answer
from teamrun.tools.base import Effects, OnUnknown
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool


class Till:
    """A tool with an outside effect; the first call hangs as if its worker had been lost."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.entered = asyncio.Event()

    async def pay(self, context: ToolContext) -> str:
        """Pay."""
        self.calls.append(context.idempotency_key)
        self.entered.set()
        if len(self.calls) == 1:
            await asyncio.Event().wait()
        return "paid"


def cluster_of(till: Till, effects: Effects, on_unknown: OnUnknown = "tell") -> Cluster:
    tool = FunctionTool(till.pay, effects=effects, on_unknown=on_unknown)
    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "pay", "arguments": {}}]}, "DONE"]
    }
    return Cluster(script, team=solo("pay"), tools=[tool])


async def crash_inside(cluster: Cluster, till: Till) -> Any:
    """Execute up to the middle of the call, then take the worker away without a word."""
    ref = await cluster.submit()
    async with cluster.working(ref, "w1") as (engine, task):
        await asyncio.wait_for(till.entered.wait(), 10)
        engine.abort()
        assert await asyncio.wait_for(task, 10) is Finish.YIELDED
    return ref


def test_a_write_is_intended_before_it_begins() -> None:
    async def scenario() -> None:
        till = Till()
        cluster = cluster_of(till, "write")
        ref = await crash_inside(cluster, till)
        [intent] = [e.body for e in await cluster.entries(ref) if isinstance(e.body, Intent)]
        assert list(intent.calls) == ["team/a/tool:0"]

    asyncio.run(scenario())


def test_a_write_that_was_cut_off_is_not_repeated_and_the_agent_is_told() -> None:
    async def scenario() -> None:
        till = Till()
        cluster = cluster_of(till, "write")
        ref = await crash_inside(cluster, till)
        worker = cluster.worker("w2")
        assert await worker.execute(ref) is Finish.ENDED
        await worker.close()
        assert len(till.calls) == 1
        run = await cluster.service.get(TENANT, ref.run_id)
        assert (run.status, run.unknown_outcomes) == ("completed", ["team/a/tool:0"])
        result = await cluster.service.result(TENANT, ref.run_id)
        assert any("not repeated" in str(message["content"]) for message in result.messages)

    asyncio.run(scenario())


def test_a_write_that_was_cut_off_fails_the_run_where_that_is_the_policy() -> None:
    async def scenario() -> None:
        till = Till()
        cluster = cluster_of(till, "write", "fail")
        ref = await crash_inside(cluster, till)
        worker = cluster.worker("w2")
        await worker.execute(ref)
        await worker.close()
        run = await cluster.service.get(TENANT, ref.run_id)
        assert (run.status, run.stop_code, len(till.calls)) == ("failed", "outcome_unknown", 1)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "calls", "told"),
    [
        ({"decision": "approve"}, 2, "paid"),
        ({"decision": "reject"}, 1, "Nobody knows whether pay was carried out."),
        ({"decision": "answer", "content": "it was paid"}, 1, "it was paid"),
    ],
    ids=["again", "leave", "result"],
)
def test_a_write_that_was_cut_off_is_put_to_a_person_where_that_is_the_policy(
    answer: dict[str, Any], calls: int, told: str
) -> None:
    async def scenario() -> None:
        till = Till()
        cluster = cluster_of(till, "write", "ask")
        ref = await crash_inside(cluster, till)
        worker = cluster.worker("w2")
        assert await worker.execute(ref) is Finish.WAITING
        run = await cluster.service.get(TENANT, ref.run_id)
        [action] = run.required_actions
        assert "Approve to make the call again" in action.prompt
        await cluster.service.answer(TENANT, ref.run_id, Answer(action_id=action.id, **answer))
        assert await worker.execute(ref) is Finish.ENDED
        await worker.close()
        assert len(till.calls) == calls
        result = await cluster.service.result(TENANT, ref.run_id)
        assert told in [message["content"] for message in result.messages]

    asyncio.run(scenario())


def test_an_idempotent_call_is_made_again_with_the_same_key() -> None:
    async def scenario() -> None:
        till = Till()
        cluster = cluster_of(till, "idempotent")
        ref = await crash_inside(cluster, till)
        worker = cluster.worker("w2")
        assert await worker.execute(ref) is Finish.ENDED
        await worker.close()
        assert till.calls == [f"{ref.run_id}:team/a/tool:0"] * 2
        assert not any(isinstance(e.body, Intent) for e in await cluster.entries(ref))

    asyncio.run(scenario())


def test_a_write_that_was_cut_off_before_a_cancel_is_told_at_the_end() -> None:
    async def scenario() -> None:
        till = Till()
        cluster = cluster_of(till, "write")
        ref = await crash_inside(cluster, till)
        run = await cluster.service.cancel(TENANT, ref.run_id)
        assert (run.status, run.unknown_outcomes) == ("cancelled", ["team/a/tool:0"])
        assert (await cluster.entries(ref))[-1].body == End(
            status="cancelled", unknown_outcomes=["team/a/tool:0"]
        )

    asyncio.run(scenario())


def test_a_cancel_in_the_middle_of_a_write_is_told_with_it() -> None:
    async def scenario() -> None:
        till = Till()
        cluster = cluster_of(till, "write")
        ref = await cluster.submit()
        async with cluster.working(ref) as (_, task):
            await asyncio.wait_for(till.entered.wait(), 10)
            await cluster.service.cancel(TENANT, ref.run_id)
            assert await asyncio.wait_for(task, 10) is Finish.ENDED
        run = await cluster.service.get(TENANT, ref.run_id)
        assert (run.status, run.unknown_outcomes) == ("cancelled", ["team/a/tool:0"])

    asyncio.run(scenario())
