"""The scripted model with AutoGen's interface."""

from typing import Any

import pytest

from teamrun.agents import AssistantAgent
from teamrun.errors import UsageError
from teamrun.messages import CreateResult, RequestUsage, UserMessage
from teamrun.models import ChatCompletionClient
from teamrun.testing import ReplayChatCompletionClient

ASKED = [UserMessage(content="what is tea", source="user")]
WHOLE = CreateResult(finish_reason="stop", content="whole", usage=RequestUsage(9, 4), cached=False)


@pytest.mark.behaviour("model.replay")
async def test_answers_come_in_order_until_there_are_no_more() -> None:
    client = ReplayChatCompletionClient(["A drink.", WHOLE])

    first = await client.create(ASKED)
    second = await client.create(ASKED)

    assert (first.content, first.usage, first.cached) == ("A drink.", RequestUsage(3, 2), True)
    assert second == WHOLE
    assert client.actual_usage() == RequestUsage(3, 4)
    assert client.total_usage() == RequestUsage(6, 6)
    assert client.remaining_tokens(ASKED) == 9988
    with pytest.raises(ValueError, match=r"^No more mock responses available$"):
        await client.create(ASKED)


@pytest.mark.behaviour("model.replay")
async def test_it_can_be_reset_and_inspected() -> None:
    client = ReplayChatCompletionClient(["one", "two"])
    client.set_cached_bool_value(False)

    result = await client.create(ASKED, extra_create_args={"seed": 1})
    client.reset()

    assert result.cached is False
    assert client.create_calls[0]["messages"] == ASKED
    assert client.create_calls[0]["extra_create_args"] == {"seed": 1}
    assert client.total_usage() == RequestUsage(0, 0)
    assert (await client.create(ASKED)).content == "one"
    assert client.provided_message_count == 2


@pytest.mark.behaviour("model.replay")
async def test_it_streams_words() -> None:
    client = ReplayChatCompletionClient(["A hot drink.", WHOLE])

    *words, result = [item async for item in client.create_stream(ASKED)]

    assert words == ["A ", "hot ", "drink."]
    assert isinstance(result, CreateResult)
    assert result.usage == RequestUsage(3, 3)
    assert [item async for item in client.create_stream(ASKED)] == [WHOLE]


async def test_agents_share_its_answers() -> None:
    client = ReplayChatCompletionClient(["one", "two"])
    first, second = AssistantAgent("a", client), AssistantAgent("b", client)

    said = [(await agent.run(task="go")).messages[-1].to_text() for agent in (first, second)]

    assert said == ["one", "two"]


@pytest.mark.behaviour("model.openai.legacy", "model.replay")
def test_by_default_it_is_able_to_do_nothing() -> None:
    client = ReplayChatCompletionClient([])

    assert not any(value for value in client.model_info.values() if isinstance(value, bool))
    with pytest.raises(ValueError, match="does not support function calling"):
        AssistantAgent("a", client, tools=[lambda: 1])
    with pytest.warns(DeprecationWarning, match="use model_info"):
        assert client.capabilities == client.model_info
    partial: Any = {"vision": True, "family": "x"}
    with pytest.raises(UsageError, match="model_info lacks"):
        ReplayChatCompletionClient([], partial)


def test_it_is_written_under_autogens_name() -> None:
    written = ReplayChatCompletionClient(["one"]).dump_component()

    assert written.provider == "autogen_ext.models.replay.ReplayChatCompletionClient"
    assert isinstance(ChatCompletionClient.load_component(written), ChatCompletionClient)
