"""Teams of real assistants: a cut turn leaves no trace in what their models are shown."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.support.talkers import texts

from teamrun.agents import AssistantAgent
from teamrun.core import CancellationToken
from teamrun.errors import ModelError
from teamrun.messages import LLMMessage, ToolCallRequestEvent
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel
from teamrun.testing.scripted import RecordedCall


def shown(call: RecordedCall) -> Sequence[LLMMessage]:
    return [message for message in call.messages if message.type != "SystemMessage"]


async def test_two_assistants_take_turns() -> None:
    client = ScriptedModel({"writer": ["a poem", "a better poem"], "critic": ["improve it"]})
    writer = AssistantAgent("writer", client.for_agent("writer"))
    critic = AssistantAgent("critic", client.for_agent("critic"))

    result = await RoundRobinGroupChat([writer, critic], max_turns=3).run("write")

    assert texts(result.messages) == [
        "user: write",
        "writer: a poem",
        "critic: improve it",
        "writer: a better poem",
    ]
    assert client.left_over() == {}


@pytest.mark.behaviour("assistant.undone")
async def test_a_cancel_during_a_tool_call_ends_the_run_and_the_turn_is_taken_again() -> None:
    started, stuck = asyncio.Event(), asyncio.Event()

    async def look(place: str) -> str:
        """Look at a place."""
        started.set()
        await stuck.wait()
        return f"seen {place}"

    call = {"tool_calls": [{"name": "look", "arguments": {"place": "Rome"}}]}
    client = ScriptedModel([call, call], record=True)
    team = RoundRobinGroupChat([AssistantAgent("a", client, tools=[look])], max_turns=1)
    token = CancellationToken()
    running = asyncio.ensure_future(team.run("go", cancellation_token=token))
    await started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    stuck.set()
    result = await team.run()

    assert isinstance(result.messages[0], ToolCallRequestEvent)
    assert result.messages[-1].to_text() == "seen Rome"
    first, second = client.calls
    assert shown(second) == shown(first)  # no request without its result, the task only once


@pytest.mark.behaviour("assistant.undone")
async def test_a_failed_model_call_leaves_no_trace_either() -> None:
    client = ScriptedModel([{"error": {"message": "overloaded"}}, "hello"], record=True)
    team = RoundRobinGroupChat([AssistantAgent("a", client)], max_turns=1)
    with pytest.raises(ModelError):
        await team.run("go")
    result = await team.run()

    assert texts(result.messages) == ["a: hello"]
    first, second = client.calls
    assert shown(second) == shown(first)


async def test_a_caller_that_leaves_in_the_middle_of_a_turn_can_continue() -> None:
    def look() -> str:
        """Look."""
        return "seen"

    call = {"tool_calls": [{"name": "look"}]}
    client = ScriptedModel([call, call], record=True)
    team = RoundRobinGroupChat([AssistantAgent("a", client, tools=[look])], max_turns=1)
    stream = team.run_stream("go")
    async for item in stream:
        if isinstance(item, ToolCallRequestEvent):
            break
    await stream.aclose()
    result = await team.run()

    assert result.messages[-1].to_text() == "seen"
    first, second = client.calls
    assert shown(second) == shown(first)
