"""A handoff to a person in a run: counts continue, and the asking agent gets the answer."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster

from teamrun.core.refs import RunRef
from teamrun.runs.service.requests import Answer
from teamrun.runs.service.resources import Run
from teamrun.tools.function import FunctionTool

ASK: dict[str, Any] = {
    "tool_calls": [{"name": "transfer_to_human", "arguments": {}}],
    "usage": {"prompt_tokens": 0, "completion_tokens": 10},
}
WORDS = [
    {"content": str(k), "usage": {"prompt_tokens": 0, "completion_tokens": 10}} for k in range(9)
]
HUMAN = {"type": "handoff", "target": "human"}


def agent(name: str, *tools: str, asks: bool = False) -> dict[str, Any]:
    handoffs = [{"target": "human"}] if asks else []
    return {
        "type": "assistant_agent",
        "name": name,
        "model": "m",
        "tools": tools,
        "handoffs": handoffs,
    }


def team(*participants: Any, also: list[Any] | None = None, **options: Any) -> dict[str, Any]:
    return {
        "type": "round_robin_group_chat",
        "participants": participants,
        "termination": {"type": "or", "conditions": [HUMAN, *(also or [])]},
        **options,
    }


async def step(cluster: Cluster, ref: RunRef, owner: str) -> Run:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


async def turns(cluster: Cluster, ref: RunRef) -> list[str]:
    return [
        f"{event.data['turn']} {event.agent}"
        for entry in await cluster.entries(ref)
        for event in entry.events
        if event.type == "turn.started"
    ]


async def ended(cluster: Cluster, *, waits: timedelta = timedelta()) -> tuple[Run, RunRef]:
    """Execute the run to its end, each part by another worker; every question is answered."""
    ref = await cluster.submit()
    for number in range(9):
        run = await step(cluster, ref, f"w{number}")
        if run.status != "input_required":
            return run, ref
        cluster.clock.shift += waits
        for action in run.required_actions:
            answer = Answer(action_id=action.id, content="go on")
            await cluster.service.answer(TENANT, ref.run_id, answer)
    raise AssertionError("the run asks for ever")


@pytest.mark.parametrize(
    ("options", "expected", "stop_code"),
    [
        ({"max_turns": 4}, ["1 a", "2 b", "3 b", "4 a"], "max_turns"),
        # The task, a, the handoff, the answer, b.
        (
            {"also": [{"type": "max_messages", "max_messages": 5}]},
            ["1 a", "2 b", "3 b"],
            "max_messages",
        ),
        (
            {"also": [{"type": "token_usage", "max_total_token": 30}]},
            ["1 a", "2 b", "3 b"],
            "token_usage",
        ),
        # Nested alternatives are looked through.
        (
            {
                "also": [
                    {
                        "type": "or",
                        "conditions": [
                            {"type": "max_messages", "max_messages": 50},
                            {"type": "token_usage", "max_completion_token": 35},
                        ],
                    }
                ]
            },
            ["1 a", "2 b", "3 b", "4 a"],
            "token_usage",
        ),
    ],
    ids=["max_turns", "max_messages", "token_usage", "nested"],
)
async def test_counts_continue_and_the_asking_agent_speaks_next(
    options: dict[str, Any], expected: list[str], stop_code: str
) -> None:
    cluster = Cluster(
        {"a": WORDS, "b": [ASK, *WORDS]},
        team=team(agent("a"), agent("b", asks=True), **options),
    )
    run, ref = await ended(cluster)
    assert (run.status, run.stop_code) == ("completed", stop_code)
    assert await turns(cluster, ref) == expected


async def test_seconds_count_on_without_those_of_waiting() -> None:
    def work() -> str:
        cluster.clock.shift += timedelta(seconds=6)
        return "worked"

    toil: dict[str, Any] = {"tool_calls": [{"name": "work", "arguments": {}}]}
    script: dict[str, list[Any]] = {"a": [toil, ASK, toil, *WORDS]}
    cluster = Cluster(
        script,
        team=team(agent("a", "work", asks=True), also=[{"type": "timeout", "timeout_seconds": 10}]),
        tools=[FunctionTool(work)],
    )
    run, ref = await ended(cluster, waits=timedelta(hours=2))
    assert (run.stop_code, await turns(cluster, ref)) == ("timeout", ["1 a", "2 a", "3 a"])


@pytest.mark.parametrize(
    ("options", "stop_code"),
    [
        ({"max_turns": 1}, "max_turns"),
        ({"also": [{"type": "max_messages", "max_messages": 2}]}, "max_messages"),
    ],
)
async def test_a_run_that_has_reached_a_limit_asks_nothing(
    options: dict[str, Any], stop_code: str
) -> None:
    cluster = Cluster({"a": [ASK]}, team=team(agent("a", asks=True), **options))
    ref = await cluster.submit()
    run = await step(cluster, ref, "w")
    assert (run.status, run.stop_code) == ("completed", stop_code)
    assert "run.input_required" not in await cluster.event_types(ref)


async def test_an_answer_goes_to_the_asking_agent_without_a_selection() -> None:
    selector = {
        **team(agent("a"), agent("b", asks=True), agent("c"), max_turns=4),
        "type": "selector_group_chat",
        "model": "m",
    }
    script: dict[str, list[Any]] = {
        "a": WORDS,
        "b": [ASK, *WORDS],
        "c": WORDS,
        "selector": ["a", "b", "c"],
    }
    cluster = Cluster(script, team=selector)
    _, ref = await ended(cluster)
    assert await turns(cluster, ref) == ["1 a", "2 b", "3 b", "4 c"]


async def test_in_a_swarm_the_asking_agent_continues_until_it_hands_off() -> None:
    members = [agent("a", asks=True), agent("b", asks=True)]
    for member, other in zip(members, "ba", strict=True):
        member["handoffs"].append({"target": other})
    hand_off: dict[str, Any] = {"tool_calls": [{"name": "transfer_to_b", "arguments": {}}]}
    to_a: dict[str, Any] = {"tool_calls": [{"name": "transfer_to_a", "arguments": {}}]}
    script: dict[str, list[Any]] = {"a": [hand_off, *WORDS], "b": [ASK, "so", to_a]}
    cluster = Cluster(script, team={**team(*members, max_turns=5), "type": "swarm"})
    run, ref = await ended(cluster)
    assert (run.status, run.stop_code) == ("completed", "max_turns")
    assert await turns(cluster, ref) == ["1 a", "2 b", "3 b", "4 b", "5 a"]


async def test_an_agent_of_an_inner_team_gets_the_answer_to_its_question() -> None:
    inner = team(agent("x"), agent("y", asks=True), name="inner", max_turns=3)
    script: dict[str, list[Any]] = {"x": WORDS, "y": [ASK, *WORDS], "z": WORDS}
    cluster = Cluster(script, team=team(inner, agent("z"), max_turns=3))
    ref = await cluster.submit()
    run = await step(cluster, ref, "w1")
    [action] = run.required_actions
    assert (action.id, action.agent) == ("team/inner/y/input:0", "y")
    await cluster.service.answer(TENANT, ref.run_id, Answer(action_id=action.id, content="go on"))
    run = await step(cluster, ref, "w2")
    result = await cluster.service.result(TENANT, ref.run_id)
    # The inner team has one turn left of its three.
    assert [message["source"] for message in result.messages] == [
        *("user", "x", "y", "human", "y"),
        "z",
    ]
    assert (run.status, run.stop_code) == ("completed", "max_turns")


async def test_several_questions_of_one_run_share_its_limits() -> None:
    script: dict[str, list[Any]] = {"a": [ASK, ASK, ASK, ASK, *WORDS]}
    cluster = Cluster(script, team=team(agent("a", asks=True), max_turns=3))
    run, ref = await ended(cluster)
    assert (run.stop_code, await turns(cluster, ref)) == ("max_turns", ["1 a", "2 a", "3 a"])
