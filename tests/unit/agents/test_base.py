"""The handling of tasks by every agent."""

from collections.abc import Sequence
from typing import Any

import pytest

from teamrun.agents import BaseChatAgent
from teamrun.core import CancellationToken, Response, TaskResult
from teamrun.messages import (
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    StopMessage,
    TextMessage,
    ThoughtEvent,
)


class Echo(BaseChatAgent):
    """Written as AutoGen's users write agents: the token is required."""

    def __init__(self, name: str = "echo") -> None:
        super().__init__(name, "Repeats.")

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(  # pyright: ignore[reportIncompatibleMethodOverride] - the older form
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> Response:
        assert not cancellation_token.is_cancelled()
        said = " ".join(message.to_text() for message in messages)
        return Response(
            chat_message=TextMessage(content=said, source=self.name),
            inner_messages=[
                ThoughtEvent(content="hm", source=self.name),
                ModelClientStreamingChunkEvent(content="ch", source=self.name),
            ],
        )

    async def on_reset(self, cancellation_token: CancellationToken) -> None: ...


def kinds(messages: Sequence[Any]) -> list[str]:
    return [type(message).__name__ for message in messages]


async def stream(agent: BaseChatAgent, *args: Any, **options: Any) -> list[Any]:
    return [item async for item in agent.run_stream(*args, **options)]


@pytest.mark.behaviour("agent.run", "agent.custom")
async def test_run_gives_the_task_the_inner_messages_and_the_answer() -> None:
    result = await Echo().run(task="hello")

    assert [message.to_text() for message in result.messages] == ["hello", "hm", "hello"]
    assert result.messages[0].source == "user"
    assert result.stop_reason is None


@pytest.mark.behaviour("agent.run_stream")
async def test_run_stream_yields_the_same_in_order_and_the_result_last() -> None:
    items = await stream(Echo(), "hello")

    assert kinds(items) == [
        "TextMessage",
        "ThoughtEvent",
        "ModelClientStreamingChunkEvent",
        "TextMessage",
        "TaskResult",
    ]
    assert kinds(items[-1].messages) == ["TextMessage", "ThoughtEvent", "TextMessage"]
    assert all(message in items for message in items[-1].messages)


@pytest.mark.behaviour("agent.task")
async def test_a_task_may_be_a_message_or_several() -> None:
    one, two = TextMessage(content="a", source="x"), StopMessage(content="b", source="y")

    assert (await Echo().run(one)).messages[0] is one
    assert (await Echo().run([one, two])).messages[-1].to_text() == "a b"
    assert (await Echo().run()).messages[-1].to_text() == ""


@pytest.mark.behaviour("agent.output_task_messages")
async def test_the_task_can_be_omitted_from_the_result() -> None:
    result = await Echo().run("hello", output_task_messages=False)
    items = await stream(Echo(), "hello", output_task_messages=False)

    assert kinds(result.messages)[0] == kinds(items)[0] == "ThoughtEvent"
    assert isinstance(items[-1], TaskResult)


@pytest.mark.behaviour("agent.task")
async def test_an_empty_task_list_is_refused() -> None:
    for work in (Echo().run(task=[]), stream(Echo(), [])):
        with pytest.raises(ValueError) as raised:
            await work
        assert str(raised.value) == "Task list cannot be empty."


async def test_an_item_that_is_no_chat_message_is_refused() -> None:
    tasks: Any = [TextMessage(content="a", source="x"), "b"]

    with pytest.raises(ValueError) as raised:
        await Echo().run(tasks)
    assert str(raised.value).startswith("Invalid message type in task list: str.")


@pytest.mark.behaviour("agent.name")
def test_names_are_identifiers() -> None:
    with pytest.raises(ValueError):
        Echo("two words")


@pytest.mark.behaviour("agent.state.none")
async def test_an_agent_without_state_saves_an_empty_one() -> None:
    agent = Echo()
    state = await agent.save_state()
    await agent.load_state(state)
    await agent.on_pause(CancellationToken())
    await agent.on_resume(CancellationToken())
    await agent.close()
    assert state == {"type": "BaseState", "version": "1.0.0"}
