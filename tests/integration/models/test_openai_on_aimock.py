"""OpenAI and Azure OpenAI through the real SDK, over HTTP, on a server that we did not write."""

import json
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import BaseModel
from tests.support.aimock import aimock

from teamrun.errors import ModelError
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from teamrun.models import (
    AzureOpenAIChatCompletionClient,
    ChatCompletionClient,
    OpenAIChatCompletionClient,
    RetryPolicy,
    on_retry,
)
from teamrun.testing import FakeClock
from teamrun.tools.schema import ToolSchema

pytestmark = [pytest.mark.integration, pytest.mark.node]

TEXT = "The table has three rows, and all of them add up to the same sum."
USAGE = {"prompt_tokens": 21, "completion_tokens": 14}
LIMITED = {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
VERDICT = {"approved": True, "reasons": ["complete"]}
CALLS = [
    {"name": "load", "arguments": {"name": "a.csv"}},
    {"name": "load", "arguments": {"name": "b.csv"}},
]
FIXTURES: list[dict[str, Any]] = [
    {"match": {"userMessage": "rows"}, "response": {"content": TEXT, "usage": USAGE}},
    {
        "match": {"userMessage": "both", "hasToolResult": False},
        "response": {"toolCalls": CALLS, "usage": USAGE},
    },
    {
        "match": {"userMessage": "both", "hasToolResult": True},
        "response": {"content": "Loaded both."},
    },
    {
        "match": {"userMessage": "verdict", "responseFormat": "json_schema"},
        "response": {"content": VERDICT},
    },
    {
        "match": {"userMessage": "limited", "sequenceIndex": 0},
        "response": {"error": LIMITED, "status": 429, "retryAfter": 7},
    },
    {"match": {"userMessage": "limited"}, "response": {"content": "Here you are."}},
    {
        "match": {"userMessage": "cut once", "sequenceIndex": 0},
        "response": {"content": TEXT},
        "truncateAfterChunks": 1,
    },
    {"match": {"userMessage": "cut once"}, "response": {"content": TEXT}},
    {
        "match": {"userMessage": "cut late"},
        "response": {"content": TEXT},
        "latency": 30,
        "truncateAfterChunks": 4,
    },
    {"match": {"userMessage": "think"}, "response": {"content": "Four.", "reasoning": "2 + 2"}},
]
LOAD = ToolSchema(
    name="load",
    description="Loads a table.",
    parameters={
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    },
)


class Verdict(BaseModel):
    approved: bool
    reasons: list[str]


WIRES = {"openai": "/v1", "azure": "", "azure_v1": "/openai/v1"}


@pytest.fixture(scope="module", params=WIRES)
def base_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("aimock")
    with aimock(FIXTURES, folder) as url:
        yield url.removesuffix("/v1") + WIRES[request.param]


@asynccontextmanager
async def model_on(
    base_url: str, clock: FakeClock | None = None, *, name: str = "gpt-4o"
) -> AsyncGenerator[ChatCompletionClient]:
    options: dict[str, Any] = {
        "api_key": "k",
        "retry": RetryPolicy(jitter=0),
        "clock": clock,
    }
    model: ChatCompletionClient
    if urlsplit(base_url).path == WIRES["openai"]:
        model = OpenAIChatCompletionClient(name, base_url=base_url, **options)
    else:
        version = None if urlsplit(base_url).path else "2024-10-21"
        model = AzureOpenAIChatCompletionClient(
            name, azure_endpoint=base_url, api_version=version, **options
        )
    try:
        yield model
    finally:
        await model.close()


def ask(text: str) -> list[LLMMessage]:
    return [SystemMessage(content="Be exact."), UserMessage(content=text, source="user")]


async def run(body: Coroutine[Any, Any, None]) -> None:
    await body


async def test_an_answer_with_its_usage(base_url: str) -> None:
    async def body() -> None:
        async with model_on(base_url) as model:
            result = await model.create(ask("rows"))
        assert result.content == TEXT
        assert result.usage == RequestUsage(**USAGE)
        assert result.finish_reason == "stop"

    await run(body())


async def test_a_streamed_answer_with_its_usage(base_url: str) -> None:
    async def body() -> None:
        async with model_on(base_url) as model:
            *pieces, last = [piece async for piece in model.create_stream(ask("rows"))]
        assert len(pieces) > 1
        assert "".join(map(str, pieces)) == TEXT
        assert isinstance(last, CreateResult)
        assert (last.content, last.usage) == (TEXT, RequestUsage(**USAGE))

    await run(body())


@pytest.mark.parametrize("streamed", [False, True])
async def test_parallel_tool_calls_and_the_turn_with_their_results(
    base_url: str, streamed: bool
) -> None:
    async def body() -> None:
        async with model_on(base_url) as model:
            messages = ask("both")
            if streamed:
                [result] = [piece async for piece in model.create_stream(messages, tools=[LOAD])]
            else:
                result = await model.create(messages, tools=[LOAD])
            assert isinstance(result, CreateResult) and isinstance(result.content, list)
            calls = result.content
            assert [json.loads(call.arguments) for call in calls] == [
                {"name": "a.csv"},
                {"name": "b.csv"},
            ]
            assert result.finish_reason == "function_calls"
            answer = await model.create([*messages, *answered(calls)], tools=[LOAD])
        assert answer.content == "Loaded both."

    await run(body())


def answered(calls: list[FunctionCall]) -> list[LLMMessage]:
    results = [
        FunctionExecutionResult(content="3 rows", name=call.name, call_id=call.id) for call in calls
    ]
    return [
        AssistantMessage(content=calls, source="analyst"),
        FunctionExecutionResultMessage(content=results),
    ]


async def test_structured_output(base_url: str) -> None:
    async def body() -> None:
        async with model_on(base_url) as model:
            result = await model.create(ask("verdict"), json_output=Verdict)
        assert Verdict.model_validate_json(str(result.content)) == Verdict.model_validate(VERDICT)

    await run(body())


async def test_a_429_is_waited_out_for_as_long_as_the_server_asks(base_url: str) -> None:
    clock = FakeClock()
    told: list[tuple[int, timedelta, int | None]] = []

    async def body() -> None:
        on_retry.set(lambda attempt, delay, error: told.append((attempt, delay, error.status_code)))
        async with model_on(base_url, clock) as model:
            result = await model.create(ask("limited"))
        assert result.content == "Here you are."

    await run(body())
    assert clock.sleeps == [7]
    assert told == [(1, timedelta(seconds=7), 429)]


async def test_a_stream_that_is_cut_before_any_text_is_asked_for_again(base_url: str) -> None:
    clock = FakeClock()

    async def body() -> None:
        async with model_on(base_url, clock) as model:
            *pieces, _ = [piece async for piece in model.create_stream(ask("cut once"))]
        assert "".join(map(str, pieces)) == TEXT

    await run(body())
    assert clock.sleeps == [0.5]


async def test_a_stream_that_is_cut_after_text_is_an_error_and_never_a_short_answer(
    base_url: str,
) -> None:
    pieces: list[str | CreateResult] = []

    async def body() -> None:
        async with model_on(base_url) as model:
            pieces.extend([piece async for piece in model.create_stream(ask("rows"))])
            pieces.clear()
            async for piece in model.create_stream(ask("cut late")):
                pieces.append(piece)  # noqa: PERF401 - they are there when it raises

    with pytest.raises(ModelError) as raised:
        await run(body())
    assert raised.value.retryable
    assert raised.value.__cause__ is not None
    assert not any(isinstance(piece, CreateResult) for piece in pieces)
    assert 0 < len("".join(map(str, pieces))) < len(TEXT)


@pytest.mark.parametrize("streamed", [False, True])
async def test_reasoning_is_the_thought(base_url: str, streamed: bool) -> None:
    async def body() -> None:
        async with model_on(base_url, name="o4-mini") as model:
            if streamed:
                result = [piece async for piece in model.create_stream(ask("think"))][-1]
            else:
                result = await model.create(ask("think"))
        assert isinstance(result, CreateResult)
        assert (result.content, result.thought) == ("Four.", "2 + 2")

    await run(body())


async def test_a_request_that_the_server_does_not_know_is_an_error_with_its_status(
    base_url: str,
) -> None:
    async def body() -> None:
        async with model_on(base_url, FakeClock()) as model:
            await model.create(ask("nothing fits this"))

    with pytest.raises(ModelError) as raised:
        await run(body())
    assert raised.value.status_code is not None
