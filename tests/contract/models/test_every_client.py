"""Requirements of agents, teams and the journal on every client."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel
from tests.contract.models.conftest import Stage

from teamrun.core.cancellation import CancellationToken
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
from teamrun.models import ChatCompletionClient
from teamrun.tools.schema import ToolSchema

ASK = [UserMessage(content="How many?", source="user")]
USAGE = {"prompt_tokens": 5, "completion_tokens": 3}
LOAD = ToolSchema(
    name="load",
    description="Loads a table.",
    parameters={"type": "object", "properties": {"name": {"type": "string"}}},
)
SLOW = 30.0
"""Seconds; no test waits for it."""


class Verdict(BaseModel):
    approved: bool


async def pieces_of(client: ChatCompletionClient) -> list[str | CreateResult]:
    return [piece async for piece in client.create_stream(ASK)]


@pytest.mark.behaviour("model.result")
async def test_text_comes_with_its_usage_and_why_the_model_stopped(stage: Stage) -> None:
    async with stage([{"content": "Three of them.", "usage": USAGE}]) as client:
        result = await client.create(ASK)
    assert (result.content, result.finish_reason) == ("Three of them.", "stop")
    assert result.usage == RequestUsage(**USAGE)
    assert (result.thought, result.cached) == (None, False)


@pytest.mark.behaviour("model.result", "model.openai.thought")
async def test_tool_calls_come_with_json_arguments_and_text_beside_them_is_a_thought(
    stage: Stage,
) -> None:
    calls = [
        {"name": "load", "arguments": {"name": "a"}},
        {"name": "load", "arguments": {"name": "b"}},
    ]
    async with stage([{"content": "I look it up.", "tool_calls": calls}]) as client:
        result = await client.create(ASK, tools=[LOAD])
    assert isinstance(result.content, list)
    assert [call.name for call in result.content] == ["load", "load"]
    assert [json.loads(call.arguments) for call in result.content] == [
        {"name": "a"},
        {"name": "b"},
    ]
    assert len({call.id for call in result.content}) == 2
    assert (result.finish_reason, result.thought) == ("function_calls", "I look it up.")


@pytest.mark.behaviour("model.interface")
async def test_a_stream_yields_the_text_in_pieces_and_then_the_result_of_create(
    stage: Stage,
) -> None:
    step = {"content": "Three of them,\nI think.", "usage": USAGE}
    async with stage([step, step]) as client:
        whole = await client.create(ASK)
        *pieces, last = await pieces_of(client)
    assert len(pieces) > 1
    assert "".join(map(str, pieces)) == step["content"]
    assert last == whole


async def test_a_stream_of_tool_calls_gives_only_the_result(stage: Stage) -> None:
    call = {"name": "load", "arguments": {"name": "a, b"}}
    async with stage([{"tool_calls": [call]}]) as client:
        [result] = await pieces_of(client)
    assert isinstance(result, CreateResult) and isinstance(result.content, list)
    assert json.loads(result.content[0].arguments) == call["arguments"]
    assert result.finish_reason == "function_calls"


@pytest.mark.behaviour("model.openai.thought")
async def test_reasoning_that_the_model_shows_is_a_thought(stage: Stage) -> None:
    async with stage([{"content": "Three.", "thought": "Hm."}]) as client:
        result = await client.create(ASK)
    assert (result.content, result.thought) == ("Three.", "Hm.")


@pytest.mark.behaviour("model.openai.thought.stream")
async def test_a_stream_gives_thoughts_first_between_tags(stage: Stage) -> None:
    async with stage([{"content": "Three of them.", "thought": "Hm."}]) as client:
        *pieces, result = await pieces_of(client)
    assert pieces[:2] == ["<think>Hm.", "</think>"]
    assert "".join(map(str, pieces[2:])) == "Three of them."
    assert isinstance(result, CreateResult)
    assert (result.content, result.thought) == ("Three of them.", "Hm.")


@pytest.mark.behaviour("model.errors")
@pytest.mark.parametrize(("status", "retryable"), [(400, False), (503, True)])
async def test_a_failure_is_a_model_error_with_status_and_whether_to_try_again(
    stage: Stage, status: int, retryable: bool
) -> None:
    error = {"message": "no", "status_code": status, "retryable": retryable}
    async with stage([{"error": error}, {"error": error}]) as client:
        with pytest.raises(ModelError) as created:
            await client.create(ASK)
        with pytest.raises(ModelError) as streamed:
            await pieces_of(client)
    for raised in (created.value, streamed.value):
        assert (raised.status_code, raised.retryable) == (status, retryable)


async def test_a_cancelled_token_ends_the_call_and_not_the_task_around_it(stage: Stage) -> None:
    async def create(client: ChatCompletionClient, token: CancellationToken) -> Any:
        return await client.create(ASK, cancellation_token=token)

    async def stream(client: ChatCompletionClient, token: CancellationToken) -> Any:
        return [piece async for piece in client.create_stream(ASK, cancellation_token=token)]

    async with stage([{"content": "late"}] * 3, latency=SLOW) as client:
        for call in (create, stream):
            token = CancellationToken()
            asyncio.get_running_loop().call_later(0.01, token.cancel)
            with pytest.raises(asyncio.CancelledError):
                await call(client, token)
            with pytest.raises(asyncio.CancelledError):  # a token that was cancelled before
                await call(client, token)
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0


async def test_cancelling_the_task_ends_the_call(stage: Stage) -> None:
    async with stage([{"content": "late"}] * 2, latency=SLOW) as client:
        for call in (client.create(ASK), pieces_of(client)):
            task = asyncio.ensure_future(call)
            asyncio.get_running_loop().call_later(0.01, task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_a_stream_may_be_left_and_the_client_continues(stage: Stage) -> None:
    async with stage([{"content": "one two three"}, {"content": "four"}]) as client:
        stream = client.create_stream(ASK)
        assert str(await anext(stream)).strip() == "one"
        await stream.aclose()
        assert (await client.create(ASK)).content == "four"


@pytest.mark.behaviour("model.usage")
async def test_usage_adds_up_over_calls_of_both_kinds(stage: Stage) -> None:
    async with stage([{"content": "x", "usage": USAGE}] * 2) as client:
        await client.create(ASK)
        await pieces_of(client)
        assert client.actual_usage() == RequestUsage(prompt_tokens=10, completion_tokens=6)
        assert client.total_usage() == client.actual_usage()


@pytest.mark.behaviour("model.interface", "model.usage")
async def test_a_whole_conversation_can_be_sent(stage: Stage) -> None:
    messages: list[LLMMessage] = [
        SystemMessage(content="Count."),
        UserMessage(content="How many?", source="user"),
        AssistantMessage(
            content=[FunctionCall(id="c1", name="load", arguments='{"name": "a"}')],
            thought="I look.",
            source="analyst",
        ),
        FunctionExecutionResultMessage(
            content=[FunctionExecutionResult(content="3", name="load", call_id="c1")]
        ),
        AssistantMessage(content="Three.", source="analyst"),
        UserMessage(content="Sure?", source="a reviewer"),
    ]
    async with stage([{"content": "Yes."}]) as client:
        assert (await client.create(messages, tools=[LOAD])).content == "Yes."
        assert 0 < client.count_tokens(messages[:2]) < client.count_tokens(messages)
        assert client.remaining_tokens(messages) < client.remaining_tokens(messages[:2])


async def test_structured_output_is_text_that_the_type_reads(stage: Stage) -> None:
    async with stage([{"content": '{"approved": true}'}]) as client:
        result = await client.create(ASK, json_output=Verdict)
    assert Verdict.model_validate_json(str(result.content)) == Verdict(approved=True)


async def test_a_client_reports_the_capabilities_of_its_model(stage: Stage) -> None:
    async with stage([]) as client:
        assert {"vision", "function_calling", "json_output", "family"} <= set(client.model_info)
        assert client.for_agent("analyst").model_info == client.model_info
        await client.close()
        await client.close()
