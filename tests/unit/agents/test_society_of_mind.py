"""An agent that is a team inside; the texts and the order are those of AutoGen 0.7.5."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from teamrun.agents import AssistantAgent, SocietyOfMindAgent
from teamrun.context import BufferedChatCompletionContext
from teamrun.core import CancellationToken, TaskResult
from teamrun.errors import ModelError
from teamrun.messages import (
    BaseChatMessage,
    HandoffMessage,
    SystemMessage,
    TextMessage,
    UserMessage,
)
from teamrun.models import ModelInfo
from teamrun.teams import RoundRobinGroupChat, Swarm
from teamrun.testing import ScriptedModel
from teamrun.tools import AgentTool

HELLO = TextMessage(content="hello", source="user")
ONE = ModelInfo(
    vision=False, function_calling=True, json_output=False, family="x", structured_output=False
)
SEVERAL: ModelInfo = {**ONE, "multiple_system_messages": True}


def inside(*answers: Any, max_turns: int = 2) -> RoundRobinGroupChat:
    writer = AssistantAgent("writer", ScriptedModel(list(answers) or ["draft", "draft 2"]))
    critic = AssistantAgent("critic", ScriptedModel(["fine", "fine 2"]))
    return RoundRobinGroupChat([writer, critic], max_turns=max_turns)


def society(team: Any = None, *answers: Any, **options: Any) -> SocietyOfMindAgent:
    texts = list(answers) or ["Done.", "Done again."]
    model = ScriptedModel(texts, model_info=ONE, record=True)
    return SocietyOfMindAgent("mind", team or inside(), model, **options)


def asked(agent: SocietyOfMindAgent, call: int = 0) -> list[Any]:
    client = agent.model_client
    assert isinstance(client, ScriptedModel)
    return [(type(m), m.content) for m in client.calls[call].messages]


@pytest.mark.behaviour("society.turn")
async def test_the_model_answers_with_what_the_team_said() -> None:
    agent = society()

    result = await RoundRobinGroupChat([agent], max_turns=1).run(task="hello")

    assert [(m.source, m.to_text()) for m in result.messages] == [
        ("user", "hello"),
        ("writer", "draft"),
        ("critic", "fine"),
        ("mind", "Done."),
    ]
    assert asked(agent) == [
        (UserMessage, SocietyOfMindAgent.DEFAULT_INSTRUCTION),
        (UserMessage, "draft"),
        (UserMessage, "fine"),
        (UserMessage, SocietyOfMindAgent.DEFAULT_RESPONSE_PROMPT),
    ]
    assert agent.description == "An agent that uses an inner team of agents to generate responses."


async def test_a_model_that_takes_several_system_messages_gets_them() -> None:
    model = ScriptedModel(["Done."], model_info=SEVERAL, record=True)
    agent = SocietyOfMindAgent("mind", inside(), model, instruction="Read.", response_prompt="Say.")

    await agent.on_messages([HELLO])

    told = asked(agent)
    assert told[0] == (SystemMessage, "Read.")
    assert told[-1] == (SystemMessage, "Say.")


@pytest.mark.behaviour("society.turn")
async def test_peers_and_conditions_see_the_answer_alone() -> None:
    peer = ScriptedModel(["ok"], record=True)
    team = RoundRobinGroupChat([society(), AssistantAgent("peer", peer)], max_turns=2)

    await team.run(task="hello")

    heard = [m.content for m in peer.calls[0].messages if isinstance(m, UserMessage)]
    assert heard == ["hello", "Done."]
    response = await society().on_messages([HELLO])
    assert response.inner_messages == []


@pytest.mark.behaviour("society.reset")
async def test_the_team_is_reset_after_each_turn_and_told_what_was_said_before() -> None:
    model = ScriptedModel(["one", "two"], record=True)
    team = RoundRobinGroupChat([AssistantAgent("writer", model)], max_turns=1)
    agent = society(team)

    await agent.on_messages([HELLO])
    await agent.on_messages([TextMessage(content="again", source="user")])

    assert [m.content for m in model.calls[1].messages[1:]] == [
        "hello",
        "relevant previous messages",
        "again",
    ]
    assert [m.content for m in await agent.model_context.get_messages()] == ["hello", "again"]


async def test_a_context_bounds_what_the_team_is_told_of_before() -> None:
    model = ScriptedModel(["one", "two", "three"], record=True)
    team = RoundRobinGroupChat([AssistantAgent("writer", model)], max_turns=1)
    agent = society(team, "1", "2", "3", model_context=BufferedChatCompletionContext(1))

    for text in ("first", "second", "third"):
        await agent.on_messages([TextMessage(content=text, source="user")])

    told = [m.content for m in model.calls[2].messages[1:]]
    assert told == ["second", "relevant previous messages", "third"]


@pytest.mark.behaviour("society.reset")
async def test_a_team_that_says_nothing_is_no_answer() -> None:
    class Silent(RoundRobinGroupChat):
        async def run_stream(self, *args: Any, **options: Any) -> AsyncGenerator[TaskResult, None]:
            yield TaskResult(messages=[])

    agent = society(Silent([AssistantAgent("writer", ScriptedModel([]))]))

    response = await agent.on_messages([HELLO])

    assert response.chat_message.to_text() == "No response."


async def test_a_swarm_inside_takes_a_second_turn() -> None:
    call: dict[str, Any] = {"tool_calls": [{"name": "transfer_to_b", "arguments": {}}]}
    first = AssistantAgent("a", ScriptedModel([call, call]), handoffs=["b"])
    team = Swarm([first, AssistantAgent("b", ScriptedModel(["x", "y"]))], max_turns=2)
    agent = society(team)

    await agent.on_messages([HELLO])
    response = await agent.on_messages([HELLO])

    assert response.chat_message.to_text() == "Done again."


async def test_a_handoff_brings_its_conversation_along() -> None:
    agent = society()
    context = [UserMessage(content="of old", source="x")]
    await agent.on_messages(
        [HandoffMessage(content="take it", source="x", target="mind", context=list(context))]
    )

    known = await agent.model_context.get_messages()

    assert [m.content for m in known] == ["of old", "take it"]


async def test_a_model_that_requests_tools_is_an_error_that_names_them() -> None:
    call: dict[str, Any] = {"tool_calls": [{"name": "look", "arguments": {}}]}

    with pytest.raises(ModelError, match=r"agent 'mind' requested tools, \['look'\]"):
        await society(None, call).on_messages([HELLO])


async def test_a_turn_that_fails_is_undone() -> None:
    agent = society(inside("draft", "draft", "draft"), {"error": {"message": "down"}}, "Done.")
    before = await agent.save_state()

    with pytest.raises(ModelError):
        await agent.on_messages([HELLO])

    assert await agent.save_state() == before
    response = await agent.on_messages([HELLO])
    assert response.chat_message.to_text() == "Done."


async def test_a_cancelled_turn_is_undone() -> None:
    agent, token = society(), CancellationToken()
    before = await agent.save_state()

    with pytest.raises(asyncio.CancelledError):
        async for item in agent.on_messages_stream([HELLO], token):
            if isinstance(item, BaseChatMessage):
                assert await agent.save_state() == before
                token.cancel()

    assert await agent.save_state() == before


@pytest.mark.behaviour("society.state")
async def test_its_state_is_that_of_autogen_with_the_messages_to_it() -> None:
    agent = society()
    assert set(await agent.save_state()) == {"type", "version", "inner_team_state"}
    await agent.on_messages([HELLO])
    state = await agent.save_state()

    again = society()
    await again.load_state(state)

    assert state["type"] == "SocietyOfMindAgentState"
    assert [m.content for m in await again.model_context.get_messages()] == ["hello"]
    await again.on_reset()
    assert await again.model_context.get_messages() == []


async def test_a_state_of_autogen_has_no_messages() -> None:
    state = await society().save_state()
    agent = society()
    await agent.on_messages([HELLO])

    await agent.load_state(state)

    assert await agent.model_context.get_messages() == []


async def test_it_is_a_tool_as_well() -> None:
    call: dict[str, Any] = {"tool_calls": [{"name": "mind", "arguments": {"task": "go"}}]}
    outer = AssistantAgent("outer", ScriptedModel([call]), tools=[AgentTool(society())])

    result = await outer.run(task="hello")

    assert result.messages[-1].to_text() == "writer: draft\n\ncritic: fine\n\nmind: Done."
