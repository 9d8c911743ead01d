import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.runs import TENANT, Cluster, ShiftedClock, duo, solo

from teamrun.components.team_file import load_registry
from teamrun.core.refs import RunRef
from teamrun.errors import DefinitionError
from teamrun.messages.llm import CreateResult, RequestUsage
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.entries import Signal
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.usage import Level
from teamrun.runs.service.requests import ForkRequest, RunRequest
from teamrun.runs.service.resources import Run
from teamrun.tools.function import FunctionTool


def says(text: str, *, model: str | None = None) -> CreateResult:
    usage = RequestUsage(prompt_tokens=100, completion_tokens=10)
    return CreateResult(finish_reason="stop", content=text, usage=usage, model=model)


def note() -> str:
    """Note."""
    return "noted"


NOTE: dict[str, Any] = {"tool_calls": [{"name": "note", "arguments": {}}]}


PRICED = """
models:
  m:
    type: scripted
    script:
      a:
        - content: one
          usage: {prompt_tokens: 500000, completion_tokens: 500000}
        - content: two
          usage: {prompt_tokens: 500000, completion_tokens: 500000}
        - content: three
    price: {input: 2.5, output: "5"}
"""


async def executed(cluster: Cluster, ref: RunRef, owner: str = "w1") -> Run:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


@pytest.mark.parametrize(
    ("limits", "code", "calls"),
    [
        ({"max_model_calls": 2}, "max_model_calls", 2),
        ({"max_turns": 3}, "max_turns", 3),
        ({"max_input_tokens": 150}, "max_input_tokens", 2),
        ({"max_output_tokens": 30}, "max_output_tokens", 3),
        ({"max_tokens": 110}, "max_tokens", 1),
        ({"max_cost_usd": "0.00003"}, "budget_exceeded", 2),
        ({"agents": {"b": {"max_model_calls": 1}}}, "max_model_calls", 3),
    ],
    ids=["model calls", "turns", "input", "output", "tokens", "cost", "agent"],
)
async def test_a_limit_ends_the_run_as_incomplete_with_what_there_is(
    limits: dict[str, Any], code: str, calls: int
) -> None:
    script = {name: [says(f"{name}{k}", model="gpt-4o-mini") for k in range(5)] for name in "ab"}
    cluster = Cluster(script, team=duo(10))
    ref = await cluster.submit(limits=limits)
    run = await executed(cluster, ref)
    assert (run.status, run.stop_code, run.usage.model_calls) == ("incomplete", code, calls)
    assert run.output is not None
    assert run.output.text == f"{'ab'[(calls - 1) % 2]}{(calls - 1) // 2}"
    assert "limit.reached" in await cluster.event_types(ref)
    assert (await cluster.service.result(TENANT, ref.run_id)).status == "incomplete"


async def test_a_run_is_charged_by_the_operators_prices(tmp_path: Path) -> None:
    cluster = Cluster({}, team=solo())
    file = tmp_path / "teamrun.yaml"
    file.write_text(PRICED, encoding="utf-8")
    cluster.registry = load_registry(file, environ={})
    ref = await cluster.submit(limits={"max_cost_usd": "5"})
    run = await executed(cluster, ref)
    assert (run.status, run.stop_code) == ("incomplete", "budget_exceeded")
    assert run.usage.cost_usd == run.usage.by_agent["a"].cost_usd == Decimal("7.5")


async def test_tool_calls_are_limited_before_they_begin() -> None:
    both: dict[str, Any] = {"tool_calls": NOTE["tool_calls"] * 3}
    tool = FunctionTool(note)
    cluster = Cluster({"a": [both, "DONE"]}, team=solo("note"), tools=[tool])
    ref = await cluster.submit(limits={"max_tool_calls": 2})
    run = await executed(cluster, ref)
    assert (run.status, run.stop_code, run.usage.tool_calls) == (
        "incomplete",
        "max_tool_calls",
        2,
    )


async def test_a_warning_is_given_once_at_four_fifths() -> None:
    cluster = Cluster({"a": [says("x")] * 5, "b": [says("y")] * 5}, team=duo(10))
    ref = await cluster.submit(limits={"max_model_calls": 10})
    run = await executed(cluster, ref)
    assert run.status == "completed"
    assert (await cluster.event_types(ref)).count("limit.warned") == 1


async def test_a_limit_can_pause_the_run_and_raising_it_continues_the_run() -> None:
    cluster = Cluster({"a": ["x"] * 3, "b": ["y"] * 3}, team=duo(6))
    ref = await cluster.submit(limits={"max_model_calls": 2, "on_limit": "pause"})
    run = await executed(cluster, ref)
    assert (run.status, run.usage.model_calls) == ("paused", 2)
    await cluster.service.resume(TENANT, ref.run_id)
    assert (await executed(cluster, ref, "w2")).status == "paused"
    await cluster.service.resume(TENANT, ref.run_id, limits=Limits(max_model_calls=9))
    run = await executed(cluster, ref, "w3")
    assert (run.status, run.usage.model_calls) == ("completed", 6)


async def test_a_raised_limit_of_one_agent_leaves_the_others_as_they_are() -> None:
    cluster = Cluster({"a": ["x"] * 4, "b": ["y"] * 4}, team=duo(8))
    own = {"a": {"max_model_calls": 3}, "b": {"max_model_calls": 1, "max_tokens": 9_000}}
    ref = await cluster.submit(limits={"agents": own, "on_limit": "pause"})
    assert (await executed(cluster, ref)).usage.model_calls == 3
    raised = Limits.model_validate({"agents": {"b": {"max_model_calls": 4}}})
    await cluster.service.resume(TENANT, ref.run_id, limits=raised)
    run = await executed(cluster, ref, "w2")
    assert (run.status, run.usage.model_calls) == ("paused", 6)
    assert run.limits == Limits.model_validate(
        {
            "agents": {**own, "b": {"max_model_calls": 4, "max_tokens": 9_000}},
            "on_limit": "pause",
        }
    )


async def test_limits_of_a_run_that_continues_are_raised_without_a_pause() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def held() -> str:
        entered.set()
        await release.wait()
        return ""

    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "held", "arguments": {}}]}, "DONE"]
    }
    tool = FunctionTool(held, "Waits.")
    cluster = Cluster(script, team=solo("held"), tools=[tool])
    ref = await cluster.submit(limits={"max_model_calls": 1})
    async with cluster.working(ref) as (_, task):
        await asyncio.wait_for(entered.wait(), 10)
        for _ in range(2):
            run = await cluster.service.resume(TENANT, ref.run_id, limits=Limits(max_model_calls=2))
            assert (run.status, run.limits.max_model_calls) == ("running", 2)
        release.set()
        await asyncio.wait_for(task, 10)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.model_calls) == ("completed", 2)
    said = [entry for entry in await cluster.entries(ref) if isinstance(entry.body, Signal)]
    assert len(said) == 1, "repeating it changes nothing"
    assert "run.resumed" not in await cluster.event_types(ref)


async def test_raising_limits_does_not_wake_a_run_that_waits() -> None:
    boss = {"type": "user_proxy_agent", "name": "boss"}
    team = {**solo(), "participants": [boss], "termination": None, "max_turns": 1}
    cluster = Cluster({}, team=team)
    ref = await cluster.submit(limits={"max_turns": 1})
    assert (await executed(cluster, ref)).status == "input_required"
    run = await cluster.service.resume(TENANT, ref.run_id, limits=Limits(max_turns=5))
    assert (run.status, run.limits.max_turns) == ("input_required", 5)
    worker = cluster.worker("w2")
    assert await worker.execute(ref) is Finish.WAITING
    assert (await cluster.service.get(TENANT, ref.run_id)).revision == run.revision


@pytest.mark.parametrize(
    "limits",
    [
        {"max_turns": 0},
        {"max_turns": True},
        {"max_tokens": "9"},
        {"timeout_seconds": True},
        {"max_tokens": 10**400},
        {"max_cost_usd": "0"},
        {"max_cost_usd": "1e99999"},
        {"timeout_seconds": "nan"},
        {"timeout_seconds": "inf"},
        {"timeout_seconds": 1e300},
    ],
    ids=str,
)
def test_a_limit_is_a_number_to_reckon_with(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate(limits)


@pytest.mark.parametrize("field", ["run_at", "deadline"])
@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-31", 1.8e9, "1800000000"],
)
def test_a_time_is_written_out_and_has_a_place_in_every_time_zone(field: str, time: object) -> None:
    with pytest.raises(ValidationError):
        RunRequest.model_validate({"team": "team", "input": "go", field: time})


async def test_time_at_work_is_limited_and_a_call_under_way_is_cut_off() -> None:
    entered = asyncio.Event()

    async def endless() -> str:
        entered.set()
        await asyncio.Event().wait()
        return ""

    script: dict[str, list[Any]] = {"a": [{"tool_calls": [{"name": "endless", "arguments": {}}]}]}
    tool = FunctionTool(endless, "Never ends.")
    cluster = Cluster(script, team=solo("endless"), tools=[tool])
    ref = await cluster.submit(limits={"timeout_seconds": 3600})
    async with cluster.working(ref) as (engine, task):
        await asyncio.wait_for(entered.wait(), 10)
        cluster.clock.shift += timedelta(hours=2)
        for execution in engine._executions.values():  # pyright: ignore[reportPrivateUsage] - instead of the timer, which runs on real time
            execution.poke()
        assert await asyncio.wait_for(task, 10) is Finish.ENDED
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_code) == ("incomplete", "timeout")


async def test_a_call_that_is_slow_to_be_cancelled_blocks_nothing() -> None:
    class Counting(ShiftedClock):
        looks = 0

        def now(self) -> datetime:
            self.looks += 1
            return super().now()

    entered, leave = asyncio.Event(), asyncio.Event()

    async def stubborn() -> str:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            await leave.wait()
        return ""

    script: dict[str, list[Any]] = {"a": [{"tool_calls": [{"name": "stubborn", "arguments": {}}]}]}
    tool = FunctionTool(stubborn, "Is slow to end.")
    cluster = Cluster(script, team=solo("stubborn"), tools=[tool])
    cluster.clock = clock = Counting()
    ref = await cluster.submit(limits={"timeout_seconds": 3600})
    async with cluster.working(ref) as (engine, task):
        await asyncio.wait_for(entered.wait(), 10)
        clock.shift += timedelta(hours=2)
        for execution in engine._executions.values():  # pyright: ignore[reportPrivateUsage] - instead of the timer, which runs on real time
            execution.poke()
        before = clock.looks
        for _ in range(200):
            await asyncio.sleep(0)
        assert clock.looks - before < 20
        leave.set()
        assert await asyncio.wait_for(task, 10) is Finish.ENDED


async def test_a_limit_that_is_raised_while_calls_are_cut_off_lets_them_be_made_again() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    tries: list[str] = []

    async def stubborn() -> str:
        tries.append("try")
        if len(tries) > 1:
            return "made"
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            await leave.wait()
        return ""

    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "stubborn", "arguments": {}}]}, "DONE"]
    }
    tool = FunctionTool(stubborn, "Is slow to end.")
    cluster = Cluster(script, team=solo("stubborn"), tools=[tool])
    ref = await cluster.submit(limits={"timeout_seconds": 3600})
    async with cluster.working(ref) as (engine, task):
        await asyncio.wait_for(entered.wait(), 10)
        cluster.clock.shift += timedelta(hours=2)
        for execution in engine._executions.values():  # pyright: ignore[reportPrivateUsage] - instead of the timer, which runs on real time
            execution.poke()
        for _ in range(20):
            await asyncio.sleep(0)
        await cluster.service.resume(TENANT, ref.run_id, limits=Limits(timeout_seconds=36_000))
        leave.set()
        assert await asyncio.wait_for(task, 10) is Finish.YIELDED
    assert (await executed(cluster, ref, "w2")).status == "completed"
    assert len(tries) == 2


async def test_waiting_is_no_time_at_work() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit(limits={"timeout_seconds": 60})
    await cluster.service.pause(TENANT, ref.run_id)
    cluster.clock.shift += timedelta(days=3)
    await cluster.service.resume(TENANT, ref.run_id)
    assert (await executed(cluster, ref)).status == "completed"


async def test_a_deadline_is_time_on_the_wall() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    deadline = cluster.clock.now() + timedelta(hours=1)
    ref = await cluster.submit(deadline=deadline.isoformat())
    await cluster.service.pause(TENANT, ref.run_id)
    assert (await executed(cluster, ref)).status == "paused"
    cluster.clock.shift += timedelta(hours=2)
    assert await cluster.reaper().sweep() >= 1
    run = await executed(cluster, ref, "w2")
    assert (run.status, run.stop_code) == ("incomplete", "deadline")


async def test_usage_is_reported_by_agent_and_model() -> None:
    refused = {"error": {"message": "no quota", "status_code": 402}}
    script = {"a": [says("x", model="gpt-4o")], "b": [refused]}
    cluster = Cluster(script, team=duo(2))
    ref = await cluster.submit()
    usage = (await executed(cluster, ref)).usage
    assert {name: used.model_calls for name, used in usage.by_agent.items()} == {"a": 1, "b": 1}
    assert usage.by_model == {"m": replace(usage.by_agent["a"], model_calls=2)}
    assert usage.cost_usd == Decimal("0.00035")


def person(name: str) -> dict[str, Any]:
    return {"type": "user_proxy_agent", "name": name}


@pytest.mark.parametrize(("limit", "warned"), [(1, []), (2, []), (5, [5]), (10, [9])])
async def test_a_limit_of_turns_warns_and_announces_no_turn_beyond_it(
    limit: int, warned: list[int]
) -> None:
    cluster = Cluster({"a": ["x"] * 9, "b": ["y"] * 9}, team=duo(18))
    ref = await cluster.submit(limits={"max_turns": limit})
    run = await executed(cluster, ref)
    assert (run.status, run.stop_code, run.progress.turn) == ("incomplete", "max_turns", limit)
    page = await cluster.service.events(TENANT, ref.run_id, limit=200)
    turns = [event.data["turn"] for event in page.data if event.type == "turn.started"]
    assert turns == list(range(1, limit + 1))
    assert sum(event.type == "model.call.started" for event in page.data) == limit
    limits = [(e.type, e.data) for e in page.data if e.type.startswith("limit.")]
    near = {"kind": "max_turns", "used": warned[0] - 1, "limit": limit} if warned else None
    reached = {"kind": "max_turns", "used": limit, "limit": limit}
    assert limits == [("limit.warned", near)] * len(warned) + [("limit.reached", reached)]
    assert all(type(data[key]) is int for _, data in limits for key in ("used", "limit"))
    assert run.stop_reason == f"The limit max_turns of {limit} was reached."


@pytest.mark.parametrize("raised", ["max_turns", "max_model_calls"])
async def test_events_not_announced_at_a_pause_are_announced_when_the_run_continues(
    raised: str,
) -> None:
    cluster = Cluster({"a": ["x"] * 9, "b": ["y"] * 9}, team=duo(3))
    ref = await cluster.submit(limits={raised: 2, "on_limit": "pause"})
    assert (await executed(cluster, ref)).status == "paused"
    page = await cluster.service.events(TENANT, ref.run_id, limit=200)
    assert [e.data["turn"] for e in page.data if e.type == "turn.started"] == [1, 2]
    await cluster.service.resume(TENANT, ref.run_id, limits=Limits.model_validate({raised: 9}))
    assert (await executed(cluster, ref)).status == "completed"
    page = await cluster.service.events(TENANT, ref.run_id, limit=200)
    assert [e.data["turn"] for e in page.data if e.type == "turn.started"] == [1, 2, 3]
    assert [e.seq for e in page.data] == list(range(1, len(page.data) + 1))
    assert sum(event.type == "model.call.started" for event in page.data) == 3


async def test_a_person_is_not_asked_in_a_turn_beyond_the_limit() -> None:
    team = {**duo(3), "participants": [duo(3)["participants"][0], person("p")]}
    cluster = Cluster({"a": ["x", "z"]}, team=team)
    ref = await cluster.submit(limits={"max_turns": 1})
    run = await executed(cluster, ref)
    assert (run.status, run.stop_code, run.required_actions) == ("incomplete", "max_turns", [])
    assert "run.input_required" not in await cluster.event_types(ref)


def test_a_limit_is_written_out() -> None:
    assert Level("max_tokens", 1_234_567, 1_234_567).limit_text == "1234567"
    assert Level("max_cost_usd", 1.5, 1.5).limit_text == "1.5"
    assert Level("timeout_seconds", 60.0, 60.0).limit_text == "60"


async def test_a_limit_of_an_agent_that_the_team_does_not_have_is_refused() -> None:
    cluster = Cluster({"a": ["one", "two"]}, team=solo())
    misspelt = {"agents": {"b": {"max_tokens": 1}}}
    ref = await cluster.submit()
    given = Limits.model_validate(misspelt)
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: cluster.submit(limits=misspelt),
        lambda: cluster.service.resume(TENANT, ref.run_id, limits=given),
        lambda: cluster.service.fork(TENANT, ref.run_id, ForkRequest(after_seq=1, limits=given)),
    ]
    for attempt in attempts:
        with pytest.raises(DefinitionError) as caught:
            await attempt()
        assert (caught.value.code, caught.value.pointer) == (
            "unknown_agent",
            "/limits/agents/b",
        )
    await cluster.submit(limits={"agents": {"a": {"max_tokens": 1}}})
