"""The clients under contract, each with the same scripted steps."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from tests.contract.models.services import SERVICES, scene
from tests.support.bedrock import shared_data_files, use_keys
from tests.support.model_replies import Reply, ToolCall

from teamrun.models import ChatCompletionClient
from teamrun.testing import ScriptedModel, ScriptStep

Stage = Callable[..., AbstractAsyncContextManager[ChatCompletionClient]]


@asynccontextmanager
async def scripted(
    steps: Sequence[dict[str, Any]], *, latency: float = 0
) -> AsyncGenerator[ChatCompletionClient]:
    client = ScriptedModel(steps, latency=latency)
    yield client
    await client.close()


def served_by(service: str) -> Stage:
    """The client of a service over HTTP, whose server plays the steps."""

    @asynccontextmanager
    async def stage(
        steps: Sequence[dict[str, Any]], *, latency: float = 0
    ) -> AsyncGenerator[ChatCompletionClient]:
        replies = [reply(ScriptStep.model_validate(step)) for step in steps]
        async with scene(service, *replies, max_retries=0) as (server, client, _):
            server.latency_seconds = latency
            yield client

    return stage


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


@pytest.fixture(autouse=True, scope="package")
def quick_aws() -> Iterator[None]:
    with shared_data_files():
        yield


@pytest.fixture(autouse=True)
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch)


@pytest.fixture(params=["scripted", *SERVICES])
def stage(request: pytest.FixtureRequest) -> Stage:
    return scripted if request.param == "scripted" else served_by(request.param)
