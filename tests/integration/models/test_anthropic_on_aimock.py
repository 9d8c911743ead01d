"""Anthropic's client through the real SDK, over HTTP, on a server that we did not write."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tests.support.aimock import aimock

from teamrun.errors import ModelError
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from teamrun.models import AnthropicChatCompletionClient, RetryPolicy
from teamrun.testing import FakeClock
from teamrun.tools.schema import ToolSchema

pytestmark = [pytest.mark.integration, pytest.mark.node]

TEXT = "The table has three rows, and all of them add up to the same sum."
LIMITED = {"message": "slow down", "type": "rate_limit_error"}
CALLS = [
    {"name": "load", "arguments": {"name": "a.csv"}},
    {"name": "load", "arguments": {"name": "b.csv"}},
]
FIXTURES: list[dict[str, Any]] = [
    {
        "match": {"userMessage": "rows"},
        "response": {"content": TEXT, "usage": {"input_tokens": 21, "output_tokens": 14}},
    },
    {"match": {"userMessage": "both", "hasToolResult": False}, "response": {"toolCalls": CALLS}},
    {"match": {"userMessage": "both", "hasToolResult": True}, "response": {"content": "Both."}},
    {"match": {"userMessage": "think"}, "response": {"content": "Four.", "reasoning": "2 + 2"}},
    {"match": {"userMessage": "verdict"}, "response": {"content": '{"approved": true}'}},
    {
        "match": {"userMessage": "limited", "sequenceIndex": 0},
        "response": {"error": LIMITED, "status": 429, "retryAfter": 7},
    },
    {"match": {"userMessage": "limited"}, "response": {"content": "Here you are."}},
    {
        "match": {"userMessage": "cut late"},
        "response": {"content": TEXT},
        "latency": 30,
        "truncateAfterChunks": 4,
    },
]
LOAD = ToolSchema(
    name="load",
    description="Loads a table.",
    parameters={"type": "object", "properties": {"name": {"type": "string"}}},
)
both = pytest.mark.parametrize("stream", [False, True])


class Verdict(BaseModel):
    approved: bool


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("aimock")
    with aimock(FIXTURES, folder) as url:
        yield url.removesuffix("/v1")


@asynccontextmanager
async def model_on(
    address: str, clock: FakeClock | None = None
) -> AsyncGenerator[AnthropicChatCompletionClient]:
    model = AnthropicChatCompletionClient(
        "claude-sonnet-5",
        base_url=address,
        api_key="k",
        retry=RetryPolicy(jitter=0),
        clock=clock or FakeClock(),
    )
    try:
        yield model
    finally:
        await model.close()


async def answer_of(
    model: AnthropicChatCompletionClient, messages: list[LLMMessage], *, stream: bool, **asked: Any
) -> CreateResult:
    if not stream:
        return await model.create(messages, **asked)
    *_, last = [piece async for piece in model.create_stream(messages, **asked)]
    assert isinstance(last, CreateResult)
    return last


def ask(text: str) -> list[LLMMessage]:
    return [SystemMessage(content="Be exact."), UserMessage(content=text, source="user")]


@both
async def test_an_answer_with_its_usage(address: str, stream: bool) -> None:
    async with model_on(address) as model:
        result = await answer_of(model, ask("rows"), stream=stream)
    assert (result.content, result.finish_reason) == (TEXT, "stop")
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (21, 14)


@both
async def test_parallel_calls_and_then_an_answer(address: str, stream: bool) -> None:
    async with model_on(address) as model:
        called = await answer_of(model, ask("both"), stream=stream, tools=[LOAD])
        assert isinstance(called.content, list)
        assert [json.loads(call.arguments)["name"] for call in called.content] == ["a.csv", "b.csv"]
        assert called.finish_reason == "function_calls"
        results = [
            FunctionExecutionResult(content="3", name="load", call_id=call.id)
            for call in called.content
        ]
        history = [
            *ask("both"),
            AssistantMessage(content=called.content, source="a"),
            FunctionExecutionResultMessage(content=results),
        ]
        result = await answer_of(model, history, stream=stream, tools=[LOAD])
    assert result.content == "Both."


@both
async def test_thoughts_and_an_answer_of_a_type(address: str, stream: bool) -> None:
    async with model_on(address) as model:
        thought = await answer_of(model, ask("think"), stream=stream)
        verdict = await answer_of(model, ask("verdict"), stream=stream, json_output=Verdict)
    assert (thought.content, thought.thought) == ("Four.", "2 + 2")
    assert Verdict.model_validate_json(str(verdict.content)).approved


async def test_a_limited_service_and_a_stream_that_breaks_off(address: str) -> None:
    clock = FakeClock()
    async with model_on(address, clock) as model:
        assert (await model.create(ask("limited"))).content == "Here you are."
        with pytest.raises(ModelError) as raised:
            [_ async for _ in model.create_stream(ask("cut late"))]
    assert clock.sleeps[0] == 7
    assert raised.value.retryable and raised.value.data["cut"]
