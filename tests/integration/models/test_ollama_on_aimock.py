"""The Ollama client over HTTP, against a server that we did not write.

aimock counts no tokens on this wire, and names thoughts `reasoning_content`.
"""

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
from teamrun.models import OllamaChatCompletionClient
from teamrun.tools.schema import ToolSchema

pytestmark = [pytest.mark.integration, pytest.mark.node]

TEXT = "The table has three rows, and all of them add up to the same sum."
CALLS = [
    {"name": "load", "arguments": {"name": "a.csv"}},
    {"name": "load", "arguments": {"name": "b.csv"}},
]
FIXTURES: list[dict[str, Any]] = [
    {"match": {"userMessage": "rows"}, "response": {"content": TEXT}},
    {"match": {"userMessage": "both", "hasToolResult": False}, "response": {"toolCalls": CALLS}},
    {"match": {"userMessage": "both", "hasToolResult": True}, "response": {"content": "Both."}},
    {"match": {"userMessage": "verdict"}, "response": {"content": '{"approved": true}'}},
    {"match": {"userMessage": "think"}, "response": {"content": "Four.", "reasoning": "2 + 2"}},
]
LOAD = ToolSchema(
    name="load",
    description="Loads a table.",
    parameters={"type": "object", "properties": {"name": {"type": "string"}}},
)


class Verdict(BaseModel):
    approved: bool


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("aimock")
    with aimock(FIXTURES, folder) as url:
        yield url.removesuffix("/v1")


@asynccontextmanager
async def model_on(address: str) -> AsyncGenerator[OllamaChatCompletionClient]:
    model = OllamaChatCompletionClient("llama3.2", host=address, max_retries=0)
    try:
        yield model
    finally:
        await model.close()


def ask(text: str) -> list[LLMMessage]:
    return [SystemMessage(content="Be exact."), UserMessage(content=text, source="user")]


async def test_an_answer_whole_and_streamed(address: str) -> None:
    async with model_on(address) as model:
        result = await model.create(ask("rows"))
        *pieces, last = [piece async for piece in model.create_stream(ask("rows"))]
    assert (result.content, result.finish_reason) == (TEXT, "stop")
    assert len(pieces) > 1 and "".join(map(str, pieces)) == TEXT
    assert isinstance(last, CreateResult) and last.content == TEXT


@pytest.mark.parametrize("stream", [False, True])
async def test_parallel_calls_and_then_an_answer(address: str, stream: bool) -> None:
    async with model_on(address) as model:
        asked = ask("both")
        if stream:
            called = [piece async for piece in model.create_stream(asked, tools=[LOAD])][-1]
        else:
            called = await model.create(asked, tools=[LOAD])
        assert isinstance(called, CreateResult) and isinstance(called.content, list)
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


async def test_structured_output_and_a_thought(address: str) -> None:
    async with model_on(address) as model:
        verdict = await model.create(ask("verdict"), json_output=Verdict)
        thought = await model.create(ask("think"))
    assert Verdict.model_validate_json(str(verdict.content)).approved
    assert (thought.content, thought.thought) == ("Four.", "2 + 2")


async def test_a_request_that_the_server_does_not_know_is_an_error_with_its_status(
    address: str,
) -> None:
    async with model_on(address) as model:
        with pytest.raises(ModelError) as raised:
            await model.create(ask("nothing fits this"))
    assert raised.value.status_code is not None
