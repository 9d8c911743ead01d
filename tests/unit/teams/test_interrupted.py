"""Runs that are left, saved or refused in the middle: nothing is lost, nothing is half done."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from tests.support.talkers import Passer, Stuck, Talker, texts
from tests.support.team_cases import progress

from teamrun.agents import AssistantAgent
from teamrun.conditions import MaxMessageTermination, TextMentionTermination
from teamrun.context import UnboundedChatCompletionContext
from teamrun.context.base import whole_exchanges
from teamrun.core import TaskResult
from teamrun.errors import TeamBusy
from teamrun.messages import CreateResult, FunctionCall, LLMMessage, RequestUsage
from teamrun.teams import (
    DiGraph,
    DiGraphEdge,
    DiGraphNode,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool, StaticWorkbench


class Diligent(ScriptedModel):
    """Calls a tool with the last message, and then answers; it keeps no state."""

    def __init__(self) -> None:
        super().__init__([])

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
        content: str | list[FunctionCall] = "done"
        if messages[-1].type == "UserMessage":
            content = [FunctionCall(id=str(len(messages)), arguments="{}", name="look")]
        return CreateResult(finish_reason="stop", content=content, usage=usage)


async def look() -> str:
    """Look."""
    return "seen"


def workers(*, until: int = 5) -> RoundRobinGroupChat:
    agents = [
        AssistantAgent(name, Diligent(), tools=[look], reflect_on_tool_use=True) for name in "ab"
    ]
    ends = MaxMessageTermination(until) | TextMentionTermination("STOP")
    return RoundRobinGroupChat(agents, termination_condition=ends, max_turns=9)


async def said(team: RoundRobinGroupChat) -> list[str]:
    manager = (await team.save_state())["agent_states"]["RoundRobinGroupChatManager"]
    return [f"{message['source']}: {message['type']}" for message in manager["message_thread"]]


async def take(team: RoundRobinGroupChat, count: int, *, save: bool) -> Mapping[str, Any]:
    """Take so many items of a run and leave it; its state, when the last one was shown."""
    stream = team.run_stream(task="go")
    for _ in range(count):
        await anext(stream)
    state: dict[str, Any] = json.loads(json.dumps(await team.save_state())) if save else {}
    await stream.aclose()
    return state


async def whole_run() -> tuple[list[str], int]:
    team, count = workers(), 0
    async for item in team.run_stream(task="go"):
        count += not isinstance(item, TaskResult)
    return await said(team), count


ITEMS = asyncio.run(whole_run())[1]


@pytest.mark.parametrize("count", range(1, ITEMS + 1))
@pytest.mark.parametrize("moves", [False, True], ids=["the same team", "another, by its state"])
async def test_a_run_that_is_left_anywhere_continues_to_the_same_end(
    count: int, moves: bool
) -> None:
    team = workers()
    state = await take(team, count, save=moves)
    if moves:
        team = workers()
        await team.load_state(state)
    result = await team.run()
    assert team.stop_code == "max_messages"
    assert await said(team) == (await whole_run())[0]
    assert result.stop_reason is not None


@pytest.mark.parametrize("count", range(1, ITEMS + 1))
async def test_a_state_saved_anywhere_holds_no_request_without_its_results(count: int) -> None:
    state = await take(workers(), count, save=True)
    for name in "ab":
        context = UnboundedChatCompletionContext()
        await context.load_state(state["agent_states"][name]["agent_state"]["llm_context"])
        messages = context._messages  # pyright: ignore[reportPrivateUsage] - as it was saved
        assert whole_exchanges(messages) is messages


async def test_a_run_left_at_a_task_that_ends_it_is_over() -> None:
    team = workers()
    stream = team.run_stream(task="STOP")
    await anext(stream)
    await stream.aclose()

    result = await team.run()

    assert (texts(result.messages), team.stop_code) == ([], "text_mention")


async def test_a_new_task_after_a_run_that_was_left_counts_anew() -> None:
    team = workers(until=2)
    await take(team, 1, save=False)
    result = await team.run(task="again")
    assert len([m for m in result.messages if m.source in ("user", "a")]) > 1


def nested() -> RoundRobinGroupChat:
    inner = RoundRobinGroupChat([Talker("x"), Talker("y")], name="inner", max_turns=1)
    return RoundRobinGroupChat([Talker("a"), inner, workers()], name="outer", max_turns=3)


def selecting() -> SelectorGroupChat:
    model = ScriptedModel(["b", "a"])
    return SelectorGroupChat([Talker("a"), Talker("b"), Talker("c")], model, max_turns=2)


def swarming() -> Swarm:
    return Swarm([Passer("a", "1", ">b"), Passer("b", "2", ">a")], max_turns=3)


def in_a_graph() -> GraphFlow:
    agents = [Talker(name) for name in "abcd"]
    nodes = {agent.name: DiGraphNode(name=agent.name) for agent in agents}
    for source, target in ("ab", "ac", "bd", "cd"):
        nodes[source].edges.append(DiGraphEdge(target=target))
    return GraphFlow(agents, DiGraph(nodes=nodes), max_turns=2)


def led() -> MagenticOneGroupChat:
    model = ScriptedModel(["facts", "plan", progress("b", "Go."), progress("", "", done=True), "!"])
    return MagenticOneGroupChat([Talker("a"), Talker("b")], model)


def places(state: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The location of a participant's or manager's state in a state."""
    found: list[tuple[str, ...]] = []
    if isinstance(state, dict):
        for name, value in cast("dict[str, Any]", state).items():
            if path and path[-1] == "agent_states":
                found.append((*path, name))
            found += places(value, (*path, name))
    return found


def broken(state: Any, path: tuple[str, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(state))
    part = copy
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return copy


GARBAGE: list[Any] = [
    None,
    [],
    {"agent_state": {}},
    {"agent_state": {"llm_context": {"messages": [{"type": "Unknown"}]}}},
    {"message_buffer": [{"type": "Unknown"}], "message_thread": [{"type": "Unknown"}]},
    {"current_turn": "many", "agent_state": {"said": 7}, "message_buffer": 7},
]


@pytest.mark.behaviour("state.other_team")
@pytest.mark.parametrize("make", [workers, nested, selecting, swarming, in_a_graph, led])
@pytest.mark.parametrize("garbage", GARBAGE, ids=str)
async def test_a_state_that_cannot_be_loaded_leaves_everything_as_it_was(
    make: Any, garbage: Any
) -> None:
    other = make()
    await other.run(task="something else")
    wanted = await other.save_state()
    for path in places(wanted):
        team = make()
        await team.run(task="go")
        before = json.dumps(await team.save_state())
        try:
            await team.load_state(broken(wanted, path, garbage))
        except Exception:
            assert json.dumps(await team.save_state()) == before, path


async def test_a_workbench_whose_tool_cannot_take_its_state_keeps_that_of_all() -> None:
    def remember() -> None:
        """Remember."""

    class Refused(Exception):
        pass

    class Strict(FunctionTool):
        async def load_state_json(self, state: Mapping[str, Any]) -> None:
            if "bad" in state:
                raise Refused
            await super().load_state_json(state)

    workbench = StaticWorkbench(
        [FunctionTool(remember, name="first"), Strict(remember, name="second")]
    )
    await workbench.load_state({"tools": {"first": {"n": 1}, "second": {"n": 1}}})
    before = await workbench.save_state()
    with pytest.raises(Refused):
        await workbench.load_state({"tools": {"first": {"n": 2}, "second": {"bad": 1}}})
    assert await workbench.save_state() == before


async def test_a_stream_that_was_dropped_leaves_the_team_free() -> None:
    team = workers()
    async for _ in team.run_stream(task="go"):
        break
    await team.run(task="again")
    async for _ in team.run_stream(task="go"):
        break
    await team.reset()


async def test_a_busy_team_is_free_again_as_its_error_says() -> None:
    team = workers()
    stream = team.run_stream(task="go")
    await anext(stream)
    with pytest.raises(TeamBusy) as caught:
        await team.run(task="again")
    assert "await stream.aclose()" in str(caught.value)
    await stream.aclose()
    await team.run(task="again")

    stuck = Stuck("s")
    other = RoundRobinGroupChat([stuck], max_turns=1)
    running = asyncio.ensure_future(other.run(task="go"))
    await stuck.started.wait()
    with pytest.raises(TeamBusy):
        await other.reset()
    running.cancel()
    await asyncio.wait([running])
    await other.reset()
