"""Members that speak at the same time in a run: at once, and in the order of the log."""

import asyncio
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster

from teamrun.core.refs import RunRef
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.entries import calls_of
from teamrun.runs.log.state import fold
from teamrun.runs.service.requests import Answer
from teamrun.runs.service.resources import Run
from teamrun.tools import FunctionTool

EDGES = {"a": "bc", "b": "d", "c": "d", "d": ""}


def diamond(*, asking: str = "", **options: Any) -> dict[str, Any]:
    """A graph in which `b` and `c` speak at the same time; an asking agent may ask a person."""
    agents = [
        {
            "type": "assistant_agent",
            "name": name,
            "model": "m",
            "tools": ["meet"],
            "handoffs": [{"target": "user"}] if name == asking else [],
        }
        for name in EDGES
    ]
    nodes = {name: {"edges": [{"target": each} for each in to]} for name, to in EDGES.items()}
    return {"type": "graph_flow", "participants": agents, "graph": {"nodes": nodes}, **options}


def calls(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def script(**steps: Any) -> dict[str, list[Any]]:
    return {name: steps.get(name, [name]) for name in EDGES}


async def executed(cluster: Cluster, ref: RunRef, owner: str = "w") -> Run:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


async def sources(cluster: Cluster, ref: RunRef) -> str:
    messages = (await cluster.service.result(TENANT, ref.run_id)).messages
    return "".join(each["source"] for each in messages if each["source"] != "user")


async def require_replay(cluster: Cluster, ref: RunRef) -> None:
    state = fold(await cluster.entries(ref))
    assert state is not None
    program = team_program(cluster.registry)(state.spec)
    assert await replay(cluster.log(ref), program, cluster.clock) is None


async def test_their_calls_are_under_way_at_once_and_a_turn_is_shared() -> None:
    barrier = asyncio.Barrier(2)

    async def meet() -> str:
        """Meet the other."""
        await barrier.wait()  # one call alone would wait forever
        return "met"

    both = calls("meet")
    cluster = Cluster(script(b=[both], c=[both]), team=diamond(), tools=[FunctionTool(meet)])
    ref = await cluster.submit()
    run = await executed(cluster, ref)

    assert (run.status, run.stop_code) == ("completed", "graph_complete")
    assert run.stop_reason == "Digraph execution is complete"
    events = [event for entry in await cluster.entries(ref) for event in entry.events]
    started = [(e.data["turn"], e.agent) for e in events if e.type == "turn.started"]
    assert started == [(1, "a"), (2, "b"), (2, "c"), (3, "d")]
    chosen = [e.data["speakers"] for e in events if e.type == "speaker.selected"]
    assert chosen == [["a"], ["b", "c"], ["d"]]
    await require_replay(cluster, ref)


@pytest.mark.parametrize("first", "bc")
async def test_their_order_is_that_of_the_log_also_in_a_replay(first: str) -> None:
    done = asyncio.Event()

    async def meet(who: str) -> str:
        """End after the first one."""
        if who == first:
            done.set()
        await done.wait()
        return who

    steps = {name: [calls("meet", who=name)] for name in "bc"}
    cluster = Cluster(script(**steps), team=diamond(), tools=[FunctionTool(meet)])
    ref = await cluster.submit()
    await executed(cluster, ref)

    entries = await cluster.entries(ref)
    logged = [call.call_id for entry in entries for call in calls_of(entry.body)]
    tools = [call_id.split("/")[1] for call_id in logged if "/tool:" in call_id]
    events = [event for entry in entries for event in entry.events]
    ended = [event.agent for event in events if event.type == "turn.completed"]
    assert ended == ["a", *tools, "d"]
    assert tools[0] == first
    await require_replay(cluster, ref)


async def test_one_that_fails_ends_the_run_and_cancels_the_others() -> None:
    started, was_cancelled = asyncio.Event(), asyncio.Event()

    async def meet() -> str:
        """Wait until cancelled."""
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            raise
        return "never"

    error = {"error": {"message": "no", "status_code": 400, "retryable": False}}
    cluster = Cluster(
        script(b=[error], c=[calls("meet")]), team=diamond(), tools=[FunctionTool(meet)]
    )
    ref = await cluster.submit()
    run = await executed(cluster, ref)

    assert run.status == "failed"
    assert was_cancelled.is_set() == started.is_set()
    await require_replay(cluster, ref)


async def test_a_loser_is_cancelled_and_the_replay_has_the_same_winner() -> None:
    started, was_cancelled = asyncio.Event(), asyncio.Event()

    async def meet() -> str:
        """Wait until cancelled."""
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            raise
        return "never"

    async def win() -> str:
        """End when the other has begun."""
        await started.wait()
        return "won"

    members = [
        {"type": "assistant_agent", "name": name, "model": "m", "tools": [tool]}
        for name, tool in (("a", "meet"), ("b", "win"))
    ]
    cluster = Cluster(
        {"a": [calls("meet")], "b": [calls("win")]},
        team={"type": "competitive", "participants": members},
        tools=[FunctionTool(meet), FunctionTool(win)],
    )
    ref = await cluster.submit()
    run = await executed(cluster, ref)

    assert (run.status, run.stop_code) == ("completed", "steps_complete")
    assert run.output is not None and run.output.text == "won"
    assert was_cancelled.is_set()
    events = [event for entry in await cluster.entries(ref) for event in entry.events]
    ended = [event.agent for event in events if event.type == "turn.completed"]
    assert ended == ["b", "a"]
    await require_replay(cluster, ref)


async def test_one_that_asks_a_person_speaks_again_after_the_answer_and_then_the_join() -> None:
    cluster = Cluster(
        script(b=[calls("transfer_to_user"), "b"]),
        team=diamond(asking="b", termination={"type": "handoff", "target": "user"}),
        tools=[FunctionTool(lambda: "met", "Meet.", "meet")],
    )
    ref = await cluster.submit()
    [action] = (await executed(cluster, ref)).required_actions
    answer = Answer(action_id=action.id, content="go on")
    await cluster.service.answer(TENANT, ref.run_id, answer)
    run = await executed(cluster, ref, "another")

    assert run.status == "completed"
    assert (await sources(cluster, ref))[-2:] == "bd"
    await require_replay(cluster, ref)


async def test_a_limit_of_turns_counts_those_at_the_same_time_once() -> None:
    cluster = Cluster(
        script(), team=diamond(), tools=[FunctionTool(lambda: "met", "Meet.", "meet")]
    )
    ref = await cluster.submit(limits={"max_turns": 2})
    run = await executed(cluster, ref)

    assert (run.status, run.stop_code) == ("incomplete", "max_turns")
    assert sorted(await sources(cluster, ref)) == ["a", "b", "c"]
