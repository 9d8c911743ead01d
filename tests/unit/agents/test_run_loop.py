"""Agents work on a loop that has nothing but a queue: no timers, no threads, no sockets."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from teamrun.agents import AssistantAgent, UserProxyAgent
from teamrun.core import CancellationToken, TaskResult
from teamrun.runs.engine.loop import RunLoop
from teamrun.testing import ScriptedModel
from teamrun.tools import AgentTool

T = TypeVar("T")


def drive(work: Coroutine[Any, Any, T], *between: Any) -> T:
    """Run it on a run loop, drained from outside; `between` is called after the first drain."""
    loop = RunLoop()
    task = loop.create_task(work)
    loop.drain(100_000)
    for step in between:
        loop.call_soon(step)
        loop.drain(100_000)
    assert task.done(), "it waits for something that only a real loop has"
    assert loop.failure is None
    return task.result()


async def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def helper() -> AssistantAgent:
    return AssistantAgent(
        "helper",
        ScriptedModel([{"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}, "3"]),
        tools=[add],
        max_tool_iterations=2,
        description="Helps.",
    )


def test_tools_agent_tools_and_streams_need_only_the_queue() -> None:
    calls = [
        {"name": "add", "arguments": {"a": 2, "b": 2}},
        {"name": "helper", "arguments": {"task": "1+2?"}},
    ]
    agent = AssistantAgent(
        "ada",
        ScriptedModel([{"tool_calls": calls}, {"tool_calls": [calls[0]] * 2}, "all done"]),
        tools=[add, AgentTool(helper())],
        max_tool_iterations=3,
        model_client_stream=True,
    )

    result = drive(agent.run("go", cancellation_token=CancellationToken()))

    assert isinstance(result, TaskResult)
    assert result.messages[-1].to_text() == "all done"


def test_a_person_is_asked_on_the_queue() -> None:
    async def answer(prompt: str) -> str:
        return "fine"

    result = drive(UserProxyAgent("me", input_func=answer).run("how are you?"))

    assert result.messages[-1].to_text() == "fine"


def test_a_cancel_from_the_queue_ends_parallel_tools() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    token = CancellationToken()
    agent = AssistantAgent(
        "ada", ScriptedModel([{"tool_calls": [{"name": "hang"}] * 2}]), tools=[hang]
    )

    with pytest.raises(asyncio.CancelledError):
        drive(agent.run("go", cancellation_token=token), token.cancel)
