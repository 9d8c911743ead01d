"""Turns of an assistant that hands over to another agent."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from teamrun.agents import AssistantAgent, Handoff
from teamrun.messages import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    HandoffMessage,
    TextMessage,
    UserMessage,
)
from teamrun.testing import ScriptedModel

HELLO = TextMessage(content="hello", source="user")


async def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def ask(*calls: tuple[str, Mapping[str, Any]], **step: Any) -> Mapping[str, Any]:
    """A step in which the model requests tools."""
    return {"tool_calls": [{"name": n, "arguments": dict(a)} for n, a in calls], **step}


async def turn(agent: AssistantAgent) -> list[Any]:
    return [item async for item in agent.on_messages_stream([HELLO])]


def kinds(items: Sequence[Any]) -> list[str]:
    return [type(item).__name__ for item in items]


def results(items: Sequence[Any]) -> list[tuple[str, bool | None]]:
    executed = next(item for item in items if type(item).__name__ == "ToolCallExecutionEvent")
    return [(result.content, result.is_error) for result in executed.content]


@pytest.mark.behaviour("assistant.handoff")
async def test_a_handover_ends_the_turn_before_reflection() -> None:
    model = ScriptedModel([ask(("transfer_to_bob", {}), thought="over to bob")])
    agent = AssistantAgent(
        "ada", model, handoffs=["bob"], reflect_on_tool_use=True, max_tool_iterations=5
    )

    items = await turn(agent)

    assert kinds(items) == [
        "ThoughtEvent",
        "ToolCallRequestEvent",
        "ToolCallExecutionEvent",
        "Response",
    ]
    message = items[-1].chat_message
    assert isinstance(message, HandoffMessage)
    assert (message.target, message.source) == ("bob", "ada")
    assert message.content == "Transferred to bob, adopting the role of bob immediately."
    assert message.context == [AssistantMessage(content="over to bob", source="ada")]
    assert results(items) == [(message.content, False)]


@pytest.mark.behaviour("assistant.handoff.context")
async def test_the_other_calls_of_a_handover_are_its_context() -> None:
    handoff = Handoff(target="bob", message="all yours")
    model = ScriptedModel(
        [ask(("add", {"a": 1, "b": 2}), ("transfer_to_bob", {}), thought="hm")], record=True
    )
    agent = AssistantAgent("ada", model, tools=[add], handoffs=[handoff])

    items = await turn(agent)

    request, execution, response = items[1:]
    assert response.chat_message.content == "all yours"
    assert response.chat_message.context == [
        AssistantMessage(content=[request.content[0]], source="ada", thought="hm"),
        FunctionExecutionResultMessage(content=[execution.content[0]]),
    ]
    assert [tool["name"] for tool in model.calls[0].tools] == ["add", "transfer_to_bob"]


@pytest.mark.behaviour("assistant.handoff.first")
async def test_of_several_handovers_the_first_one_wins() -> None:
    model = ScriptedModel([ask(("transfer_to_bob", {}), ("transfer_to_cy", {}))])
    agent = AssistantAgent("ada", model, handoffs=["bob", "cy"])

    with pytest.warns(UserWarning):
        response = (await turn(agent))[-1]

    assert response.chat_message.target == "bob"


@pytest.mark.behaviour("assistant.handoff.context")
async def test_a_handover_can_be_continued_by_its_target() -> None:
    first = AssistantAgent(
        "ada",
        ScriptedModel([ask(("add", {"a": 1, "b": 2}), ("transfer_to_bob", {}))]),
        tools=[add],
        handoffs=["bob"],
    )
    model = ScriptedModel(["thanks"], record=True)
    second = AssistantAgent("bob", model, system_message=None)

    handover = (await turn(first))[-1].chat_message
    await second.on_messages([handover])

    assert kinds(model.calls[0].messages) == [
        "AssistantMessage",
        "FunctionExecutionResultMessage",
        "UserMessage",
    ]
    assert isinstance(model.calls[0].messages[-1], UserMessage)
