import asyncio
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.errors import ModelError
from teamrun.runs.durable.wiring import JournalWiring
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.outcomes import error_record
from teamrun.runs.engine.protocol import CallContext, Outcome
from teamrun.runs.log.entries import End, Intent
from teamrun.runs.service.requests import Answer
from teamrun.storage.memory import MemoryStore
from teamrun.testing.faults import Fault, FaultStore
from teamrun.tools.base import Effects, OnUnknown, Tool
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool
from teamrun.tools.schema import ToolSchema


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


async def test_a_write_is_intended_before_it_begins() -> None:
    till = Till()
    cluster = cluster_of(till, "write")
    ref = await crash_inside(cluster, till)
    [intent] = [e.body for e in await cluster.entries(ref) if isinstance(e.body, Intent)]
    assert list(intent.calls) == ["team/a/tool:0"]


async def test_a_write_that_was_cut_off_is_not_repeated_and_the_agent_is_informed() -> None:
    till = Till()
    cluster = cluster_of(till, "write")
    ref = await crash_inside(cluster, till)
    worker = cluster.worker("w2")
    assert await worker.execute(ref) is Finish.ENDED
    assert len(till.calls) == 1
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.unknown_outcomes) == ("completed", ["team/a/tool:0"])
    result = await cluster.service.result(TENANT, ref.run_id)
    assert any("not repeated" in str(message["content"]) for message in result.messages)


async def test_a_write_that_was_cut_off_fails_the_run_where_that_is_the_policy() -> None:
    till = Till()
    cluster = cluster_of(till, "write", "fail")
    ref = await crash_inside(cluster, till)
    worker = cluster.worker("w2")
    await worker.execute(ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_code, len(till.calls)) == ("failed", "outcome_unknown", 1)


@pytest.mark.parametrize(
    ("answer", "calls", "told"),
    [
        ({"decision": "approve"}, 2, "paid"),
        ({"decision": "reject"}, 1, "It is unknown whether pay took effect."),
        ({"decision": "answer", "content": "it was paid"}, 1, "it was paid"),
    ],
    ids=["again", "leave", "result"],
)
async def test_a_write_that_was_cut_off_is_put_to_a_person_where_that_is_the_policy(
    answer: dict[str, Any], calls: int, told: str
) -> None:
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
    assert len(till.calls) == calls
    result = await cluster.service.result(TENANT, ref.run_id)
    assert told in [message["content"] for message in result.messages]


async def test_an_idempotent_call_is_made_again_with_the_same_key() -> None:
    till = Till()
    cluster = cluster_of(till, "idempotent")
    ref = await crash_inside(cluster, till)
    worker = cluster.worker("w2")
    assert await worker.execute(ref) is Finish.ENDED
    assert till.calls == [f"{ref.run_id}:team/a/tool:0"] * 2
    assert not any(isinstance(e.body, Intent) for e in await cluster.entries(ref))


async def test_a_write_that_was_cut_off_before_a_cancel_is_reported_at_the_end() -> None:
    till = Till()
    cluster = cluster_of(till, "write")
    ref = await crash_inside(cluster, till)
    run = await cluster.service.cancel(TENANT, ref.run_id)
    assert (run.status, run.unknown_outcomes) == ("cancelled", ["team/a/tool:0"])
    assert (await cluster.entries(ref))[-1].body == End(
        status="cancelled", stop_code="cancelled", unknown_outcomes=["team/a/tool:0"]
    )


async def test_a_cancel_during_a_write_reports_the_write() -> None:
    till = Till()
    cluster = cluster_of(till, "write")
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, task):
        await asyncio.wait_for(till.entered.wait(), 10)
        await cluster.service.cancel(TENANT, ref.run_id)
        assert await asyncio.wait_for(task, 10) is Finish.ENDED
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.unknown_outcomes) == ("cancelled", ["team/a/tool:0"])


class Payment(Tool):
    """Pays when the test releases it, and then ignores its cancellation."""

    effects = "write"

    def __init__(self) -> None:
        super().__init__("pay", "Pays.")
        self.made: list[str] = []
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    @property
    def schema(self) -> ToolSchema:
        return ToolSchema(name="pay", description="Pays.")

    async def run_json(self, args: Any, *_: Any, context: Any = None, **__: Any) -> str:
        self.made.append(context.call_id)
        self.begun.set()
        await self.go.wait()
        return "paid"


class Beside:
    """Run code that pays while it asks a model, which is overloaded at first."""

    def __init__(self) -> None:
        self.payment = Payment()
        self.asked = 0

    async def ask(self, desk: CallContext) -> Outcome:
        self.asked += 1
        await self.payment.begun.wait()
        if self.asked == 1:
            return Outcome(error=error_record(ModelError("overloaded", retryable=True)))
        return Outcome(value="fine")

    async def __call__(self, journal: Journal) -> End:
        tool = JournalWiring(journal).tool("team/a", self.payment)
        payment = asyncio.ensure_future(tool.run_json({}))
        record = await journal.call("team/a", "model", "m", 0, self.ask)
        if record.error is not None:
            payment.cancel()
            raise ModelError(record.error.message, retryable=True)
        return End(status="completed", output={"text": await payment})


async def test_an_abandoned_write_is_not_repeated_by_the_next_attempt() -> None:
    store, code = FaultStore(MemoryStore()), Beside()
    cluster = Cluster({}, team=solo(), store=store)
    ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 0})
    failure = store.plan(Fault(outcome="held", method="put_new", key="*/log/000003.json"))

    def worker(owner: str) -> Engine:
        return Engine(
            store=store,
            live=cluster.live,
            dispatcher=cluster.queue,
            owner=owner,
            program=lambda spec: code,
        )

    first = worker("w1")
    task = asyncio.ensure_future(first.execute(ref))
    await asyncio.wait_for(failure.reached.wait(), 10)
    code.payment.go.set()  # it ends while the failure is being recorded
    for _ in range(5):
        await asyncio.sleep(0)
    failure.release.set()
    assert await asyncio.wait_for(task, 10) is Finish.YIELDED
    await first.close()
    second = worker("w2")
    assert await second.execute(ref) is Finish.ENDED
    await second.close()
    assert (code.payment.made, code.asked) == (["team/a/tool:0"], 2)
    result = await cluster.service.result(TENANT, ref.run_id)
    assert result.output is not None
    assert result.output.text == "paid"


async def test_a_pause_that_comes_before_the_intent_keeps_a_write_from_beginning() -> None:
    till = Till()
    till.calls.append("so that it does not hang")
    tool = FunctionTool(till.pay, effects="write")
    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "pay", "arguments": {}}]}, "DONE"]
    }
    store = FaultStore(MemoryStore())
    cluster = Cluster(script, team=solo("pay"), tools=[tool], store=store)
    ref = await cluster.submit()
    intent = store.plan(Fault(outcome="held", method="put_new", key="*/log/000003.json"))
    async with cluster.working(ref) as (_, task):
        await asyncio.wait_for(intent.reached.wait(), 10)
        await cluster.service.pause(TENANT, ref.run_id)
        intent.release.set()
        assert await asyncio.wait_for(task, 10) is Finish.WAITING
    assert len(till.calls) == 1
    assert not any(isinstance(entry.body, Intent) for entry in await cluster.entries(ref))
    await cluster.service.resume(TENANT, ref.run_id)
    worker = cluster.worker("w2")
    assert await worker.execute(ref) is Finish.ENDED
    assert len(till.calls) == 2
