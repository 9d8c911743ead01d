"""`runtime=` of teams, which AutoGen's programs pass: the team works with and without it."""

from collections.abc import Callable
from typing import Any

import pytest

from teamrun.agents import AssistantAgent
from teamrun.conditions import MaxMessageTermination
from teamrun.core.actors import SingleThreadedAgentRuntime
from teamrun.teams import (
    BaseGroupChat,
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from teamrun.testing import ScriptedModel


def members() -> list[AssistantAgent]:
    model = ScriptedModel(["one", "two"])
    return [AssistantAgent("a", model_client=model, handoffs=["b"]), AssistantAgent("b", model)]


def round_robin(**options: Any) -> RoundRobinGroupChat:
    return RoundRobinGroupChat(members(), **options)


def swarm(**options: Any) -> Swarm:
    return Swarm(members(), **options)


def selector(**options: Any) -> SelectorGroupChat:
    return SelectorGroupChat(members(), ScriptedModel(["a"]), **options)


def graph(**options: Any) -> GraphFlow:
    a, b = members()
    edges = DiGraphBuilder().add_node(a).add_node(b).add_edge(a, b).build()
    return GraphFlow([a, b], edges, **options)


@pytest.mark.behaviour("team.runtime")
@pytest.mark.parametrize("make", [round_robin, swarm, selector, graph])
@pytest.mark.parametrize("is_started", [True, False, None])
async def test_a_team_runs_with_any_runtime(
    make: Callable[..., BaseGroupChat], is_started: bool | None
) -> None:
    runtime = None if is_started is None else SingleThreadedAgentRuntime()
    if runtime is not None and is_started:
        runtime.start()
    team = make(termination_condition=MaxMessageTermination(2), runtime=runtime)
    result = await team.run(task="Go.")

    assert [each.to_text() for each in result.messages] == ["Go.", "one"]
    if runtime is not None and is_started:
        await runtime.stop_when_idle()


@pytest.mark.behaviour("team.runtime")
def test_magentic_one_takes_it_too() -> None:
    runtime = SingleThreadedAgentRuntime()
    assert MagenticOneGroupChat(members(), ScriptedModel([]), runtime=runtime).name
