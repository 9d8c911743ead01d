"""Agents and teams as tools."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from teamrun.agents import AssistantAgent, UserProxyAgent
from teamrun.core import AnyMessage, CancellationToken, Response, TaskResult
from teamrun.errors import InvalidArguments
from teamrun.messages import ToolCallExecutionEvent
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel
from teamrun.tools import AgentTool, ApprovedTool, BaseTool, StaticWorkbench, TeamTool
from teamrun.tools.agent_tool import TaskRunnerToolArgs
from teamrun.tools.base import Tool


async def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def helper(*steps: Any, **options: Any) -> AssistantAgent:
    return AssistantAgent("helper", ScriptedModel(steps), description="Helps.", **options)


async def answer(prompt: str) -> str:
    return "as I said"


@pytest.mark.behaviour("agent_tool.result")
def test_an_agent_is_presented_under_its_own_name() -> None:
    assert AgentTool(helper()).schema == {
        "name": "helper",
        "description": "Helps.",
        "parameters": {
            "type": "object",
            "properties": {"task": {"description": "The task to be executed.", "type": "string"}},
            "required": ["task"],
            "additionalProperties": False,
        },
        "strict": True,
    }


@pytest.mark.behaviour("agent_tool.result")
async def test_the_value_is_the_result_and_the_task_is_no_part_of_its_text() -> None:
    tool = AgentTool(helper("done"))

    value = await tool.run_json({"task": "work"})

    assert isinstance(value, TaskResult)
    assert [message.to_text() for message in value.messages] == ["work", "done"]
    assert tool.return_value_as_string(value) == "helper: done"


@pytest.mark.behaviour("agent_tool.result")
async def test_all_speakers_of_a_team_but_the_user_are_named() -> None:
    team = RoundRobinGroupChat(
        [helper("one", "two"), UserProxyAgent("user", input_func=answer)], max_turns=3
    )
    tool = TeamTool(team, "both", "Two of them.")

    value = await tool.run_json({"task": "work"})

    assert (tool.name, tool.description) == ("both", "Two of them.")
    assert tool.return_value_as_string(value) == "helper: one\n\nhelper: two"


@pytest.mark.behaviour("agent_tool.result")
async def test_the_last_message_alone_can_be_the_value() -> None:
    tool = AgentTool(helper("done"), return_value_as_last_message=True)

    assert tool.return_value_as_string(await tool.run_json({"task": "work"})) == "done"
    assert tool.return_value_as_string(TaskResult(messages=[])) == ""


@pytest.mark.behaviour("agent_tool.events")
async def test_inner_events_are_streamed_before_the_result() -> None:
    call = {"name": "add", "arguments": {"a": 1, "b": 2}}
    tool = AgentTool(helper({"tool_calls": [call]}, tools=[add]))
    assert [type(item).__name__ async for item in tool.run_json_stream({"task": "work"})] == [
        "TextMessage",
        "ToolCallRequestEvent",
        "ToolCallExecutionEvent",
        "ToolCallSummaryMessage",
        "TaskResult",
    ]


async def test_leaving_early_ends_what_runs_inside() -> None:
    ended: list[str] = []

    class Slow(AssistantAgent):
        async def on_messages_stream(
            self, *args: Any, **options: Any
        ) -> AsyncGenerator[AnyMessage | Response, None]:
            try:
                async for item in super().on_messages_stream(*args, **options):
                    yield item
            finally:
                ended.append(self.name)

    tool = AgentTool(Slow("helper", ScriptedModel(["done"])))
    stream = tool.run_json_stream({"task": "work"})
    await anext(stream)  # the task
    await anext(stream)
    await stream.aclose()
    assert ended == ["helper"]


async def test_a_task_must_be_given() -> None:
    with pytest.raises(InvalidArguments):
        await AgentTool(helper()).run_json({})


@pytest.mark.behaviour("agent_tool.class")
async def test_it_runs_with_checked_arguments_like_any_tool_class() -> None:
    tool = AgentTool(helper("one", "two"))
    args = tool.args_type()(task="work")
    result = await tool.run(args)
    streamed = [type(item).__name__ async for item in tool.run_stream(args)]
    assert [message.source for message in result.messages] == ["user", "helper"]
    assert streamed == ["TextMessage", "TextMessage", "TaskResult"]
    assert AgentTool(helper()).args_type() is TaskRunnerToolArgs
    assert AgentTool(helper()).return_type() is TaskResult


@pytest.mark.behaviour("agent_tool.state")
async def test_a_workbench_saves_and_loads_the_conversation_inside() -> None:
    def workbench() -> StaticWorkbench:
        team = RoundRobinGroupChat([helper("three", "four")], max_turns=1)
        return StaticWorkbench([AgentTool(helper("one", "two")), TeamTool(team, "team", "A team.")])

    first, second = workbench(), workbench()
    for name in ("helper", "team"):
        await first.call_tool(name, {"task": "work"})
    state = await first.save_state()
    assert "work" in str(state["tools"]["helper"])
    await second.load_state(state)
    assert await second.save_state() == state


def twice(name: str) -> dict[str, Any]:
    """A model's answer: two parallel calls of that tool."""
    return {"tool_calls": [{"name": name, "arguments": {"task": task}} for task in ("A", "B")]}


def results_of(result: TaskResult, source: str) -> list[tuple[bool, str]]:
    return [
        (bool(part.is_error), part.content)
        for message in result.messages
        if isinstance(message, ToolCallExecutionEvent) and message.source == source
        for part in message.content
    ]


async def one_more(a: int) -> int:
    """Adds one."""
    if a < 0:
        raise ValueError("no number below 0")
    return a + 1


def counting(*steps: Any) -> AssistantAgent:
    """An agent whose steps take time, so that calls at the same time would interleave."""
    model = ScriptedModel(steps, latency=0.005)
    return AssistantAgent(
        "helper", model, description="Helps.", tools=[one_more], reflect_on_tool_use=True
    )


COUNT = {"tool_calls": [{"name": "one_more", "arguments": {"a": 1}}]}


def around(inner: AssistantAgent) -> dict[str, Any]:
    return {
        "agent": AgentTool(inner),
        "team": TeamTool(RoundRobinGroupChat([inner], max_turns=1), "helper", "Helps."),
    }


@pytest.mark.behaviour("agent_tool.parallel")
@pytest.mark.parametrize("kind", ["agent", "team"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_parallel_calls_of_one_agent_take_turns(kind: str, streamed: bool) -> None:
    inner = counting(COUNT, "A is 2", COUNT, "B is 2")
    steps = [twice("helper"), "end"]
    outer = AssistantAgent(
        "outer", ScriptedModel(steps), tools=[around(inner)[kind]], reflect_on_tool_use=True
    )
    if streamed:
        result = [item async for item in outer.run_stream(task="x")][-1]
    else:
        result = await outer.run(task="x")
    assert isinstance(result, TaskResult)
    assert results_of(result, "outer") == [(False, "helper: A is 2"), (False, "helper: B is 2")]
    heard = await inner.model_context.get_messages()
    assert [message.content for message in heard if isinstance(message.content, str)] == [
        *("A", "A is 2"),
        *("B", "B is 2"),
    ]


async def test_the_failure_of_one_call_leaves_the_memory_of_the_other() -> None:
    failure = {"error": {"message": "no", "status_code": 400}}
    inner = counting(COUNT, "A is 2", failure, "C is 3")
    outer = AssistantAgent("outer", ScriptedModel([twice("helper")]), tools=[AgentTool(inner)])
    first, second = results_of(await outer.run(task="x"), "outer")
    assert (first, second[0]) == ((False, "helper: A is 2"), True)
    heard = await inner.model_context.get_messages()
    assert [message.content for message in heard if isinstance(message.content, str)] == [
        *("A", "A is 2"),
    ]


async def test_two_tools_around_one_agent_take_turns_too() -> None:
    inner = counting(COUNT, "A is 2", COUNT, "B is 2")
    one, other = AgentTool(inner), AgentTool(inner)
    values = await asyncio.gather(one.run_json({"task": "A"}), other.run_json({"task": "B"}))
    assert [one.return_value_as_string(value) for value in values] == [
        "helper: A is 2",
        "helper: B is 2",
    ]


async def test_a_call_that_waits_can_be_cancelled() -> None:
    inner = counting("A", "B")
    tool, token = AgentTool(inner), CancellationToken()
    async with aclosing(tool.run_json_stream({"task": "A"})) as stream:
        await anext(stream)
        waiting = asyncio.ensure_future(tool.run_json({"task": "B"}, token))
        await asyncio.sleep(0)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert tool.return_value_as_string(await tool.run_json({"task": "C"})) == "helper: A"


def calls_of(*names: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": {"task": "go"}} for name in names]}


@pytest.mark.parametrize("first", [["a"], ["a", "b"], ["a", "a", "b", "b"]])
async def test_agents_that_are_tools_of_each_other_do_not_wait_for_ever(first: list[str]) -> None:
    tools: dict[str, list[Any]] = {"a": [], "b": []}
    agents: dict[str, AssistantAgent] = {}
    for name, other in (("a", "b"), ("b", "a")):
        steps = [calls_of(other), "done"] * 8
        model = ScriptedModel(steps, latency=0.001)
        wrapped = AgentTool(agents[other]) if other in agents else Late(tools[name], other)
        agents[name] = AssistantAgent(name, model, tools=[wrapped], reflect_on_tool_use=True)
    tools["a"].append(AgentTool(agents["b"]))
    outer = AssistantAgent(
        "outer", ScriptedModel([calls_of(*first)]), tools=[AgentTool(a) for a in agents.values()]
    )
    async with asyncio.timeout(20):
        results = results_of(await outer.run(task="x"), "outer")
    assert [is_error for is_error, _ in results] == [False] * len(first)


class Late(BaseTool[TaskRunnerToolArgs, str]):
    """A tool that is known only after the agent that has it."""

    def __init__(self, tools: list[Any], name: str) -> None:
        super().__init__(TaskRunnerToolArgs, str, name, "Works.")
        self._tools = tools

    async def run(self, args: TaskRunnerToolArgs, cancellation_token: CancellationToken) -> str:
        [tool] = self._tools
        value = await tool.run_json(args.model_dump(), cancellation_token)
        return str(tool.return_value_as_string(value))


async def test_calls_wait_in_one_event_loop_after_the_other() -> None:
    inner = counting("A", "B", "C", "D")
    tool = AgentTool(inner)

    async def both() -> list[Any]:
        return await asyncio.gather(*(tool.run_json({"task": task}) for task in "xy"))

    values = [*await both(), *await both()]
    assert [tool.return_value_as_string(value) for value in values] == [
        f"helper: {text}" for text in "ABCD"
    ]


@pytest.mark.parametrize("kind", ["agent", "team"])
async def test_approval_passes_on_what_an_agent_or_a_team_reports(kind: str) -> None:
    agent = helper("inner words")
    tool = AgentTool(agent)
    if kind == "team":
        tool = TeamTool(RoundRobinGroupChat([agent], max_turns=1), "helper", "Helps.")
    call = {"tool_calls": [{"name": "helper", "arguments": {"task": "work"}}]}
    boss = AssistantAgent(
        "boss", ScriptedModel([call]), tools=[ApprovedTool(tool, lambda question: True)]
    )

    result = await boss.run(task="go")

    assert "inner words" in [message.to_text() for message in result.messages]


@pytest.mark.parametrize("kind", ["agent", "team", "approved"])
async def test_members_are_saved_loaded_and_reset_with_the_team(kind: str) -> None:
    def made() -> tuple[RoundRobinGroupChat, AssistantAgent]:
        inner = helper("in1", "in2")
        tool: Tool = AgentTool(inner)
        if kind == "team":
            tool = TeamTool(RoundRobinGroupChat([inner], max_turns=1), "helper", "Helps.")
        if kind == "approved":
            tool = ApprovedTool(tool, lambda question: True)
        call = {"tool_calls": [{"name": "helper", "arguments": {"task": "work"}}]}
        boss = AssistantAgent("boss", ScriptedModel([call] * 9), tools=[tool])
        return RoundRobinGroupChat([boss], max_turns=1), inner

    (first, _), (second, inner) = made(), made()
    await first.run(task="go")
    await second.load_state(json.loads(json.dumps(await first.save_state())))
    assert len(await inner.model_context.get_messages()) == 2
    await second.reset()
    assert await inner.model_context.get_messages() == []
