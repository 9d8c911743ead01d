"""Tools as classes that report while they work."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import BaseModel

from teamrun.agents import AssistantAgent
from teamrun.core import CancellationToken
from teamrun.errors import InvalidArguments
from teamrun.messages import ThoughtEvent
from teamrun.testing import ScriptedModel
from teamrun.tools import BaseStreamTool


class Args(BaseModel):
    word: str


class Thinker(BaseStreamTool[Args, ThoughtEvent, str]):
    def __init__(self) -> None:
        super().__init__(Args, str, "think", "Thinks.")

    async def run(self, args: Args, cancellation_token: CancellationToken) -> str:
        return args.word.upper()

    async def run_stream(
        self, args: Args, cancellation_token: CancellationToken
    ) -> AsyncGenerator[ThoughtEvent | str, None]:
        yield ThoughtEvent(content="hm", source=self.name)
        yield await self.run(args, cancellation_token)


@pytest.mark.behaviour("tool.stream")
async def test_its_events_are_yielded_before_its_result() -> None:
    tool = Thinker()
    event, value = [each async for each in tool.run_json_stream({"word": "tea"})]

    assert (event.content, value) == ("hm", "TEA")
    assert await tool.run_json({"word": "tea"}) == "TEA"
    with pytest.raises(InvalidArguments):
        await tool.run_json({})
    with pytest.raises(InvalidArguments):
        await anext(tool.run_json_stream({}))


async def test_an_agent_shows_its_events() -> None:
    call: dict[str, Any] = {"tool_calls": [{"name": "think", "arguments": {"word": "tea"}}]}
    agent = AssistantAgent("a", ScriptedModel([call]), tools=[Thinker()])

    result = await agent.run(task="go")

    assert [type(each).__name__ for each in result.messages] == [
        "TextMessage",
        "ToolCallRequestEvent",
        "ThoughtEvent",
        "ToolCallExecutionEvent",
        "ToolCallSummaryMessage",
    ]
    assert result.messages[-1].to_text() == "TEA"
