"""What is Bedrock's own when the service, the network or the caller does not behave.

What all services have in common is in `tests/contract/models/test_every_service.py`.
"""

import asyncio
import json
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from tests.support.bedrock import CLAUDE, KEY_ID, SECRET, TOKEN, use_keys
from tests.support.eventstream import frame
from tests.support.model_replies import Fault, Plan, Reply
from tests.support.model_server import ModelServer

from teamrun.errors import ModelError
from teamrun.messages.llm import CreateResult, RequestUsage, UserMessage
from teamrun.models import BedrockChatCompletionClient, ChatCompletionClient, RetryPolicy
from teamrun.testing import FakeClock

pytestmark = pytest.mark.integration

ASK = [UserMessage(content="Hi", source="user")]
SLOW = Reply(content="late", latency_seconds=30)
OK = Reply(content="all is well")


@pytest.fixture(autouse=True)
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch)


class Scene(NamedTuple):
    server: ModelServer
    model: BedrockChatCompletionClient
    clock: FakeClock


@asynccontextmanager
async def scene(*queue: Reply, **options: Any) -> AsyncGenerator[Scene]:
    clock = FakeClock()
    async with ModelServer(Plan(queue=list(queue))) as server:
        defaults: dict[str, Any] = {"retry": RetryPolicy(jitter=0), "clock": clock}
        model = BedrockChatCompletionClient(
            CLAUDE, base_url=server.address, **{**defaults, **options}
        )
        try:
            yield Scene(server, model, clock)
        finally:
            await model.close()


async def streamed(model: ChatCompletionClient, **options: Any) -> list[str | CreateResult]:
    return [piece async for piece in model.create_stream(ASK, **options)]


async def failure_of(model: ChatCompletionClient, *, stream: bool) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await (streamed(model) if stream else model.create(ASK))
    return raised.value


@pytest.mark.parametrize("fault", ["cut", "end_early", "malformed", "error_event"])
async def test_a_stream_whose_answer_is_whole_is_not_paid_for_again_for_its_usage(
    fault: Fault,
) -> None:
    # Events: the role, one word, the end of the block, the stop reason; then the connection breaks.
    async with scene(Reply(content="x", fault=fault, after=4)) as (server, model, _):
        *words, last = await streamed(model)
    assert words == ["x"]
    assert isinstance(last, CreateResult)
    assert (last.content, last.usage) == ("x", RequestUsage(0, 0))
    assert server.calls == 1


EXCEPTIONS = [
    ("throttlingException", 429, True),
    ("serviceUnavailableException", 503, True),
    ("internalServerException", 500, True),
    ("modelStreamErrorException", 424, True),
    ("validationException", 400, False),
]


@pytest.mark.parametrize(("kind", "status", "retryable"), EXCEPTIONS)
async def test_an_exception_within_a_stream_is_the_same_error_as_outside(
    kind: str, status: int, retryable: bool
) -> None:
    broken = Reply(content="words of it", fault="error_event", after=1, error_code=kind)
    async with scene(broken, max_retries=0) as (_, model, _):
        error = await failure_of(model, stream=True)
    assert (error.status_code, error.retryable) == (status, retryable)
    assert error.data["provider_code"] == kind and error.data["cut"]
    assert "words of it" in error.message


ERRORS = [
    ("ThrottlingException", 429, True),
    ("ModelNotReadyException", 429, True),
    ("ServiceUnavailableException", 503, True),
    ("InternalServerException", 500, True),
    ("ModelTimeoutException", 408, True),
    ("ModelErrorException", 424, True),
    ("AnUnknownException", 502, True),
    ("ServiceQuotaExceededException", 400, False),
    ("ValidationException", 400, False),
    ("AccessDeniedException", 403, False),
    ("ResourceNotFoundException", 404, False),
    ("UnrecognizedClientException", 403, False),
    ("ExpiredTokenException", 403, False),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("kind", "status", "retryable"), ERRORS)
async def test_each_error_of_the_service_has_its_status_words_and_decision(
    kind: str, status: int, retryable: bool, stream: bool
) -> None:
    refused = Reply(status=status, error_code=kind, content="words of it")
    async with scene(refused, OK, retry=RetryPolicy(max_retries=1)) as (server, model, _):
        if retryable:
            await (streamed(model) if stream else model.create(ASK))
            assert server.calls == 2
            return
        error = await failure_of(model, stream=stream)
        assert server.calls == 1
    assert (error.status_code, error.retryable) == (status, False)
    assert (error.data["provider_code"], error.data["request_id"]) == (kind, "request-1")
    assert f"answered {status}: words of it" in error.message


async def test_a_model_that_needs_an_inference_profile_says_so() -> None:
    words = "Invocation of model ID x with on-demand throughput isn't supported."
    async with scene(Reply(status=400, content=words)) as (_, model, _):
        error = await failure_of(model, stream=True)
    assert "inference profile" in error.message


async def test_a_daily_quota_is_not_waited_for() -> None:
    words = "Too many tokens per day, please wait before trying again."
    async with scene(Reply(status=429, content=words), OK) as (server, model, _):
        assert not (await failure_of(model, stream=False)).retryable
    assert server.calls == 1


async def test_a_cancelled_call_does_not_close_the_connection_of_the_next() -> None:
    async with scene(OK, SLOW, OK) as (server, model, _):
        await model.create(ASK)
        task = asyncio.ensure_future(model.create(ASK))
        await server.until(calls=2)
        task.cancel()
        assert (await model.create(ASK)).content == "all is well"
        await server.until(abandoned=1)
    assert server.connections == 2


async def test_an_answer_that_drips_ends_with_the_timeout() -> None:
    drip = Reply(content="x" * 1000, fault="drip", gap_seconds=0.02)
    timeout = timedelta(seconds=0.2)
    async with scene(drip, timeout=timeout, max_retries=0) as (server, model, _):
        assert (await failure_of(model, stream=False)).data["timed_out"]
        await server.until(abandoned=1)


async def test_calls_at_the_same_time_do_not_wait_for_each_other() -> None:
    async with scene(*[SLOW] * 200) as (server, model, _):
        tasks = [asyncio.ensure_future(model.create(ASK)) for _ in range(200)]
        await server.until(in_flight=200)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.until(abandoned=200)


async def test_clients_for_one_place_share_connections_and_a_closed_one_works_again() -> None:
    async with scene(*[OK] * 4) as (server, model, _):
        other = BedrockChatCompletionClient(CLAUDE, base_url=server.address)
        await model.create(ASK)
        await other.create(ASK)
        assert server.connections == 1
        await model.close()
        await streamed(other)
        assert server.connections == 1
        await other.close()
        await model.create(ASK)
        assert server.connections == 2


def test_a_client_works_in_two_event_loops() -> None:
    answers: list[object] = []

    async def body() -> None:
        async with scene(*[OK] * 2) as (_, model, _):

            async def call() -> None:
                answers.append((await model.create(ASK)).content)

            await call()
            await asyncio.to_thread(lambda: asyncio.run(call()))

    asyncio.run(body())
    assert answers == ["all is well"] * 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_redirect_is_not_followed(stream: bool) -> None:
    async with ModelServer(Plan(default=OK)) as other:
        location = f"{other.address}/model/x/converse?key=secret"
        moved = Reply(status=307, body="", headers={"location": location})
        async with scene(moved, max_retries=0) as (server, model, _):
            error = await failure_of(model, stream=stream)
        assert (server.calls, other.connections) == (1, 0)
    assert not error.retryable


@pytest.mark.parametrize("stream", [False, True])
async def test_no_credential_is_in_an_error(stream: bool) -> None:
    signature = (
        "The request signature we calculated does not match the signature you provided.\n\n"
        f"The Canonical String for this request should have been\n'POST\nx-amz-security-token:"
        f"{TOKEN}\n'\n\nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256'\n"
    )
    plain = f"no {KEY_ID}, nor {TOKEN}, nor {SECRET}"
    for words in (signature, plain):
        refused = Reply(status=403, error_code="InvalidSignatureException", content=words)
        async with scene(refused) as (_, model, _):
            error = await failure_of(model, stream=stream)
        for text in (json.dumps(error.as_json()), "".join(traceback.format_exception_only(error))):
            assert not any(secret in text for secret in (KEY_ID, SECRET, TOKEN))
        assert "Canonical" not in error.message
    assert "no [redacted], nor [redacted], nor [redacted]" in error.message


UNREADABLE = [
    Reply(body="null"),
    Reply(body='{"output": {"message": {"content": "x"}}, "stopReason": "end_turn"}'),
    Reply(body='{"stopReason": "end_turn", "usage": "x"}'),
    Reply(body="[" * 100_000),
    Reply(body="[]", status=400),
    Reply(body='{"message": "\\ud800"', status=400),
]


@pytest.mark.parametrize("reply", UNREADABLE)
async def test_an_answer_of_another_form_is_no_error_of_python(reply: Reply) -> None:
    async with scene(reply, max_retries=0) as (_, model, _):
        error = await failure_of(model, stream=False)
    if "answered 400" not in error.message:
        assert error.message.startswith("The model's answer cannot be read: ")
        assert error.retryable and error.data["unreadable"]
    assert "object" not in error.message and "Error" not in error.message


async def test_an_event_of_another_form_is_no_error_of_python() -> None:
    headers = {":message-type": "event", ":event-type": "contentBlockDelta"}
    body = frame({**headers, ":content-type": "application/json"}, b"[]")
    async with scene(
        Reply(body=body, media_type="application/vnd.amazon.eventstream"), max_retries=0
    ) as (_, model, _):
        error = await failure_of(model, stream=True)
    assert "cannot be read: its JSON has a form that is not known" in error.message


async def test_a_request_that_cannot_be_sent_is_no_answer() -> None:
    async with scene(max_retries=0) as (server, model, _):
        deep: Any = {}
        for _ in range(10_000):
            deep = {"a": deep}
        with pytest.raises(ModelError) as raised:
            await model.create(ASK, extra_create_args={"additional_model_request_fields": deep})
    assert server.calls == 0
    assert "answer" not in raised.value.message and not raised.value.retryable


async def test_usage_counts_what_comes_from_the_cache() -> None:
    reply = Reply(content="x", prompt_tokens=9, completion_tokens=4, cached_tokens=5)
    async with scene(reply, reply) as (_, model, _):
        await model.create(ASK)
        await streamed(model)
        assert model.actual_usage() == RequestUsage(18, 8, cached_tokens=10)
