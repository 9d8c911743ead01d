import asyncio
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, duo, solo

from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.errors import RunNotFinished, RunNotFound
from teamrun.runs.durable.team import run_team
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import CallContext, Outcome
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.entries import Accepted, End
from teamrun.runs.service.requests import Answer, ForkRequest
from teamrun.storage.memory import MemoryStore
from teamrun.testing.faults import Fault, FaultStore
from teamrun.tools.function import FunctionTool

REFUSED = {"error": {"message": "no quota", "status_code": 402, "retryable": False}}


async def difference(
    cluster: Cluster, ref: RunRef, team: dict[str, Any] | None = None
) -> str | None:
    """Replay against the definition on record, or against another."""
    [first, *_] = await cluster.entries(ref)
    assert isinstance(first.body, Accepted)
    spec = first.body.spec
    if team is not None:
        spec = spec.model_copy(
            update={"definition": cluster.registry.resolve(team_spec=team).definition}
        )

    async def program(journal: Journal) -> End:
        return await run_team(journal, spec, cluster.registry)

    return await replay(cluster.log(ref), program, SystemClock())


async def executed(cluster: Cluster, ref: RunRef) -> None:
    worker = cluster.worker()
    await worker.execute(ref)


async def test_a_replay_of_unchanged_code_differs_nowhere_and_calls_nothing() -> None:
    made: list[str] = []

    def note() -> str:
        """Note."""
        made.append("note")
        return "noted"

    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "note", "arguments": {}}]}, "DONE"]
    }
    cluster = Cluster(script, team=solo("note"), tools=[FunctionTool(note)])
    ref = await cluster.submit()
    await executed(cluster, ref)
    before = await cluster.store.list("")
    assert await difference(cluster, ref) is None
    assert (made, await cluster.store.list("")) == (["note"], before)


async def test_a_replay_of_a_failed_run_and_of_a_fork_differs_nowhere() -> None:
    cluster = Cluster({"a": ["one", REFUSED]}, team=solo())
    ref = await cluster.submit()
    await executed(cluster, ref)
    assert await difference(cluster, ref) is None
    fork = await cluster.service.fork(TENANT, ref.run_id, ForkRequest(after_seq=7))
    child = RunRef(TENANT, fork.run.id)
    await executed(cluster, child)
    assert await difference(cluster, child) is None


async def test_a_replay_reports_where_a_changed_team_differs() -> None:
    cluster = Cluster({"a": ["1", "3"], "b": ["2", "4"]}, team=duo(4))
    ref = await cluster.submit()
    await executed(cluster, ref)
    shorter = await difference(cluster, ref, duo(2))
    assert shorter is not None
    assert "'team/a/model:1'" in shorter
    longer = await difference(cluster, ref, duo(6))
    assert longer is not None
    assert "waits for team/a/model:2" in longer


@pytest.mark.parametrize("end", ["cancel", "limit"])
async def test_a_replay_of_a_run_that_was_cut_short_differs_nowhere(end: str) -> None:
    cluster = Cluster({"a": ["x"] * 3, "b": ["y"] * 3}, team=duo(6))
    ref = await cluster.submit(limits={"max_model_calls": 3})
    if end == "cancel":
        await cluster.service.cancel(TENANT, ref.run_id)
    else:
        await executed(cluster, ref)
    assert await difference(cluster, ref) is None


async def test_a_replay_of_a_run_that_was_cancelled_while_it_executed_differs_nowhere() -> None:
    has_begun = asyncio.Event()

    async def hang() -> str:
        """Hang."""
        has_begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    script: dict[str, list[Any]] = {"a": [{"tool_calls": [{"name": "hang", "arguments": {}}]}]}
    cluster = Cluster(script, team=solo("hang"), tools=[FunctionTool(hang)])
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, finished):
        await has_begun.wait()
        await cluster.service.cancel(TENANT, ref.run_id)
        assert await asyncio.wait_for(finished, 10) is Finish.ENDED
    assert await difference(cluster, ref) is None


async def test_a_replay_of_a_run_that_was_cancelled_after_its_last_answer_differs_nowhere() -> None:
    boss = {"type": "user_proxy_agent", "name": "boss"}
    team = {"type": "round_robin_group_chat", "participants": [boss], "max_turns": 1}
    cluster = Cluster({}, team=team)
    ref = await cluster.submit()
    await executed(cluster, ref)
    [action] = (await cluster.service.get(TENANT, ref.run_id)).required_actions
    await cluster.service.answer(TENANT, ref.run_id, Answer(action_id=action.id, content="yes"))
    run = await cluster.service.cancel(TENANT, ref.run_id)
    assert run.status == "cancelled"
    assert await difference(cluster, ref) is None


async def test_only_ended_runs_are_replayed() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    with pytest.raises(RunNotFinished):
        await difference(cluster, ref)

    async def nothing(journal: Journal) -> End:
        raise AssertionError

    with pytest.raises(RunNotFound):
        log = cluster.log(ref._replace(run_id="run_0"))
        await replay(log, nothing, SystemClock())


async def test_events_of_a_call_in_progress_at_the_end_are_no_difference() -> None:
    store = FaultStore(MemoryStore())
    step = store.plan(Fault(outcome="held", method="put_new", key="*/log/000002.json"))

    async def hang(desk: CallContext) -> Outcome:
        await step.reached.wait()
        step.release.set()
        desk.emit("tool.call.progressed", {"tool": "dig", "note": "deep", "percent": 50})
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def answer(desk: CallContext) -> Outcome:
        return Outcome(value="found")

    async def program(journal: Journal) -> End:
        digging = asyncio.ensure_future(journal.call("a", "tool", "dig", 0, hang))
        await asyncio.sleep(0)
        await journal.call("b", "tool", "ask", 0, answer)
        digging.cancel()
        return End(status="completed", output={"text": "found"})

    cluster = Cluster({}, team=solo(), store=store)
    ref = await cluster.submit()
    worker = Engine(
        store=cluster.store,
        live=cluster.live,
        dispatcher=cluster.queue,
        owner="w",
        program=lambda spec: program,
    )
    await worker.execute(ref)
    await worker.close()
    [*_, last] = await cluster.entries(ref)
    assert "tool.call.progressed" in [event.type for event in last.events]
    assert await replay(cluster.log(ref), program, SystemClock()) is None
