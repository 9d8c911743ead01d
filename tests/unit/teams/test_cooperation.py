"""Teams whose members never suspend can be stopped from outside, like all others."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest
from tests.support.talkers import Passer, Talker

from teamrun.agents import AssistantAgent
from teamrun.core import CancellationToken, Team
from teamrun.messages import CreateResult, FunctionCall, RequestUsage
from teamrun.models.base import ChatCompletionClient
from teamrun.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat, SelectorGroupChat, Swarm
from teamrun.testing import ScriptedModel

ENOUGH = 20_000
"""Turns or calls after which a team that cannot be stopped fails its test instead of hanging."""


class Tireless(Talker):
    async def work(self, cancellation_token: CancellationToken | None) -> None:
        assert self.said < ENOUGH, "the event loop never got its turn"


class TirelessPasser(Tireless, Passer):
    pass


class Demanding(ScriptedModel):
    """Asks for the same tool in every answer, at once."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked = 0

    async def create(self, *args: object, **options: object) -> CreateResult:
        self.asked += 1
        assert self.asked < ENOUGH, "the event loop never got its turn"
        call = FunctionCall(id=str(self.asked), arguments="{}", name="look")
        usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
        return CreateResult(finish_reason="function_calls", content=[call], usage=usage)


async def look() -> str:
    """Look."""
    return "nothing"


def round_robin() -> Team:
    return RoundRobinGroupChat([Tireless("a"), Tireless("b")])


def nested() -> Team:
    return RoundRobinGroupChat([RoundRobinGroupChat([Tireless("a")], name="inner")])


def selector() -> Team:
    chooser: ChatCompletionClient = ScriptedModel([])
    members = [Tireless("a"), Tireless("b")]
    return SelectorGroupChat(members, chooser, selector_func=lambda messages: "a")


def swarm() -> Team:
    return Swarm([TirelessPasser("a"), Tireless("b")])


def graph() -> Team:
    agents = [Tireless(name) for name in "abcd"]
    builder = DiGraphBuilder()
    for agent in agents:
        builder.add_node(agent)
    builder.add_edge("a", "b").add_edge("a", "c")
    for name in "bc":
        builder.add_edge(name, "a", condition=name, activation_condition="any")
        builder.add_edge(name, "d", condition="never")
    return GraphFlow(agents, builder.set_entry_point("a").build(), max_turns=10**9)


def tool_loop() -> Team:
    agent = AssistantAgent("a", Demanding(), tools=[look], max_tool_iterations=10**9)
    return RoundRobinGroupChat([agent])


TEAMS = [round_robin, nested, selector, swarm, graph, tool_loop]


async def by_wait_for(team: Team) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(team.run(task="go"), 0.01)


async def by_the_token_in_a_timer(team: Team) -> None:
    token = CancellationToken()
    asyncio.get_running_loop().call_later(0.01, token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await team.run(task="go", cancellation_token=token)


async def by_cancelling_the_task(team: Team) -> None:
    running = asyncio.ensure_future(team.run(task="go"))
    asyncio.get_running_loop().call_later(0.01, running.cancel)
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("make", TEAMS)
@pytest.mark.parametrize("stop", [by_wait_for, by_the_token_in_a_timer, by_cancelling_the_task])
async def test_a_team_whose_members_never_suspend_can_be_stopped(
    make: Callable[[], Team], stop: Callable[[Team], Awaitable[None]]
) -> None:
    team = make()
    await stop(team)
    await team.reset()  # and is free again


@pytest.mark.parametrize("make", TEAMS)
def test_ctrl_c_ends_a_team_whose_members_never_suspend(make: Callable[[], Team]) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)
        await make().run(task="go")

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
