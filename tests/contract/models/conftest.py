"""The clients under contract, each with the same scripted steps."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from tests.support.bedrock import CLAUDE, use_keys
from tests.support.model_replies import Plan, Reply, ToolCall
from tests.support.model_server import ModelServer

from teamrun.models import (
    BedrockChatCompletionClient,
    ChatCompletionClient,
    OpenAIChatCompletionClient,
)
from teamrun.testing import ScriptedModel, ScriptStep

Stage = Callable[..., AbstractAsyncContextManager[ChatCompletionClient]]


@asynccontextmanager
async def scripted(
    steps: Sequence[dict[str, Any]], *, latency: float = 0
) -> AsyncGenerator[ChatCompletionClient]:
    client = ScriptedModel(steps, latency=latency)
    yield client
    await client.close()


@asynccontextmanager
async def openai(
    steps: Sequence[dict[str, Any]], *, latency: float = 0
) -> AsyncGenerator[ChatCompletionClient]:
    plan = Plan(queue=[reply(ScriptStep.model_validate(step)) for step in steps])
    async with ModelServer(plan, latency_seconds=latency) as server:
        client = OpenAIChatCompletionClient(
            "gpt-4o", base_url=server.base_url, api_key="k", max_retries=0
        )
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def bedrock(
    steps: Sequence[dict[str, Any]], *, latency: float = 0
) -> AsyncGenerator[ChatCompletionClient]:
    plan = Plan(queue=[reply(ScriptStep.model_validate(step)) for step in steps])
    async with ModelServer(plan, latency_seconds=latency) as server:
        client = BedrockChatCompletionClient(CLAUDE, base_url=server.address, max_retries=0)
        try:
            yield client
        finally:
            await client.close()


def reply(step: ScriptStep) -> Reply:
    """The step in the form of the test server."""
    if step.error is not None:
        assert step.error.status_code is not None
        return Reply(content=step.error.message, status=step.error.status_code)
    assert not isinstance(step.content, dict)
    usage = step.usage
    calls = [ToolCall(name=call.name, arguments=call.arguments) for call in step.tool_calls]
    return Reply(
        content=step.content,
        tool_calls=calls,
        reasoning=step.thought,
        prompt_tokens=usage.prompt_tokens if usage else 1,
        completion_tokens=usage.completion_tokens if usage else 1,
    )


@pytest.fixture(autouse=True)
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch)


@pytest.fixture(params=[scripted, openai, bedrock], ids=["scripted", "openai", "bedrock"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return request.param
