"""An agent that receives a selection of the messages."""

from typing import Any

import pytest

from teamrun.agents import (
    AssistantAgent,
    BaseChatAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
)
from teamrun.messages import TextMessage, UserMessage
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel

SENT = [TextMessage(content=text, source=text[0]) for text in ("a1", "b1", "a2", "b2", "a3", "c1")]


def filtered(*filters: PerSourceFilter, answers: Any = ("ok", "ok")) -> MessageFilterAgent:
    inner = AssistantAgent("inner", ScriptedModel(list(answers), record=True))
    return MessageFilterAgent("outer", inner, MessageFilterConfig(per_source=list(filters)))


async def received(agent: MessageFilterAgent) -> list[Any]:
    inner = agent.wrapped_agent
    assert isinstance(inner, AssistantAgent)
    messages = await inner.model_context.get_messages()
    return [m.content for m in messages if isinstance(m, UserMessage)]


@pytest.mark.behaviour("filter.order")
@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ([{"source": "b"}], ["b1", "b2"]),
        ([{"source": "a", "position": "first", "count": 1}], ["a1"]),
        ([{"source": "a", "position": "last", "count": 2}], ["a2", "a3"]),
        ([{"source": "b"}, {"source": "a", "position": "last", "count": 1}], ["b1", "b2", "a3"]),
        ([{"source": "a", "position": "first"}], ["a1", "a2", "a3"]),
        ([{"source": "a", "count": 1}], ["a1", "a2", "a3"]),
        ([{"source": "nobody"}], []),
        ([], []),
    ],
)
async def test_messages_pass_by_source_in_the_order_of_the_filters(
    filters: list[Any], passes: list[str]
) -> None:
    agent = filtered(*(PerSourceFilter(**each) for each in filters))

    response = await agent.on_messages(SENT)

    assert await received(agent) == passes
    assert response.chat_message.source == "inner"


async def test_in_a_team_the_stream_is_that_of_the_inner_agent() -> None:
    agent = filtered(PerSourceFilter(source="user"))
    other = AssistantAgent("other", ScriptedModel(["noise"]))

    result = await RoundRobinGroupChat([other, agent], max_turns=2).run(task="go")

    assert [(m.source, m.to_text()) for m in result.messages] == [
        ("user", "go"),
        ("other", "noise"),
        ("inner", "ok"),
    ]
    assert await received(agent) == ["go"]


@pytest.mark.behaviour("filter.state")
async def test_it_takes_description_types_reset_and_state_from_the_inner_agent() -> None:
    agent = filtered(PerSourceFilter(source="a"))
    assert agent.description.endswith("(with message filtering)")
    assert agent.produced_message_types == agent.wrapped_agent.produced_message_types
    await agent.on_messages(SENT)
    state = await agent.save_state()

    again = filtered()
    await again.load_state(state)
    assert await received(again) == ["a1", "a2", "a3"]

    await again.on_reset()
    assert await received(again) == []
    await again.load_state({"type": "BaseState", "version": "1.0.0"})  # AutoGen's


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("inner", MessageFilterConfig(per_source=[])), "wrapped_agent must be an agent"),
        ((filtered(), [PerSourceFilter(source="a")]), "filter must be MessageFilterConfig"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(arguments: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        MessageFilterAgent("outer", *arguments)


def test_filters_of_filters_speak_as_the_innermost_agent() -> None:
    inner = filtered(PerSourceFilter(source="a"))

    agent = MessageFilterAgent("outermost", inner, MessageFilterConfig(per_source=[]))

    assert isinstance(agent, BaseChatAgent)
    assert agent.speaks_as == "inner"
