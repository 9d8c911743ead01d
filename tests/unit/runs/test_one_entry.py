"""What a turn comes to is one entry, and what was heard before it was durable may be lost."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, duo, solo

from teamrun.core.refs import RunRef
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine import loop
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.execution import Program
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import CallContext, Outcome
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.attempts import halves
from teamrun.runs.log.entries import End, Entry, Step, calls_of
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.service.requests import ForkRequest
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel
from teamrun.tools.function import FunctionTool

LATENCY_S = 0.06
"""Longer than events wait for the entry of a call."""


class SlowModel(ScriptedModel):
    async def create(self, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(LATENCY_S)
        return await super().create(*args, **options)


class RacingStore(MemoryStore):
    """Lets another writer append first, once, just before an entry with outcomes is written."""

    def __init__(self) -> None:
        super().__init__()
        self.interfere: Callable[[], Awaitable[object]] | None = None
        self.at = 0
        """How many of such entries come before."""

    async def put_new(self, key: str, data: bytes) -> bool:
        if b'"calls":[{' in data and self.interfere is not None:
            if self.at == 0:
                interfere, self.interfere = self.interfere, None
                await interfere()
            self.at -= 1
        return await super().put_new(key, data)


def numbers(count: int) -> dict[str, list[Any]]:
    return {"a": [str(n) for n in range(0, count, 2)], "b": [str(n) for n in range(1, count, 2)]}


async def kinds(cluster: Cluster, ref: RunRef) -> list[str]:
    return [entry.body.kind for entry in await cluster.entries(ref)]


async def texts(cluster: Cluster, ref: RunRef) -> list[str]:
    result = await cluster.service.result(TENANT, ref.run_id)
    return [message["content"] for message in result.messages]


async def execute(cluster: Cluster, ref: RunRef, owner: str = "w1") -> None:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()


async def test_a_turn_is_one_entry_however_long_the_model_takes() -> None:
    cluster = Cluster({}, team=duo(5), model=SlowModel(numbers(5)))
    ref = await cluster.submit()
    await execute(cluster, ref)
    # The first of the steps shows that the run has begun.
    assert await kinds(cluster, ref) == ["accepted", "claim", *["step"] * 5, "end"]


async def test_a_tool_round_is_two_entries() -> None:
    def look() -> str:
        return "seen"

    rounds: list[Any] = [{"tool_calls": [{"name": "look", "arguments": {}}]}] * 3
    cluster = Cluster(
        {},
        team=solo("look", max_tool_iterations=4),
        model=SlowModel({"a": [*rounds, "DONE"]}),
        tools=[FunctionTool(look, "Look.", effects="none")],
    )
    ref = await cluster.submit()
    await execute(cluster, ref)
    assert await kinds(cluster, ref) == ["accepted", "claim", "step", *["step"] * 6, "end"]


async def test_events_are_in_the_order_in_which_they_occur() -> None:
    cluster = Cluster(numbers(2), team=duo(2))
    ref = await cluster.submit()
    await execute(cluster, ref)
    steps = [entry for entry in await cluster.entries(ref) if isinstance(entry.body, Step)]
    first = [event.type for event in steps[0].events]
    after = first.index("model.call.completed")
    assert isinstance(steps[0].body, Step)
    assert steps[0].body.followed == len(first) - after - 1
    assert first[after + 1] == "message.created"
    assert "turn.started" in first[after:]


INTERFERENCES: dict[str, Callable[[Cluster, RunRef], Awaitable[object]]] = {
    "message": lambda c, r: c.service.speak(TENANT, r.run_id, InputMessage(content="hurry")),
    "pause": lambda c, r: c.service.pause(TENANT, r.run_id),
    "cancel": lambda c, r: c.service.cancel(TENANT, r.run_id),
}


@pytest.mark.parametrize("at", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", INTERFERENCES)
async def test_after_a_lost_race_the_run_is_what_its_log_says(kind: str, at: int) -> None:
    store = RacingStore()
    cluster = Cluster(numbers(4), team=duo(4), store=store)
    ref = await cluster.submit()
    store.at, store.interfere = at, lambda: INTERFERENCES[kind](cluster, ref)
    await execute(cluster, ref)
    if kind == "pause" and at < 3:  # after the last answer there is nothing to pause
        assert (await cluster.service.get(TENANT, ref.run_id)).status == "paused"
        await cluster.service.resume(TENANT, ref.run_id)
        await execute(cluster, ref, "w2")
    run = await cluster.service.get(TENANT, ref.run_id)
    # No call is made again, and none that was paid for is lost.
    assert run.usage.model_calls == (at + 1 if kind == "cancel" else 4)
    if kind == "cancel":
        assert run.status == "cancelled"
        return
    assert run.status == "completed"
    said = ["go", "0", "1", "2", "3"]
    if kind == "message" and at < 3:  # heard before the turn that follows it in the log
        said.insert(at + 2, "hurry")
    assert await texts(cluster, ref) == said
    if kind == "message" and at == 3:
        end = (await cluster.entries(ref))[-1].body
        assert isinstance(end, End)
        assert end.unread == ["hurry"]
    events = (await cluster.service.events(TENANT, ref.run_id, limit=999)).data
    assert [event.seq for event in events] == [*range(1, len(events) + 1)]
    types = [event.type for event in events]
    assert types.count("turn.started") == types.count("turn.completed") == 4


async def test_a_fork_at_every_event_goes_on_from_it() -> None:
    cluster = Cluster(numbers(3), team=duo(3))
    ref = await cluster.submit()
    await execute(cluster, ref)
    events = (await cluster.service.events(TENANT, ref.run_id, limit=999)).data
    for event in events[2:-1]:
        other = Cluster(numbers(3), team=duo(3), store=cluster.store)
        fork = await other.service.fork(TENANT, ref.run_id, ForkRequest(after_seq=event.seq))
        child = RunRef(TENANT, fork.run.id)
        await execute(other, child)
        assert await texts(other, child) == ["go", "0", "1", "2"], event.type
        answered = [e.type for e in events[: event.seq]].count("model.call.completed")
        run = await other.service.get(TENANT, child.run_id)
        assert run.usage.model_calls == 3 - answered, event.type


def test_halves_have_the_numbers_and_events_of_the_whole() -> None:
    whole = Cluster(numbers(3), team=duo(3))

    async def recorded() -> list[Entry]:
        ref = await whole.submit()
        await execute(whole, ref)
        return await whole.entries(ref)

    entries = asyncio.run(recorded())
    split = [*halves(entries)]
    assert len(split) > len(entries)
    assert [e for entry in split for e in entry.events] == [
        e for entry in entries for e in entry.events
    ]
    seq = 1
    for entry in split:
        assert entry.seq == seq
        seq += len(entry.events)
    counts = [sum(getattr(e.body, "emitted", 0) for e in each) for each in (split, entries)]
    assert counts[0] == counts[1]


def program(code: Callable[[Journal], Awaitable[End]]) -> Callable[[Any], Program]:
    return lambda spec: code


async def test_the_outcome_that_makes_code_run_away_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "_RUNAWAY", 4_000)

    async def answer(context: CallContext) -> Outcome:
        return Outcome(value="paid for")

    async def code(journal: Journal) -> End:
        await journal.call("t/a", "tool", "x", journal.position("t/a", "tool"), answer)
        for _ in itertools.count():
            await asyncio.sleep(0)
        raise AssertionError

    store = RacingStore()
    cluster = Cluster({}, team=solo(), store=store)
    ref = await cluster.submit()
    store.interfere = lambda: cluster.service.speak(TENANT, ref.run_id, InputMessage(content="hm"))
    worker: Engine = cluster.worker(program=program(code))
    await worker.execute(ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_code, run.usage.tool_calls) == ("failed", "runaway", 1)


async def test_a_replay_of_every_run_agrees_with_it() -> None:
    store = RacingStore()
    cluster = Cluster(numbers(4), team=duo(4), store=store)
    ref = await cluster.submit()
    store.at = 1
    store.interfere = lambda: cluster.service.speak(TENANT, ref.run_id, InputMessage(content="x"))
    worker = cluster.worker()
    await worker.execute(ref)
    state = await cluster.log(ref).state()
    assert state is not None
    code = team_program(cluster.registry)(state.spec)
    assert await replay(cluster.log(ref), code, cluster.clock) is None


async def test_the_last_call_and_the_end_are_one_entry() -> None:
    cluster = Cluster(numbers(1), team=duo(1))
    ref = await cluster.submit()
    await execute(cluster, ref)
    *_, end = await cluster.entries(ref)
    assert await kinds(cluster, ref) == ["accepted", "claim", "end"]
    assert [call.call_id for call in calls_of(end.body)] == ["team/a/model:0"]
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.model_calls) == ("completed", 1)


async def test_a_callback_that_fails_after_the_last_outcome_fails_the_run() -> None:
    async def answer(context: CallContext) -> Outcome:
        return Outcome(value="paid for")

    def fail() -> None:
        raise ZeroDivisionError

    async def code(journal: Journal) -> End:
        await journal.call("t/a", "tool", "x", journal.position("t/a", "tool"), answer)
        asyncio.get_running_loop().call_soon(fail)
        return End(status="completed")

    cluster = Cluster({}, team=solo())
    ref = await cluster.submit()
    worker: Engine = cluster.worker(program=program(code))
    await worker.execute(ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.tool_calls) == ("failed", 1)
    assert await kinds(cluster, ref) == ["accepted", "claim", "step", "end"]


async def test_the_end_does_not_share_the_entry_of_a_call_with_outside_effects() -> None:
    def pay() -> str:
        return "paid"

    cluster = Cluster(
        {"a": [{"tool_calls": [{"name": "pay", "arguments": {}}]}]},
        team={**solo("pay"), "max_turns": 1},
        tools=[FunctionTool(pay, "Pay.", effects="write")],
    )
    ref = await cluster.submit()
    await execute(cluster, ref)
    assert await kinds(cluster, ref) == ["accepted", "claim", "step", "intent", "step", "end"]
    run = await cluster.service.get(TENANT, ref.run_id)
    assert run.unknown_outcomes == []
