"""AutoGen's event logger is fed, if the program turns it on."""

import json
import logging
from collections.abc import Generator
from typing import Any

import pytest

from teamrun.agents import AssistantAgent
from teamrun.core.event_log import EVENT_LOGGER_NAME, LLMCallEvent, ToolCallEvent
from teamrun.models import RetryingModel
from teamrun.testing import ScriptedModel


class Tracker(logging.Handler):
    """As in AutoGen's documentation: counts the tokens of model calls."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.events.append(record.msg)


@pytest.fixture
def tracker() -> Generator[Tracker]:
    logger, made = logging.getLogger(EVENT_LOGGER_NAME), Tracker()
    logger.addHandler(made)
    yield made
    logger.removeHandler(made)
    logger.setLevel(logging.NOTSET)


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} is a drink"


def clerk(*, stream: bool = False) -> AssistantAgent:
    call = {"tool_calls": [{"name": "look_up", "arguments": {"word": "tea"}}]}
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    model = ScriptedModel([call, {"content": "A drink.", "usage": usage}])
    return AssistantAgent(
        "clerk",
        RetryingModel(model),
        tools=[look_up],
        max_tool_iterations=2,
        model_client_stream=stream,
    )


@pytest.mark.behaviour("core.logging.events")
async def test_calls_of_models_and_tools_are_events(tracker: Tracker) -> None:
    logging.getLogger(EVENT_LOGGER_NAME).setLevel(logging.INFO)

    await clerk().run(task="What is tea?")

    first, tool, last = tracker.events
    assert isinstance(last, LLMCallEvent)
    assert (last.prompt_tokens, last.completion_tokens) == (7, 2)
    assert isinstance(tool, ToolCallEvent)
    assert json.loads(str(tool)) == {
        "type": "ToolCall",
        "tool_name": "look_up",
        "arguments": {"word": "tea"},
        "result": "tea is a drink",
        "agent_id": None,
    }
    told = json.loads(str(first))
    assert (told["type"], told["messages"][1]["content"]) == ("LLMCall", "What is tea?")
    assert told["response"]["content"][0]["name"] == "look_up"


@pytest.mark.behaviour("core.logging.events")
async def test_streams_have_a_start_and_an_end(tracker: Tracker) -> None:
    logging.getLogger(EVENT_LOGGER_NAME).setLevel(logging.INFO)

    await clerk(stream=True).run(task="What is tea?")

    types = [json.loads(str(event))["type"] for event in tracker.events]
    assert types == ["LLMStreamStart", "LLMStreamEnd", "ToolCall", "LLMStreamStart", "LLMStreamEnd"]


@pytest.mark.behaviour("core.logging.switch")
async def test_nothing_is_logged_unless_the_program_turns_it_on(tracker: Tracker) -> None:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    try:
        await clerk().run(task="What is tea?")
    finally:
        root.setLevel(before)

    assert tracker.events == []
