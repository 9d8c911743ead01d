"""What only the OpenAI client does when the server or the caller does not behave.

What every service has in common is in `tests/contract/models/test_every_service.py`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer

from teamrun.core.call import CallInfo, current_call
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError
from teamrun.messages.llm import CreateResult, RequestUsage, UserMessage
from teamrun.models import (
    ChatCompletionClient,
    OpenAIChatCompletionClient,
    RetryPolicy,
)
from teamrun.testing import FakeClock

pytestmark = pytest.mark.integration

ASK = [UserMessage(content="Hi", source="user")]
SLOW = Reply(content="late", latency_seconds=30)
OK = Reply(content="all is well")


class Scene(NamedTuple):
    server: ModelServer
    model: OpenAIChatCompletionClient
    clock: FakeClock


@asynccontextmanager
async def scene(*queue: Reply, **options: Any) -> AsyncGenerator[Scene]:
    clock = FakeClock()
    async with ModelServer(Plan(queue=list(queue))) as server:
        defaults: dict[str, Any] = {"retry": RetryPolicy(jitter=0), "clock": clock}
        model = OpenAIChatCompletionClient(
            "gpt-4o", api_key="k", base_url=server.base_url, **{**defaults, **options}
        )
        try:
            yield Scene(server, model, clock)
        finally:
            await model.close()


async def streamed(model: ChatCompletionClient, **options: Any) -> list[str | CreateResult]:
    return [piece async for piece in model.create_stream(ASK, **options)]


async def test_a_stream_whose_answer_is_whole_is_not_paid_for_again_for_its_usage() -> None:
    # Chunks: the role, one word, the finish reason; then the connection breaks.
    async with scene(Reply(content="x", fault="cut", after=3)) as (server, model, _):
        *words, last = await streamed(model)
    assert words == ["x"]
    assert isinstance(last, CreateResult)
    assert (last.content, last.usage) == ("x", RequestUsage(0, 0))
    assert server.calls == 1


@pytest.mark.parametrize("filler", [b": keepalive\n\n", b"\n"])
async def test_comments_and_blank_lines_are_no_chunks(filler: bytes) -> None:
    left = asyncio.Event()

    async def keep_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                writer.write(filler)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        left.set()

    async with await asyncio.start_server(keep_open, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        model = OpenAIChatCompletionClient(
            "gpt-4o", api_key="k", base_url=f"http://127.0.0.1:{port}", timeout=0.3, max_retries=0
        )
        with pytest.raises(ModelError) as raised:
            async with asyncio.timeout(20):
                await streamed(model)
        assert raised.value.data["timed_out"]
        await model.close()
        await left.wait()


async def test_a_rate_limited_server_is_retried_after_its_delay_and_within_the_limit() -> None:
    def limited(**headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(status=429, headers=sent)

    waits = (limited(retry_after_ms="20"), limited(retry_after="3"))
    async with scene(*waits, OK) as (_, model, clock):
        assert (await model.create(ASK)).content == "all is well"
    assert clock.sleeps == [0.02, 3]
    async with scene(limited(retry_after="3600")) as (server, model, clock):
        with pytest.raises(ModelError) as raised:
            await model.create(ASK)
    assert (raised.value.status_code, raised.value.data["retry_after"]) == (429, 3600)
    assert (clock.sleeps, server.calls) == ([], 1)
    async with scene(limited(x_should_retry="false")) as (server, model, _):
        with pytest.raises(ModelError):
            await model.create(ASK)
    assert server.calls == 1


async def test_cancelling_ends_the_wait_for_a_retry() -> None:
    class Patient:
        """Never wakes."""

        def __init__(self) -> None:
            self.asleep = asyncio.Event()
            self.inner = FakeClock()
            self.now = self.inner.now

        async def sleep(self, seconds: float) -> None:
            self.asleep.set()
            await asyncio.get_running_loop().create_future()

    clock, token = Patient(), CancellationToken()
    async with scene(Reply(status=503), clock=clock) as (_, model, _):
        task = asyncio.ensure_future(model.create(ASK, cancellation_token=token))
        await clock.asleep.wait()
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_answer_that_drips_ends_with_the_timeout() -> None:
    drip = Reply(content="x" * 1000, fault="drip", gap_seconds=0.02)
    timeout = timedelta(seconds=0.2)
    async with scene(drip, timeout=timeout, max_retries=0) as (server, model, _):
        with pytest.raises(ModelError) as raised:
            await model.create(ASK)
        assert raised.value.data["timed_out"]
        await server.until(abandoned=1)


def test_a_client_on_two_event_loops_keeps_their_connections_apart() -> None:
    answers: list[object] = []

    async def body() -> None:
        async with scene(*[OK] * 4) as (server, model, _):

            async def calls() -> None:
                answers.append((await model.create(ASK)).content)
                answers.append((await model.create(ASK)).content)

            def elsewhere() -> None:
                async def there() -> None:
                    await calls()
                    await model.close()

                asyncio.run(there())

            await calls()
            await asyncio.to_thread(elsewhere)
            assert server.connections == 2

    asyncio.run(body())
    assert answers == ["all is well"] * 4


async def test_a_call_of_a_run_carries_the_same_key_at_every_attempt_and_no_other_does() -> None:
    async def call(model: ChatCompletionClient, call_id: str) -> None:
        current_call.set(CallInfo(call_id, "team/änn", 0, "run_1"))
        await model.create(ASK)

    async with scene(Reply(status=503), OK, OK, OK) as (server, model, _):
        await asyncio.gather(call(model, "team/änn/model:0"))
        await asyncio.gather(call(model, "team/änn/model:1"))
        await model.create(ASK)
    keys = [request["headers"].get("idempotency-key") for request in server.requests]
    assert keys[0] is not None and keys[0] == keys[1] != keys[2]
    assert keys[3] is None


async def test_request_and_usage() -> None:
    reply = Reply(
        content="x", prompt_tokens=9, completion_tokens=4, cached_tokens=5, reasoning_tokens=2
    )
    async with scene(
        reply,
        reply,
        organization="org",
        default_headers={"x-team": "a"},
        temperature=0.1,
        stream_options={"include_obfuscation": False},
        extra_body={"top_k": 3},
    ) as (server, model, _):
        await model.create(ASK, extra_create_args={"seed": 7})
        await streamed(model)
        used = model.actual_usage()
    assert used == RequestUsage(18, 8, cached_tokens=10, reasoning_tokens=4)
    created, stream = (request["body"] for request in server.requests)
    assert created["messages"] == [{"role": "user", "content": "Hi", "name": "user"}]
    assert (created["model"], created["temperature"], created["seed"]) == ("gpt-4o", 0.1, 7)
    assert (created["top_k"], created["stream"]) == (3, False)
    assert "stream_options" not in created
    assert stream["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    headers = server.requests[0]["headers"]
    assert headers["authorization"] == "Bearer k"
    assert (headers["openai-organization"], headers["x-team"]) == ("org", "a")
    assert headers["x-stainless-retry-count"] == "0"


async def test_a_server_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ModelServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_MODEL", "qwen3:8b")
        model = OpenAIChatCompletionClient()
        assert (await model.create(ASK)).content == "You said: Hi"
        await model.close()
    assert server.requests[0]["body"]["model"] == "qwen3:8b"
    assert model.model_info["family"] == "unknown"


async def test_a_builder_makes_the_same_client() -> None:
    async with ModelServer() as server:
        model = (
            OpenAIChatCompletionClient.builder()
            .with_model("gpt-5")
            .with_api_key("k")
            .with_base_url(server.base_url)
            .with_temperature(0.5)
            .with_max_tokens(9)
            .build()
        )
        await model.create(ASK)
        await model.close()
    sent = server.requests[0]["body"]
    assert (sent["model"], sent["temperature"]) == ("gpt-5", 0.5)
    assert sent["max_completion_tokens"] == 9
