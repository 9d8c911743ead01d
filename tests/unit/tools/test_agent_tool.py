"""Agents and teams as tools."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from teamrun.agents import AssistantAgent, UserProxyAgent
from teamrun.core import AnyMessage, Response, TaskResult
from teamrun.errors import ToolError
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel
from teamrun.tools import AgentTool, StaticWorkbench, TeamTool
from teamrun.tools.agent_tool import TaskRunnerToolArgs


async def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def helper(*steps: Any, **options: Any) -> AssistantAgent:
    return AssistantAgent("helper", ScriptedModel(steps), description="Helps.", **options)


async def answer(prompt: str) -> str:
    return "as I said"


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
        "strict": False,
    }


async def test_the_value_is_the_result_and_the_task_is_no_part_of_its_text() -> None:
    tool = AgentTool(helper("done"))

    value = await tool.run_json({"task": "work"})

    assert isinstance(value, TaskResult)
    assert [message.to_text() for message in value.messages] == ["work", "done"]
    assert tool.return_value_as_string(value) == "helper: done"


async def test_of_a_team_all_who_spoke_are_named_but_the_user() -> None:
    team = RoundRobinGroupChat(
        [helper("one", "two"), UserProxyAgent("user", input_func=answer)], max_turns=3
    )
    tool = TeamTool(team, "both", "Two of them.")

    value = await tool.run_json({"task": "work"})

    assert (tool.name, tool.description) == ("both", "Two of them.")
    assert tool.return_value_as_string(value) == "helper: one\n\nhelper: two"


async def test_the_last_message_alone_can_be_the_value() -> None:
    tool = AgentTool(helper("done"), return_value_as_last_message=True)

    assert tool.return_value_as_string(await tool.run_json({"task": "work"})) == "done"
    assert tool.return_value_as_string(TaskResult(messages=[])) == ""


async def test_what_happens_inside_is_streamed_before_the_result() -> None:
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
    with pytest.raises(ToolError, match="task: Field required"):
        await AgentTool(helper()).run_json({})


async def test_it_runs_with_checked_arguments_like_any_tool_class() -> None:
    tool = AgentTool(helper("one", "two"))
    args = tool.args_type()(task="work")
    result = await tool.run(args)
    streamed = [type(item).__name__ async for item in tool.run_stream(args)]
    assert [message.source for message in result.messages] == ["user", "helper"]
    assert streamed == ["TextMessage", "TextMessage", "TaskResult"]
    assert AgentTool(helper()).args_type() is TaskRunnerToolArgs
    assert AgentTool(helper()).return_type() is TaskResult


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
