"""Every service over real HTTP: requests, answers, stop reasons, faults, cancellation, timeouts."""

import asyncio
import base64
import gc
import json
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from tests.contract.models.services import KEY, SERVICES, Scene, scene
from tests.support.bedrock import KEY_ID, SECRET, TOKEN
from tests.support.model_replies import Fault, Reply, ToolCall

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError
from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FinishReason,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    UserMessage,
)
from teamrun.models import ChatCompletionClient
from teamrun.tools.schema import ToolSchema

pytestmark = pytest.mark.parametrize("service", SERVICES)

Ask = Callable[..., Coroutine[Any, Any, CreateResult]]

ASK: list[LLMMessage] = [UserMessage(content="Hi", source="user")]
SLOW = Reply(content="late", latency_seconds=30)
OK = Reply(content="all is well")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ADD = ToolSchema(
    name="add",
    description="Adds.",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
)


class Verdict(BaseModel):
    approved: bool


async def whole(model: ChatCompletionClient, messages: Any = ASK, **options: Any) -> CreateResult:
    return await model.create(messages, **options)


async def streamed(
    model: ChatCompletionClient, messages: Any = ASK, **options: Any
) -> CreateResult:
    *_, last = [piece async for piece in model.create_stream(messages, **options)]
    assert isinstance(last, CreateResult)
    return last


both = pytest.mark.parametrize("ask", [whole, streamed])


async def failure_of(ask: Ask, model: ChatCompletionClient) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await ask(model)
    return raised.value


@both
async def test_text_with_its_usage(service: str, ask: Ask) -> None:
    reply = Reply(content="Three of them.", prompt_tokens=9, completion_tokens=4)
    async with scene(service, reply) as (server, model, _):
        result = await ask(model)
    assert (result.content, result.finish_reason) == ("Three of them.", "stop")
    assert result.usage == RequestUsage(prompt_tokens=9, completion_tokens=4)
    assert server.requests[0]["path"].startswith(SERVICES[service].path)


@both
async def test_tool_calls_and_the_turn_with_their_results(service: str, ask: Ask) -> None:
    calls = [ToolCall(name="add", arguments={"a": number}) for number in (1, 2)]
    async with scene(service, Reply(tool_calls=calls), OK) as (server, model, _):
        result = await ask(model, tools=[ADD])
        assert isinstance(result.content, list)
        assert [json.loads(call.arguments) for call in result.content] == [{"a": 1}, {"a": 2}]
        assert result.finish_reason == "function_calls"
        turns = [
            AssistantMessage(content=result.content, source="clerk"),
            FunctionExecutionResultMessage(
                content=[
                    FunctionExecutionResult(content=f"sum {n}", name=call.name, call_id=call.id)
                    for n, call in enumerate(result.content)
                ]
            ),
        ]
        assert (await ask(model, [*ASK, *turns], tools=[ADD])).content == "all is well"
    sent = json.dumps(server.requests[1]["body"])
    assert all(sent.count(call.id) == 2 for call in result.content)
    assert sent.index("sum 0") < sent.index("sum 1")


@both
async def test_a_tool_may_be_given_in_place_of_its_schema(service: str, ask: Ask) -> None:
    class Tool:
        schema = ADD

    called = Reply(tool_calls=[ToolCall(name="add", arguments={"a": 1})])
    async with scene(service, called) as (server, model, _):
        await ask(model, tools=[Tool()], tool_choice=Tool())
    sent = json.dumps(server.requests[0]["body"])
    assert "Adds." in sent
    assert SERVICES[service].forced in sent


@both
async def test_structured_output(service: str, ask: Ask) -> None:
    async with scene(service, Reply(content='{"approved": true}')) as (server, model, _):
        result = await ask(model, json_output=Verdict)
    assert Verdict.model_validate_json(str(result.content)) == Verdict(approved=True)
    assert result.finish_reason == "stop"
    assert "approved" in json.dumps(server.requests[0]["body"])


@both
async def test_an_image_is_sent_with_its_text(service: str, ask: Ask) -> None:
    image = Image.from_base64(base64.b64encode(PNG).decode())
    asked = [UserMessage(content=["What is it?", image], source="user")]
    async with scene(service, OK) as (server, model, _):
        await ask(model, asked)
    sent = json.dumps(server.requests[0]["body"])
    assert base64.b64encode(PNG).decode() in sent
    assert "png" in sent or not SERVICES[service].names_media_types
    assert sent.index("What is it?") < sent.index(base64.b64encode(PNG).decode())


@both
@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
async def test_why_the_model_stopped(service: str, ask: Ask, reason: FinishReason) -> None:
    assert reason in get_args(FinishReason)
    names = SERVICES[service].stops[reason]
    replies = [Reply(content="Thr", finish_reason=name) for name in names]
    async with scene(service, *replies) as (_, model, _):
        results = [await ask(model) for _ in names]
    assert [(result.content, result.finish_reason) for result in results] == [
        ("Thr", reason)
    ] * len(names)


@both
async def test_a_conversation_that_is_too_long(service: str, ask: Ask) -> None:
    async with scene(service, SERVICES[service].too_long) as (server, model, _):
        error = await failure_of(ask, model)
    assert error.data["provider_code"] == "context_length_exceeded"
    assert (error.status_code, error.retryable, server.calls) == (400, False, 1)


@both
async def test_a_limited_service_is_asked_again_when_it_says(service: str, ask: Ask) -> None:
    limited = Reply(status=429, headers={"retry-after": "3"})
    soon = Reply(status=429, headers={"retry-after": "1", "retry-after-ms": "20"})
    async with scene(service, limited, soon, OK) as (server, model, clock):
        assert (await ask(model)).content == "all is well"
    assert (clock.sleeps, server.calls) == ([3, 0.02], 3)
    async with scene(service, Reply(status=429, headers={"retry-after": "3600"})) as place:
        error = await failure_of(ask, place.model)
    assert (error.status_code, error.data["retry_after"]) == (429, 3600)
    assert (place.clock.sleeps, place.server.calls) == ([], 1)


@both
@pytest.mark.parametrize("status", [429, 500, 503, 529])
async def test_attempts_are_bounded_and_counted(service: str, ask: Ask, status: int) -> None:
    replies = [Reply(status=status)] * 9
    async with scene(service, *replies, max_retries=2) as (server, model, _):
        error = await failure_of(ask, model)
    assert (error.status_code, error.data["attempts"], server.calls) == (status, 3, 3)


@both
@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_refusal_is_not_repeated(service: str, ask: Ask, status: int) -> None:
    async with scene(service, Reply(status=status, content="words of it")) as (server, model, _):
        error = await failure_of(ask, model)
    assert (error.status_code, error.retryable, server.calls) == (status, False, 1)
    assert "words of it" in error.message
    assert error.data["provider"].startswith(SERVICES[service].provider)


@both
async def test_a_secret_that_the_service_repeats_is_not_in_the_error(
    service: str, ask: Ask
) -> None:
    words = f"no {KEY}, {KEY_ID}, {TOKEN}"
    async with scene(service, Reply(status=403, content=words)) as (server, model, _):
        error = await failure_of(ask, model)
    sent = json.dumps(server.requests[0]["headers"])
    assert KEY in sent or (KEY_ID in sent and TOKEN in sent)
    told = json.dumps(error.as_json()) + str(error)
    own = (KEY_ID, TOKEN, SECRET) if service == "bedrock" else (KEY,)
    assert not [secret for secret in own if secret in told]


@pytest.mark.parametrize("fault", ["drop", "cut", "malformed", "not_json"])
async def test_an_answer_that_breaks_off_is_asked_for_again(service: str, fault: Fault) -> None:
    faulty = Reply(fault=fault)
    async with scene(service, faulty, faulty, OK) as (server, model, clock):
        assert (await model.create(ASK)).content == "all is well"
    assert server.calls == 3
    assert clock.sleeps == [0.5, 1]


@pytest.mark.parametrize("fault", ["drop", "cut", "end_early", "malformed", "error_event"])
async def test_a_stream_that_breaks_off_before_any_text_is_asked_for_again(
    service: str, fault: Fault
) -> None:
    faulty = Reply(content="x y z", fault=fault, after=1)
    async with scene(service, faulty, OK) as (server, model, _):
        *words, last = [piece async for piece in model.create_stream(ASK)]
    assert "".join(map(str, words)) == "all is well"
    assert isinstance(last, CreateResult) and last.content == "all is well"
    assert server.calls == 2


@pytest.mark.parametrize("fault", ["cut", "end_early", "malformed", "error_event"])
async def test_a_stream_that_breaks_off_after_text_is_an_error_and_never_a_short_answer(
    service: str, fault: Fault
) -> None:
    pieces: list[str | CreateResult] = []
    async with scene(service, Reply(content="x y z", fault=fault, after=3), OK) as place:
        with pytest.raises(ModelError) as raised:
            async for piece in place.model.create_stream(ASK):
                pieces.append(piece)  # noqa: PERF401 - they are there when it raises
    assert raised.value.retryable
    assert pieces == ["x ", "y "]
    assert place.server.calls == 1


@pytest.mark.parametrize("how", ["token", "token of another thread", "task"])
@pytest.mark.parametrize("kind", ["create", "stream", "stream after text"])
async def test_cancelling_closes_the_connection(service: str, how: str, kind: str) -> None:
    hangs = kind == "stream after text"
    reply = Reply(content="x y", fault="hang", after=2) if hangs else SLOW
    async with scene(service, reply) as place:
        token = CancellationToken()
        task = await _under_way(place, kind, token)
        if how == "task":
            task.cancel()
        elif how == "token":
            token.cancel()
        else:
            threading.Thread(target=token.cancel).start()
        with pytest.raises(asyncio.CancelledError):
            await task
        await place.server.until(abandoned=1)
        assert place.server.in_flight == 0


async def _under_way(place: Scene, kind: str, token: CancellationToken) -> "asyncio.Task[None]":
    """A call that the server has received, and whose first text has come if it gives any."""
    text = asyncio.Event()

    async def call() -> None:
        if kind == "create":
            await place.model.create(ASK, cancellation_token=token)
        async for _ in place.model.create_stream(ASK, cancellation_token=token):
            text.set()

    task = asyncio.create_task(call())
    await place.server.until(calls=1)
    if kind == "stream after text":
        await text.wait()
    return task


@both
@pytest.mark.parametrize("reply", [SLOW, Reply(content="x y", fault="hang", after=1)])
async def test_silence_ends_with_the_timeout(service: str, ask: Ask, reply: Reply) -> None:
    options: dict[str, Any] = {"timeout": timedelta(seconds=0.2), "max_retries": 0}
    async with scene(service, reply, **options) as (server, model, _):
        error = await failure_of(ask, model)
        assert error.retryable and error.data["timed_out"]
        await server.until(abandoned=1)


async def test_a_stream_that_is_left_early_closes_its_request(service: str) -> None:
    async with scene(service, Reply(content="x y", fault="hang", after=2)) as (server, model, _):
        stream = model.create_stream(ASK)
        assert await anext(stream) == "x "
        await stream.aclose()
        await server.until(abandoned=1)
    gc.collect()


async def test_calls_at_the_same_time_do_not_wait_for_each_other(service: str) -> None:
    async with scene(service, *[SLOW] * 20) as (server, model, _):
        calls = [asyncio.ensure_future(model.create(ASK)) for _ in range(20)]
        await server.until(in_flight=20)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


@both
async def test_a_service_that_is_not_there(service: str, ask: Ask) -> None:
    async with scene(service) as (server, model, _):
        address = server.address
    model = SERVICES[service].connect(address, max_retries=0)
    error = await failure_of(ask, model)
    await model.close()
    assert error.retryable
    assert address.removeprefix("http://") in error.message
