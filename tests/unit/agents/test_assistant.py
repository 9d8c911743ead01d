"""Turns of an assistant without tools."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from teamrun.agents import AssistantAgent
from teamrun.core import AnyMessage, CancellationToken, Response, TaskResult
from teamrun.memory import ListMemory, MemoryContent
from teamrun.messages import (
    AssistantMessage,
    BaseChatMessage,
    CreateResult,
    HandoffMessage,
    Image,
    MultiModalMessage,
    RequestUsage,
    StructuredMessage,
    SystemMessage,
    TextMessage,
    ThoughtEvent,
    UserMessage,
)
from teamrun.models import ModelInfo
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel

PLAIN = ModelInfo(
    vision=False, function_calling=False, json_output=False, family="x", structured_output=False
)
HELLO = TextMessage(content="hello", source="user")


class Answer(BaseModel):
    city: str
    people: int


async def turn(agent: AssistantAgent, *messages: Any) -> list[Any]:
    return [item async for item in agent.on_messages_stream(messages or [HELLO])]


def kinds(items: Any) -> list[str]:
    return [type(item).__name__ for item in items]


@pytest.mark.behaviour("assistant.defaults", "assistant.turn")
async def test_an_answer_is_the_text_of_the_model() -> None:
    model = ScriptedModel(
        [{"content": "hi", "usage": {"prompt_tokens": 3, "completion_tokens": 1}}], record=True
    )
    agent = AssistantAgent("ada", model)

    response = await agent.on_messages([HELLO])

    assert isinstance(response.chat_message, TextMessage)
    assert (response.chat_message.content, response.chat_message.source) == ("hi", "ada")
    assert response.chat_message.models_usage == RequestUsage(3, 1)
    assert response.inner_messages == []
    assert model.calls[0].messages == (
        SystemMessage(
            content="You are a helpful AI assistant. Solve tasks using your tools. "
            "Reply with TERMINATE when the task has been completed."
        ),
        UserMessage(content="hello", source="user"),
    )
    assert (model.calls[0].tools, model.calls[0].tool_choice) == ((), "auto")


@pytest.mark.behaviour("assistant.turn")
async def test_a_turn_includes_earlier_messages() -> None:
    model = ScriptedModel(["one", "two"], record=True)
    agent = AssistantAgent("ada", model, system_message=None)

    await agent.run("first")
    await agent.run("second")

    assert model.calls[1].messages == (
        UserMessage(content="first", source="user"),
        AssistantMessage(content="one", source="ada"),
        UserMessage(content="second", source="user"),
    )


async def test_agents_that_hear_a_message_share_its_model_message() -> None:
    agents = [AssistantAgent(name, ScriptedModel(["x"])) for name in ("ada", "bob")]

    for agent in agents:
        await agent.on_messages([HELLO])
    heard = [(await agent.model_context.get_messages())[0] for agent in agents]

    assert heard[0] is heard[1]


@pytest.mark.behaviour("assistant.thought")
async def test_a_thought_comes_before_the_answer_and_stays_in_the_context() -> None:
    agent = AssistantAgent("ada", ScriptedModel([{"content": "hi", "thought": "hm"}]))

    items = await turn(agent)

    assert kinds(items) == ["ThoughtEvent", "Response"]
    assert items[1].inner_messages == [items[0]]
    said = (await agent.model_context.get_messages())[-1]
    assert said == AssistantMessage(content="hi", source="ada", thought="hm")


@pytest.mark.behaviour("assistant.stream")
async def test_chunks_are_streamed_and_belong_to_the_answer() -> None:
    agent = AssistantAgent("ada", ScriptedModel(["one two"]), model_client_stream=True)

    items = await turn(agent)

    *chunks, response = items
    assert [chunk.content for chunk in chunks] == ["one ", "two"]
    assert {chunk.full_message_id for chunk in chunks} == {response.chat_message.id}
    assert response.inner_messages == []


async def test_a_stream_without_its_result_is_an_error() -> None:
    class Cut(ScriptedModel):
        async def create_stream(
            self, messages: Any, **options: Any
        ) -> AsyncGenerator[str | CreateResult, None]:
            yield "half"

    agent = AssistantAgent("ada", Cut([]), model_client_stream=True)

    with pytest.raises(RuntimeError) as raised:
        await turn(agent)
    assert str(raised.value) == "No final model result in streaming mode."


@pytest.mark.behaviour("assistant.structured")
async def test_structured_output_is_asked_for_and_parsed() -> None:
    model = ScriptedModel([{"content": {"city": "Oslo", "people": 7}}], record=True)
    agent = AssistantAgent(
        "ada", model, output_content_type=Answer, output_content_type_format="{city}!"
    )

    message: Any = (await agent.run("where?")).messages[-1]

    assert type(message) is StructuredMessage[Answer]
    assert message.content == Answer(city="Oslo", people=7)
    assert message.to_text() == "Oslo!"
    assert message.type == "StructuredMessage[Answer]"
    assert model.calls[0].json_output is Answer
    assert agent.produced_message_types == [StructuredMessage[Answer]]


@pytest.mark.behaviour("assistant.memory")
async def test_memory_is_added_on_every_turn_and_reported() -> None:
    fact = MemoryContent(content="likes tea", mime_type="text/plain")
    model = ScriptedModel(["one", "two"], record=True)
    agent = AssistantAgent("ada", model, memory=[ListMemory(memory_contents=[fact]), ListMemory()])

    first, second = await turn(agent), await turn(agent)

    assert kinds(first) == kinds(second) == ["MemoryQueryEvent", "Response"]
    assert first[0].content == [fact]
    assert first[1].inner_messages == [first[0]]
    remembered = [m for m in model.calls[1].messages[1:] if isinstance(m, SystemMessage)]
    assert len(remembered) == 2


async def test_the_context_of_a_handoff_comes_before_its_text() -> None:
    model = ScriptedModel(["ok"], record=True)
    context = UserMessage(content="so far", source="bob")
    handoff = HandoffMessage(content="yours", source="bob", target="ada", context=[context])

    await AssistantAgent("ada", model, system_message=None).on_messages([handoff])

    assert model.calls[0].messages == (context, UserMessage(content="yours", source="bob"))


@pytest.mark.behaviour("assistant.vision")
async def test_a_model_without_vision_sees_placeholders_for_images() -> None:
    image = Image.from_bytes(b"\x89PNG\r\n\x1a\n-")
    message = MultiModalMessage(content=["look", image], source="user")
    blind, seeing = (
        ScriptedModel(["x"], model_info=PLAIN, record=True),
        ScriptedModel(["x"], record=True),
    )

    for model in (blind, seeing):
        agent = AssistantAgent("ada", model, system_message=None)
        await agent.on_messages([message])

    assert blind.calls[0].messages == (UserMessage(content="look\n<image>", source="user"),)
    assert seeing.calls[0].messages == (UserMessage(content=["look", image], source="user"),)


@pytest.mark.behaviour("assistant.state")
async def test_reset_forgets_and_state_continues() -> None:
    agent, other = (AssistantAgent("ada", ScriptedModel(["x"])) for _ in range(2))
    await agent.run("hello")
    state = await agent.save_state()
    await other.load_state(state)
    kept = await other.model_context.get_messages()
    await agent.on_reset()
    after_reset = await agent.model_context.get_messages()
    assert state["type"] == "AssistantAgentState"
    assert list(state["llm_context"]) == ["messages"]
    assert kept == [
        UserMessage(content="hello", source="user"),
        AssistantMessage(content="x", source="ada"),
    ]
    assert after_reset == []


async def test_a_response_is_a_fresh_one_on_every_turn() -> None:
    agent = AssistantAgent("ada", ScriptedModel(["one", "two"]))

    first, second = (await turn(agent))[-1], (await turn(agent))[-1]

    assert isinstance(first, Response)
    assert first.chat_message.id != second.chat_message.id
    assert first.inner_messages is not second.inner_messages


@pytest.mark.behaviour("assistant.arguments")
def test_memory_must_be_a_list() -> None:
    memory: Any = ListMemory()

    with pytest.raises(TypeError):
        AssistantAgent("ada", ScriptedModel([]), memory=memory)


class Announcing(AssistantAgent):
    """Yields a thought of its own before each turn."""

    async def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        yield ThoughtEvent(content="now", source=self.name)
        async for item in super().on_messages_stream(messages, cancellation_token):
            yield item


class Twice(Announcing):
    """A subclass of a subclass."""


@pytest.mark.behaviour("agent.custom")
@pytest.mark.parametrize("cls", [Announcing, Twice])
async def test_a_subclass_that_overrides_the_stream_is_called_through_it_everywhere(
    cls: type[AssistantAgent],
) -> None:
    def agent() -> AssistantAgent:
        return cls("a", ScriptedModel(["yes"]))

    def texts(result: object) -> list[str]:
        assert isinstance(result, TaskResult)
        return [message.to_text() for message in result.messages]

    for runner in (agent(), RoundRobinGroupChat([agent()], max_turns=1)):
        streamed = [item async for item in runner.run_stream(task="go")]
        assert texts(streamed[-1]) == ["go", "now", "yes"]
    team = RoundRobinGroupChat([agent()], max_turns=1)
    assert texts(await team.run(task="go")) == ["go", "now", "yes"]
    assert (await agent().on_messages([])).chat_message.to_text() == "yes"


@pytest.mark.parametrize("where", ["class", "object"])
async def test_a_stream_that_is_replaced_later_is_called_everywhere(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = AssistantAgent("a", ScriptedModel(["yes"] * 4))
    team = RoundRobinGroupChat([agent], max_turns=1)
    original, traced = AssistantAgent.on_messages_stream, list[str]()

    async def tracing(
        self: AssistantAgent, *args: Any, **options: Any
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        traced.append(self.name)
        async for item in original(self, *args, **options):
            yield item

    await team.run(task="go")
    with monkeypatch.context() as patch:
        if where == "class":
            patch.setattr(AssistantAgent, "on_messages_stream", tracing)
        else:
            patch.setattr(agent, "on_messages_stream", partial(tracing, agent), raising=False)
        await team.run(task="go")
        await agent.on_messages([])
    assert traced == ["a", "a"]
    await team.run(task="go")
    assert traced == ["a", "a"]
