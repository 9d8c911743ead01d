import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, duo, solo

from teamrun.core.refs import RunRef
from teamrun.errors import (
    IdempotencyConflict,
    RunEnded,
    StaleAction,
    Unavailable,
    UnfitAnswer,
)
from teamrun.live.memory import MemoryLive
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.entries import Claim, Signal, Wait
from teamrun.runs.log.keys import open_marker
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.service.requests import Answer
from teamrun.runs.service.resources import Run
from teamrun.storage.memory import MemoryStore
from teamrun.tools.function import FunctionTool


def with_person() -> dict[str, Any]:
    """A team of an assistant and a person, who ends it with DONE."""
    return {
        "type": "round_robin_group_chat",
        "participants": [
            {"type": "assistant_agent", "name": "a", "model": "m"},
            {"type": "user_proxy_agent", "name": "boss"},
        ],
        "termination": {"type": "text_mention", "text": "DONE"},
    }


async def step(cluster: Cluster, ref: RunRef, owner: str = "w") -> Run:
    """Let a new worker do all pending work."""
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


async def answered(cluster: Cluster, run: Run, **answer: Any) -> Run:
    [action] = run.required_actions
    heard = await cluster.service.answer(
        TENANT, run.id, Answer(action_id=action.id, **answer), idempotency_key=action.id
    )
    return heard.run


async def test_a_question_lets_the_worker_go_and_the_answer_brings_one_back() -> None:
    cluster = Cluster({"a": ["shall I?", "then so."]}, team=with_person())
    ref = await cluster.submit()
    run = await step(cluster, ref, "w1")
    assert run.status == "input_required"
    [action] = run.required_actions
    assert (action.type, action.agent, action.prompt) == (
        "input",
        "boss",
        "Enter your response: ",
    )
    assert await cluster.store.list("open/") == []
    cluster.queue.waiting.clear()

    await answered(cluster, run, content="yes, go on")
    assert list(cluster.queue.waiting) == [ref]
    run = await step(cluster, ref, "w2")
    assert (run.status, run.usage.model_calls, run.epoch) == ("input_required", 2, 2)

    await answered(cluster, run, content="DONE")
    run = await step(cluster, ref, "w3")
    assert (run.status, run.usage.model_calls) == ("completed", 2)
    result = await cluster.service.result(TENANT, ref.run_id)
    assert [m["content"] for m in result.messages] == [
        "go",
        "shall I?",
        "yes, go on",
        "then so.",
        "DONE",
    ]
    seqs = [e.seq for e in (await cluster.service.events(TENANT, ref.run_id, limit=99)).data]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_a_wait_for_the_end_returns_when_the_run_waits_for_a_person() -> None:
    cluster = Cluster({"a": ["shall I?"]}, team=with_person())
    ref = await cluster.submit()
    end = asyncio.create_task(cluster.service.wait(TENANT, ref.run_id, timeout=timedelta(hours=1)))
    await step(cluster, ref)
    assert (await asyncio.wait_for(end, 10)).status == "input_required"


async def test_looking_at_a_run_that_waits_writes_nothing() -> None:
    cluster = Cluster({"a": ["shall I?"]}, team=with_person())
    ref = await cluster.submit()
    await step(cluster, ref)
    before = len(await cluster.entries(ref))
    worker = cluster.worker("other")
    assert await worker.execute(ref) is Finish.WAITING
    assert len(await cluster.entries(ref)) == before


async def test_an_answer_is_delivered_to_the_active_worker() -> None:
    release = asyncio.Event()

    async def held() -> str:
        await release.wait()
        return "x"

    script: dict[str, list[Any]] = {
        "a": [
            {
                "tool_calls": [
                    {"name": "held", "arguments": {}},
                    {"name": "sign", "arguments": {}},
                ]
            },
            "DONE",
        ]
    }
    tools = [
        FunctionTool(held, description="Waits."),
        FunctionTool(lambda: "signed", "Signs.", "sign", needs_approval=True),
    ]
    cluster = Cluster(script, team=solo("held", "sign"), tools=[*tools])
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, task):
        run = await until(cluster, ref, "input_required")
        run = await answered(cluster, run, decision="approve")
        assert run.status == "running"
        release.set()
        assert await asyncio.wait_for(task, 10) is Finish.ENDED
    assert not any(isinstance(e.body, Wait) for e in await cluster.entries(ref))
    types = await cluster.event_types(ref)
    assert types.count("tool.call.approved") == 1
    assert types.count("run.input_received") == 1


async def until(cluster: Cluster, ref: RunRef, status: str) -> Run:
    run = await cluster.service.get(TENANT, ref.run_id)
    while run.status != status:
        run = await cluster.service.wait(
            TENANT, ref.run_id, timeout=timedelta(seconds=10), revision=run.revision
        )
    return run


@pytest.mark.parametrize(
    ("decision", "calls", "event"),
    [("approve", 1, "tool.call.approved"), ("reject", 0, "tool.call.denied")],
)
async def test_a_tool_that_needs_approval_is_called_only_when_approved(
    decision: str, calls: int, event: str
) -> None:
    made: list[str] = []

    def pay(amount: int) -> str:
        made.append(str(amount))
        return "paid"

    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "pay", "arguments": {"amount": 5}}]}, "DONE"]
    }
    tool = FunctionTool(pay, "Pays.", needs_approval=True)
    cluster = Cluster(script, team=solo("pay"), tools=[tool])
    ref = await cluster.submit()
    run = await step(cluster, ref, "w1")
    [action] = run.required_actions
    assert (action.type, action.prompt) == ("approval", 'May a call pay({"amount":5})?')
    await answered(cluster, run, decision=decision, content="the reason")
    run = await step(cluster, ref, "w2")
    assert run.status == "completed"
    assert len(made) == calls
    assert event in await cluster.event_types(ref)


async def test_a_stale_answer_is_refused_and_a_repeated_one_is_not() -> None:
    cluster = Cluster({"a": ["shall I?", "more?"]}, team=with_person())
    ref = await cluster.submit()
    run = await step(cluster, ref)
    [action] = run.required_actions
    service, answer = cluster.service, Answer(action_id=action.id, content="yes")
    first = await service.answer(TENANT, ref.run_id, answer, idempotency_key="k")
    again = await service.answer(TENANT, ref.run_id, answer, idempotency_key="k")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.run.revision == first.run.revision
    other = Answer(action_id=action.id, content="no")
    with pytest.raises(IdempotencyConflict):
        await service.answer(TENANT, ref.run_id, other, idempotency_key="k")
    with pytest.raises(StaleAction):
        await service.answer(TENANT, ref.run_id, answer)
    with pytest.raises(StaleAction):
        await service.answer(TENANT, ref.run_id, Answer(action_id="nonsense", content="x"))


@pytest.mark.parametrize("wrong", [{"decision": "approve"}, {"content": None}])
async def test_an_answer_that_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    cluster = Cluster({"a": ["shall I?"]}, team=with_person())
    ref = await cluster.submit()
    run = await step(cluster, ref)
    with pytest.raises(UnfitAnswer):
        await answered(cluster, run, **wrong)
    assert (await cluster.service.get(TENANT, ref.run_id)).revision == run.revision


async def test_a_run_that_waits_is_cancelled_at_once() -> None:
    cluster = Cluster({"a": ["shall I?"]}, team=with_person())
    ref = await cluster.submit()
    run = await step(cluster, ref)
    assert (await cluster.service.cancel(TENANT, ref.run_id)).status == "cancelled"
    with pytest.raises(RunEnded):
        await answered(cluster, run, content="too late")


async def test_a_cancel_of_a_run_that_waits_leaves_a_marker_until_its_files_are_there() -> None:
    class NoFiles(MemoryStore):
        async def put(self, key: str, data: bytes) -> None:
            raise Unavailable("gone")

    store = NoFiles()
    cluster = Cluster({"a": ["shall I?"]}, team=with_person(), store=store)
    ref = await cluster.submit()
    await step(cluster, ref)
    assert await store.list("open/") == []
    assert (await cluster.service.cancel(TENANT, ref.run_id)).status == "cancelled"
    assert await store.list("open/") == [open_marker(ref)]


async def paused(cluster: Cluster) -> tuple[RunRef, RunLog]:
    """A run that is paused and suspended by its worker."""
    ref = await cluster.submit()
    await cluster.service.pause(TENANT, ref.run_id)
    await step(cluster, ref)
    assert await cluster.store.list("open/") == []
    return ref, cluster.log(ref, "api")


async def resumed_by_a_process_that_is_lost(log: RunLog) -> None:
    """The signal is in the log, and no worker was notified."""
    state = await log.state()
    assert state is not None
    await log.append(state, Signal(signal="resume"), [], epoch=state.epoch)


async def test_a_run_whose_waker_was_lost_is_found_in_some_hours() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref, log = await paused(cluster)
    cluster.clock.shift += timedelta(hours=7)
    assert await cluster.reaper().sweep() == 0
    await resumed_by_a_process_that_is_lost(log)
    cluster.clock.shift += timedelta(hours=7)
    assert await cluster.reaper().sweep() == 1
    assert await cluster.store.list("open/") == [open_marker(ref)]
    assert (await step(cluster, ref)).status == "completed"


async def test_resuming_a_run_again_wakes_it_again() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref, log = await paused(cluster)
    await resumed_by_a_process_that_is_lost(log)
    cluster.queue.sent.clear()
    before = len(await cluster.entries(ref))
    await cluster.service.resume(TENANT, ref.run_id)
    assert len(await cluster.entries(ref)) == before
    assert cluster.queue.sent == [ref]
    assert await cluster.store.list("open/") == [open_marker(ref)]


async def test_an_answer_whose_message_is_lost_is_found_by_the_reaper() -> None:
    cluster = Cluster({"a": ["shall I?"]}, team=with_person())
    ref = await cluster.submit()
    run = await step(cluster, ref)
    cluster.queue.is_down = True
    await answered(cluster, run, content="DONE")
    cluster.queue.is_down = False
    cluster.queue.waiting.clear()
    cluster.clock.shift += cluster.lease
    assert await cluster.reaper().sweep() == 1
    assert (await step(cluster, ref, "w2")).status == "completed"


async def test_a_flushed_redis_does_not_lose_a_run_that_waits() -> None:
    cluster = Cluster({"a": ["shall I?"]}, team=with_person())
    ref = await cluster.submit()
    run = await step(cluster, ref)
    assert isinstance(cluster.live, MemoryLive)
    cluster.live.forget()
    cluster.queue.waiting.clear()
    await answered(cluster, run, content="DONE")
    assert (await step(cluster, ref, "w2")).status == "completed"


async def test_a_handoff_to_a_person_asks_that_person_and_continues() -> None:
    team = solo(handoffs=[{"target": "human"}])
    team["termination"] = {
        "type": "or",
        "conditions": [
            {"type": "handoff", "target": "human"},
            {"type": "text_mention", "text": "DONE", "sources": ["a"]},
        ],
    }
    hand_over: dict[str, Any] = {"tool_calls": [{"name": "transfer_to_human", "arguments": {}}]}
    cluster = Cluster({"a": [hand_over, "DONE"]}, team=team)
    ref = await cluster.submit()
    run = await step(cluster, ref, "w1")
    assert run.status == "input_required"
    await answered(cluster, run, content="you decide")
    run = await step(cluster, ref, "w2")
    assert (run.status, run.stop_code) == ("completed", "text_mention")


@pytest.mark.parametrize("is_stopping", [False, True], ids=["paused", "and-stopped"])
async def test_a_pause_lets_calls_complete_and_begins_no_more(is_stopping: bool) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def held() -> str:
        entered.set()
        await release.wait()
        return "x"

    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "held", "arguments": {}}]}, "DONE"]
    }
    tool = FunctionTool(held, description="Waits.")
    cluster = Cluster(script, team=solo("held"), tools=[tool])
    ref = await cluster.submit()
    async with cluster.working(ref) as (engine, task):
        await asyncio.wait_for(entered.wait(), 10)
        assert (await cluster.service.pause(TENANT, ref.run_id)).status == "running"
        if is_stopping:
            engine.stop()
        release.set()
        assert await asyncio.wait_for(task, 10) is Finish.WAITING
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.tool_calls, run.usage.model_calls) == ("paused", 1, 1)
    assert (await step(cluster, ref, "idle")).status == "paused"
    cluster.queue.waiting.clear()
    assert (await cluster.service.resume(TENANT, ref.run_id)).status == "queued"
    assert list(cluster.queue.waiting) == [ref]
    assert (await step(cluster, ref, "w2")).status == "completed"
    types = await cluster.event_types(ref)
    assert (types.count("run.paused"), types.count("run.resumed")) == (1, 1)


async def test_a_queued_run_that_is_paused_does_not_begin() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    assert (await cluster.service.pause(TENANT, ref.run_id)).status == "paused"
    assert (await step(cluster, ref)).status == "paused"
    assert not any(isinstance(e.body, Claim) for e in await cluster.entries(ref))
    await cluster.service.resume(TENANT, ref.run_id)
    assert (await step(cluster, ref)).status == "completed"
    types = await cluster.event_types(ref)
    assert types[:3] == ["run.queued", "run.paused", "run.resumed"]
    assert types.count("run.paused") == 1


async def test_a_message_to_the_team_is_delivered_before_its_next_turn() -> None:
    cluster = Cluster({"a": ["one", "DONE"]}, team=solo())
    ref = await cluster.submit()
    await cluster.service.speak(TENANT, ref.run_id, InputMessage(content="be brief"))
    run = await step(cluster, ref)
    assert run.unread == []
    result = await cluster.service.result(TENANT, ref.run_id)
    assert [m["content"] for m in result.messages] == ["go", "be brief", "one", "DONE"]


async def said_during_a_tool(cluster: Cluster, entered: asyncio.Event, leave: asyncio.Event) -> Run:
    """Speak to a run while its tool is at work, and let it come to its end."""
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, task):
        await asyncio.wait_for(entered.wait(), 10)
        await cluster.service.speak(TENANT, ref.run_id, InputMessage(content="wait!"))
        leave.set()
        assert await asyncio.wait_for(task, 10) is Finish.ENDED
    return await cluster.service.get(TENANT, ref.run_id)


@pytest.mark.parametrize("after", ["nothing", "a failure"])
async def test_a_message_that_is_too_late_is_unread(after: str) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def held() -> str:
        entered.set()
        await release.wait()
        return "x"

    script: dict[str, list[Any]] = {"a": [{"tool_calls": [{"name": "held", "arguments": {}}]}]}
    tool = FunctionTool(held, description="Waits.")
    team = duo(1)
    team["participants"][0]["tools"] = ["held"]
    if after == "a failure":
        team["participants"][0]["reflect_on_tool_use"] = True
        script["a"].append({"error": {"message": "no", "status_code": 400, "retryable": False}})
    cluster = Cluster(script, team=team, tools=[tool])
    run = await said_during_a_tool(cluster, entered, release)
    assert run.status == ("completed" if after == "nothing" else "failed")
    assert run.unread == ["wait!"]
