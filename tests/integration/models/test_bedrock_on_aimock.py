"""The Bedrock client through boto3, over HTTP, against a server that we did not write.

aimock's ConverseStream is malformed for text and its errors have no names of the service
(`docs/design/model-answers.md`), so only whole answers are compared.
"""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.aimock import aimock
from tests.support.bedrock import CLAUDE, use_keys

from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from teamrun.models import BedrockChatCompletionClient
from teamrun.tools.schema import ToolSchema

pytestmark = [pytest.mark.integration, pytest.mark.node]

TEXT = "The table has three rows."
CALLS = [
    {"name": "load", "arguments": {"name": "a.csv"}},
    {"name": "load", "arguments": {"name": "b.csv"}},
]
FIXTURES: list[dict[str, Any]] = [
    {
        "match": {"userMessage": "rows"},
        "response": {"content": TEXT, "usage": {"prompt_tokens": 21, "completion_tokens": 14}},
    },
    {"match": {"userMessage": "both", "hasToolResult": False}, "response": {"toolCalls": CALLS}},
    {"match": {"userMessage": "both", "hasToolResult": True}, "response": {"content": "Both."}},
]
LOAD = ToolSchema(
    name="load",
    description="Loads a table.",
    parameters={"type": "object", "properties": {"name": {"type": "string"}}},
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("aimock")
    with aimock(FIXTURES, folder) as url:
        yield url.removesuffix("/v1")


@pytest.fixture(autouse=True)
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch)


@asynccontextmanager
async def model_on(address: str) -> AsyncGenerator[BedrockChatCompletionClient]:
    model = BedrockChatCompletionClient(CLAUDE, base_url=address, max_retries=0)
    try:
        yield model
    finally:
        await model.close()


def ask(text: str) -> list[LLMMessage]:
    return [SystemMessage(content="Be exact."), UserMessage(content=text, source="user")]


async def test_an_answer_with_its_usage(address: str) -> None:
    async with model_on(address) as model:
        result = await model.create(ask("rows"))
    assert (result.content, result.finish_reason) == (TEXT, "stop")
    assert result.usage == RequestUsage(21, 14)


@pytest.mark.parametrize("stream", [False, True])
async def test_parallel_calls_and_then_an_answer(address: str, stream: bool) -> None:
    async with model_on(address) as model:
        asked = ask("both")
        if stream:
            last = [piece async for piece in model.create_stream(asked, tools=[LOAD])][-1]
            assert isinstance(last, CreateResult)
            called = last
        else:
            called = await model.create(asked, tools=[LOAD])
        assert isinstance(called.content, list)
        assert [json.loads(call.arguments) for call in called.content] == [
            {"name": "a.csv"},
            {"name": "b.csv"},
        ]
        results = [
            FunctionExecutionResult(content="3", name="load", call_id=call.id)
            for call in called.content
        ]
        history = [
            *asked,
            AssistantMessage(content=called.content, source="a"),
            FunctionExecutionResultMessage(content=results),
        ]
        assert (await model.create(history, tools=[LOAD])).content == "Both."
