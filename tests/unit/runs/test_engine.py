import asyncio
import threading
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

from tests.support.runs import TENANT, Cluster, duo, solo

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.live.memory import MemoryLive
from teamrun.messages.llm import CreateResult
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.execution import Program
from teamrun.runs.engine.finish import Finish, Receipt
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import CallContext, Outcome
from teamrun.runs.log.announcer import lease_name
from teamrun.runs.log.entries import Accepted, Claim, End, Signal
from teamrun.runs.log.spec import BEHAVIOUR, InputMessage, RunSpec
from teamrun.runs.log.state import RunState
from teamrun.runs.service.resources import Delta, Event
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel
from teamrun.testing.faults import Fault, FaultStore
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool


def call(name: str, /, **arguments: object) -> dict[str, object]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


async def test_a_run_is_executed_to_its_end() -> None:
    cluster = Cluster({"a": ["one", "DONE"]}, team=solo())
    ref = await cluster.submit()
    worker = cluster.worker()
    assert await cluster.queue.deliver(worker.execute) == 1
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_code) == ("completed", "text_mention")
    assert run.output is not None
    assert run.output.text == "DONE"
    assert run.usage.model_calls == 2
    assert await cluster.event_types(ref) == [
        "run.queued",
        "run.started",
        "message.created",
        "turn.started",
        "model.call.started",
        "model.call.completed",
        "message.created",
        "turn.completed",
        "turn.started",
        "model.call.started",
        "model.call.completed",
        "message.created",
        "turn.completed",
        "run.completed",
    ]


async def test_the_end_leaves_a_result_and_no_marker() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    worker = cluster.worker()
    await worker.execute(ref)
    assert await cluster.store.list("open/") == []
    result = await cluster.service.result(TENANT, ref.run_id)
    assert [message["content"] for message in result.messages] == ["go", "DONE"]


async def test_a_doubled_message_does_nothing() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    one, two = cluster.worker("w1"), cluster.worker("w2")
    finishes = await asyncio.gather(one.execute(ref), two.execute(ref), one.execute(ref))
    assert sorted(finishes) == [Finish.ENDED, Finish.HELD, Finish.HELD]
    claims = [e for e in await cluster.entries(ref) if isinstance(e.body, Claim)]
    assert len(claims) == 1


async def test_an_unknown_run_is_absent() -> None:
    cluster = Cluster({}, team=solo())
    worker = cluster.worker()
    ref = await cluster.submit()
    assert await worker.execute(ref._replace(run_id="run_0")) is Finish.ABSENT


async def test_a_stopped_worker_hands_over_and_nothing_is_called_again() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow() -> str:
        entered.set()
        leave.wait(10)
        return "result"

    script = {"a": [call("slow"), "after the tool", "DONE"]}
    tool = FunctionTool(slow, description="Slow.")
    cluster = Cluster(script, team=solo("slow"), tools=[tool])
    ref = await cluster.submit()
    cluster.queue.waiting.clear()
    async with cluster.working(ref) as (engine, task):
        await asyncio.to_thread(entered.wait, 10)
        engine.stop()
        leave.set()
        assert await task is Finish.YIELDED
    assert list(cluster.queue.waiting) == [ref]
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "queued"

    entered.clear()
    second = cluster.worker("w2")
    assert await second.execute(ref) is Finish.ENDED
    assert not entered.is_set(), "the tool call is on record"
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.epoch, run.usage.tool_calls) == ("completed", 2, 1)
    seqs = [e.seq for e in (await cluster.service.events(TENANT, ref.run_id, limit=99)).data]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_an_aborted_worker_makes_only_the_calls_in_flight_again() -> None:
    calls: list[str] = []
    entered = asyncio.Event()

    async def gated(name: str) -> str:
        calls.append(name)
        entered.set()
        if len(calls) == 2:
            await asyncio.Event().wait()
        return name

    script = {"a": [call("gated", name="x"), call("gated", name="y"), "DONE"]}
    tool = FunctionTool(gated, description="Waits.")
    cluster = Cluster(script, team=solo("gated"), tools=[tool])
    ref = await cluster.submit()
    async with cluster.working(ref) as (engine, task):
        while len(calls) < 2:
            entered.clear()
            await asyncio.wait_for(entered.wait(), 10)
        engine.abort()
        assert await task is Finish.YIELDED
    second = cluster.worker("w2")
    assert await second.execute(ref) is Finish.ENDED
    assert calls == ["x", "y", "y"]


async def test_a_cancel_reaches_a_tool_that_waits() -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def endless() -> str:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    tool = FunctionTool(endless, description="Never ends.")
    cluster = Cluster({"a": [call("endless")]}, team=solo("endless"), tools=[tool])
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, task):
        await asyncio.wait_for(entered.wait(), 10)
        run = await cluster.service.cancel(TENANT, ref.run_id, reason="enough")
        assert run.status == "cancelling"
        assert await asyncio.wait_for(task, 10) is Finish.ENDED
    assert cancelled.is_set()
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_reason) == ("cancelled", "enough")
    assert run.usage.model_calls == 1


async def test_a_queued_run_is_cancelled_at_once_and_never_started() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    assert (await cluster.service.cancel(TENANT, ref.run_id)).status == "cancelled"
    worker = cluster.worker()
    assert await worker.execute(ref) is Finish.ENDED
    assert not any(isinstance(e.body, Claim) for e in await cluster.entries(ref))


async def test_a_claimer_that_finds_a_cancel_ends_the_run_before_anything_else() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    await cluster.claim_and_die(ref)
    assert (await cluster.service.cancel(TENANT, ref.run_id)).status == "cancelling"
    await taken_over(cluster, ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.epoch) == ("cancelled", 1)


async def taken_over(cluster: Cluster, ref: RunRef) -> None:
    """Let a lease's time pass, and a worker look at the run."""
    await cluster.live.age()
    cluster.clock.shift += cluster.lease + timedelta(seconds=1)
    worker = cluster.worker("heir")
    assert await worker.execute(ref) is Finish.ENDED


async def test_an_owner_that_finds_its_run_ended_by_another_writes_nothing_more() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def held() -> str:
        entered.set()
        await release.wait()
        return "x"

    tool = FunctionTool(held, description="Waits.")
    cluster = Cluster({"a": [call("held"), "DONE"]}, team=solo("held"), tools=[tool])
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, task):
        await asyncio.wait_for(entered.wait(), 10)
        log = cluster.log(ref)
        state = await log.state()
        assert state is not None
        await log.append(state, Signal(signal="cancel"), [], epoch=state.epoch)
        await taken_over(cluster, ref)
        release.set()
        assert await asyncio.wait_for(task, 10) is Finish.ENDED
    last = (await cluster.entries(ref))[-1]
    assert (last.writer, last.body.kind) == ("heir", "end")


async def test_a_run_is_taken_over_only_when_its_owner_has_been_silent_for_a_lease() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    await cluster.claim_and_die(ref)
    worker = cluster.worker("w2")
    assert await worker.execute(ref) is Finish.HELD
    await taken_over(cluster, ref)
    assert (await cluster.service.get(TENANT, ref.run_id)).epoch == 2


async def test_after_a_flush_no_run_is_taken_over_for_a_whole_lease() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    live = cluster.live
    assert isinstance(live, MemoryLive)
    ref = await cluster.submit()
    await cluster.claim_and_die(ref)
    await live.age()
    cluster.clock.shift += 2 * cluster.lease
    live.forget()
    worker = cluster.worker("w2")
    assert await worker.execute(ref) is Finish.HELD
    assert await live.held([lease_name(ref)]) == [False]
    await taken_over(cluster, ref)


async def test_a_run_that_kills_its_workers_is_given_up() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    for _ in range(5):
        await cluster.claim_and_die(ref)
    await taken_over(cluster, ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_code, run.usage.model_calls) == ("failed", "poison", 0)


async def test_a_model_error_fails_the_run_with_its_code() -> None:
    error = {"error": {"message": "no quota", "status_code": 402, "retryable": False}}
    cluster = Cluster({"a": [error]}, team=solo())
    ref = await cluster.submit()
    await ended(cluster, ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_code) == ("failed", "model_error")
    assert run.error is not None
    assert run.error.message.startswith("no quota")
    assert "model.call.failed" in await cluster.event_types(ref)


async def ended(cluster: Cluster, ref: RunRef) -> None:
    worker = cluster.worker()
    assert await worker.execute(ref) is Finish.ENDED


async def test_a_tool_error_is_reported_to_the_model() -> None:
    def broken() -> str:
        raise ValueError("out of paper")

    tool = FunctionTool(broken, description="Breaks.")
    cluster = Cluster({"a": [call("broken"), "DONE"]}, team=solo("broken"), tools=[tool])
    ref = await cluster.submit()
    await ended(cluster, ref)
    result = await cluster.service.result(TENANT, ref.run_id)
    assert result.status == "completed"
    assert "out of paper" in [message["content"] for message in result.messages]
    assert "tool.call.failed" in await cluster.event_types(ref)


async def test_a_tool_that_cancels_itself_fails_and_the_run_continues() -> None:
    async def rude() -> str:
        raise asyncio.CancelledError("not today")

    tool = FunctionTool(rude, description="Cancels.")
    cluster = Cluster({"a": [call("rude"), "DONE"]}, team=solo("rude"), tools=[tool])
    ref = await cluster.submit()
    await ended(cluster, ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.tool_calls) == ("completed", 1)


def counting(context: ToolContext) -> str:
    context.state["calls"] = context.state.get("calls", 0) + 1
    context.artifacts.write("count.txt", str(context.state["calls"]))
    return str(context.state["calls"])


async def test_tools_keep_state_and_files_across_a_change_of_worker() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def held() -> str:
        entered.set()
        await release.wait()
        return "released"

    script = {"a": [call("counting"), call("held"), call("counting"), "DONE"]}
    tools = [
        FunctionTool(counting, description="Counts."),
        FunctionTool(held, description="Waits."),
    ]
    cluster = Cluster(script, team=solo("counting", "held"), tools=[*tools])
    ref = await cluster.submit()
    async with cluster.working(ref) as (engine, task):
        await asyncio.wait_for(entered.wait(), 10)
        engine.abort()
        assert await asyncio.wait_for(task, 10) is Finish.YIELDED
    release.set()
    second = cluster.worker("w2")
    assert await second.execute(ref) is Finish.ENDED
    record, content = await cluster.service.artifact(TENANT, ref.run_id, "count.txt")
    assert (record.version, content) == (2, b"2")
    _, first = await cluster.service.artifact(TENANT, ref.run_id, "count.txt", version=1)
    assert first == b"1"


async def test_events_are_seen_while_a_call_is_under_way() -> None:
    release = asyncio.Event()

    async def held(context: ToolContext) -> str:
        context.progress("half", 50)
        await release.wait()
        return "released"

    tool = FunctionTool(held, description="Waits.")
    cluster = Cluster({"a": [call("held"), "DONE"]}, team=solo("held"), tools=[tool])
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, task):
        seen: list[str] = []
        async for event in cluster.service.follow(TENANT, ref.run_id):
            seen.append(event.type)
            if {"tool.call.requested", "tool.call.progressed"} <= {*seen}:
                release.set()
        assert await task is Finish.ENDED
    assert seen[-1] == "run.completed"


async def test_storage_that_is_away_for_a_while_only_delays_a_run() -> None:
    store = FaultStore(MemoryStore())
    cluster = Cluster({"a": ["one", "two", "DONE"]}, team=solo(), store=store)
    ref = await cluster.submit()
    fault = store.plan(
        Fault(outcome="unavailable", method="put_new", key="*/log/*", after=2, times=3)
    )
    lost = store.plan(Fault(outcome="reply_lost", method="put_new", key="*/log/*", after=2))
    await ended(cluster, ref)
    assert (fault.hits, lost.hits) == (3, 1)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.model_calls) == ("completed", 3)


async def test_a_definition_whose_tool_was_removed_fails_the_run() -> None:
    tool = FunctionTool(counting, description="Counts.")
    cluster = Cluster({"a": ["DONE"]}, team=solo("counting"), tools=[tool])
    ref = await cluster.submit()
    elsewhere = Registry.of(teams={}, models={"m": cluster.model})
    worker = cluster.worker(registry=elsewhere)
    assert await worker.execute(ref) is Finish.ENDED
    run = await cluster.service.get(TENANT, ref.run_id)
    assert run.status == "failed"
    assert run.error is not None
    assert "counting" in run.error.message


class Held(ScriptedModel):
    """Answers when the test releases it."""

    def __init__(self) -> None:
        super().__init__(["so it is DONE"])
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    def for_agent(self, name: str) -> "Held":
        return self

    async def create(self, messages: Any, **options: Any) -> CreateResult:
        self.asked.set()
        await self.go.wait()
        return await super().create(messages, **options)

    async def create_stream(self, messages: Any, **options: Any) -> AsyncGenerator[Any, None]:
        self.asked.set()
        await self.go.wait()
        async for chunk in super().create_stream(messages, **options):
            yield chunk


async def test_live_subscribers_see_text_on_its_way() -> None:
    model = Held()
    cluster = Cluster({}, team=solo(model_client_stream=True), model=model)
    ref = await cluster.submit()
    items: list[Event | Delta] = []
    async with cluster.working(ref) as (_, task):
        async for item in cluster.service.follow(TENANT, ref.run_id):
            items.append(item)
            if item.type == "model.call.started":
                model.go.set()
        assert await task is Finish.ENDED
    deltas = [item.data["text"] for item in items if isinstance(item, Delta)]
    assert "".join(deltas) == "so it is DONE"
    assert [e.seq for e in items if isinstance(e, Event)] == list(range(1, 10))


async def test_a_run_that_is_cancelled_lists_the_messages_that_it_has_not_read() -> None:
    model = Held()
    cluster = Cluster({}, team=duo(2), model=model)
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, task):
        await model.asked.wait()
        await cluster.service.speak(TENANT, ref.run_id, InputMessage(content="too late"))
        await cluster.service.cancel(TENANT, ref.run_id)
        assert await task is Finish.ENDED
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.unread) == ("cancelled", ["too late"])


async def test_two_agents_share_a_run_of_many_turns() -> None:
    cluster = Cluster({"a": ["x"] * 10, "b": ["y"] * 10}, team=duo(20))
    ref = await cluster.submit()
    await ended(cluster, ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.stop_code, run.progress.turn, run.progress.max_turns) == ("max_turns", 20, 20)
    ends = [e for e in await cluster.entries(ref) if isinstance(e.body, End)]
    assert len(ends) == 1


async def test_a_run_of_a_newer_release_is_left_alone() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    [accepted] = await cluster.entries(ref)
    assert isinstance(accepted.body, Accepted)
    newer = accepted.body.spec.model_copy(update={"behaviour": BEHAVIOUR + 1, "run_id": "run_9"})
    other = RunRef(TENANT, "run_9")
    initial = RunState.initial(newer, newer.created_at)
    await cluster.log(other).append(initial, Accepted(spec=newer), [], epoch=0)
    worker = cluster.worker()
    assert await worker.execute(other) is Finish.HELD
    assert len(await cluster.entries(other)) == 1


async def test_no_call_begins_when_the_code_of_a_run_has_come_to_its_end() -> None:
    made: list[str] = []

    async def perform(desk: CallContext) -> Outcome:
        made.append(desk.info.call_id)
        return Outcome(value=1)

    async def program(journal: Journal) -> End:
        await journal.call("a", "model", "m", 0, perform)
        left = asyncio.ensure_future(journal.call("b", "model", "m", 0, perform))
        await asyncio.sleep(0)
        assert not left.done()
        return End(status="completed", output={"text": "done"})

    cluster = Cluster({}, team=solo())
    ref = await cluster.submit()
    worker = Engine(
        store=cluster.store,
        live=cluster.live,
        dispatcher=cluster.queue,
        owner="w1",
        program=lambda spec: program,
    )
    assert await worker.execute(ref) is Finish.ENDED
    await worker.close()
    assert made == ["a/model:0"]


async def test_runs_whose_claims_came_to_nothing_begin_one_at_a_time() -> None:
    model = Held()
    cluster = Cluster({}, team=solo(), model=model)
    first, second, innocent = [await cluster.submit() for _ in range(3)]
    for ref in (first, second):
        for _ in range(2):
            await cluster.claim_and_die(ref)
            await cluster.live.release(lease_name(ref), "dead")
    await cluster.live.age()  # which begins now
    cluster.clock.shift += timedelta(hours=1)
    engine = cluster.worker()
    works = [asyncio.ensure_future(engine.execute(ref)) for ref in (first, second, innocent)]
    await asyncio.wait_for(model.asked.wait(), 10)
    for _ in range(100):
        await asyncio.sleep(0)
    assert [await claims_of(cluster, ref) for ref in (first, second, innocent)] == [3, 2, 1]
    model.go.set()
    assert await asyncio.gather(*works) == [Finish.ENDED] * 3


async def test_such_a_run_waits_for_a_lease_at_most() -> None:
    model = Held()
    cluster = Cluster({}, team=solo(), model=model, lease=timedelta(milliseconds=100))
    refs = [await cluster.submit() for _ in range(2)]
    for ref in refs:
        for _ in range(2):
            await cluster.claim_and_die(ref)
            await cluster.live.release(lease_name(ref), "dead")
    await cluster.live.age()  # which begins now
    cluster.clock.shift += timedelta(hours=1)
    engine = cluster.worker()
    works = [asyncio.ensure_future(engine.execute(ref)) for ref in refs]
    for _ in range(1000):
        if [await claims_of(cluster, ref) for ref in refs] == [3, 3]:
            break
        await asyncio.sleep(0.01)
    assert not any(work.done() for work in works)
    assert [await claims_of(cluster, ref) for ref in refs] == [3, 3]
    model.go.set()
    assert await asyncio.gather(*works) == [Finish.ENDED] * 2


async def test_the_message_of_a_run_that_waits_for_its_turn_is_returned_at_a_stop() -> None:
    model = Held()
    cluster = Cluster({}, team=solo(), model=model)
    refs = [await cluster.submit() for _ in range(2)]
    for ref in refs:
        for _ in range(2):
            await cluster.claim_and_die(ref)
            await cluster.live.release(lease_name(ref), "dead")
    await cluster.live.age()  # which begins now
    cluster.clock.shift += timedelta(hours=1)
    cluster.queue.waiting.clear()
    engine = cluster.worker()
    works = [asyncio.ensure_future(engine.execute(ref)) for ref in refs]
    await asyncio.wait_for(model.asked.wait(), 10)
    engine.abort()
    finishes = await asyncio.wait_for(asyncio.gather(*works), 10)
    assert finishes == [Finish.YIELDED, Finish.REFUSED]
    assert [finish.receipt for finish in finishes] == [Receipt.ACKNOWLEDGE, Receipt.RETURN]
    assert [*cluster.queue.waiting] == refs[:1]
    assert await claims_of(cluster, refs[1]) == 2


async def test_a_run_that_was_being_read_at_a_stop_is_handed_over() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    cluster.queue.waiting.clear()
    makes = team_program(cluster.registry)

    def stopping(spec: RunSpec) -> Program:
        engine.stop()
        return makes(spec)

    engine = cluster.worker(program=stopping)
    assert await engine.execute(ref) is Finish.YIELDED
    assert [*cluster.queue.waiting] == [ref]
    assert not cluster.model.calls


async def claims_of(cluster: Cluster, ref: RunRef) -> int:
    return sum(isinstance(entry.body, Claim) for entry in await cluster.entries(ref))


async def test_each_write_of_a_files_name_in_one_call_is_a_version() -> None:
    def drafts(context: ToolContext) -> str:
        for text in ("one", "two", "three"):
            context.artifacts.write("draft.txt", text)
        return context.artifacts.read("draft.txt").decode()

    tool = FunctionTool(drafts, description="Write drafts.")
    cluster = Cluster({"a": [call("drafts"), "DONE"]}, team=solo("drafts"), tools=[tool])
    ref = await cluster.submit()
    await ended(cluster, ref)

    files = (await cluster.service.result(TENANT, ref.run_id)).artifacts
    assert [(file.name, file.version, file.size) for file in files] == [
        ("draft.txt", 1, 3),
        ("draft.txt", 2, 3),
        ("draft.txt", 3, 5),
    ]
