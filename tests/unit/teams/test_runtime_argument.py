"""`runtime=` of teams, which AutoGen's programs pass: the team works with and without it."""

from typing import Any

import pytest

from teamrun.agents import AssistantAgent
from teamrun.conditions import MaxMessageTermination
from teamrun.core.actors import SingleThreadedAgentRuntime
from teamrun.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat, SelectorGroupChat, Swarm
from teamrun.testing import ScriptedModel


def members() -> list[AssistantAgent]:
    model = ScriptedModel(["one", "two"])
    return [AssistantAgent("a", model_client=model, handoffs=["b"]), AssistantAgent("b", model)]


def selector(**options: Any) -> SelectorGroupChat:
    return SelectorGroupChat(members(), ScriptedModel(["a"]), **options)


def graph(**options: Any) -> GraphFlow:
    agents = members()
    edges = DiGraphBuilder().add_node(agents[0]).add_node(agents[1]).add_edge(*agents).build()
    return GraphFlow(agents, edges, **options)


TEAMS = {
    "round_robin": lambda **options: RoundRobinGroupChat(members(), **options),
    "swarm": lambda **options: Swarm(members(), **options),
    "selector": selector,
    "graph": graph,
}


@pytest.mark.parametrize("name", TEAMS)
@pytest.mark.parametrize("is_started", [True, False, None])
async def test_a_team_runs_with_any_runtime(name: str, is_started: bool | None) -> None:
    runtime = None if is_started is None else SingleThreadedAgentRuntime()
    if runtime is not None and is_started:
        runtime.start()
    make: Any = TEAMS[name]
    team = make(termination_condition=MaxMessageTermination(2), runtime=runtime)
    result = await team.run(task="Go.")

    assert [each.to_text() for each in result.messages] == ["Go.", "one"]
    if runtime is not None and is_started:
        await runtime.stop_when_idle()
