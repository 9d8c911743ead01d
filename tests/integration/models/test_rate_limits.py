"""Profiles whose server limits its calls, over HTTP in one process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer
from tests.support.runs import TENANT, Cluster, solo
from tests.support.services import valkey

from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.core.cancellation import CancellationToken
from teamrun.core.exposition import sample
from teamrun.errors import ModelError
from teamrun.live.redis import RedisLive
from teamrun.messages.llm import CreateResult, UserMessage
from teamrun.models import on_retry
from teamrun.models.base import ChatCompletionClient

pytestmark = pytest.mark.integration

ASK = [UserMessage(content="Hi", source="user")]
BOUND_S = 30
_FILE = """\
version: 1
models:
  main: {{type: openai, model: gpt-4o, api_key: k, base_url: "{base_url}", max_retries: 0{more}}}
"""
AT_ONCE = {"retry-after-ms": "20"}


def registry_of(folder: Path, server: ModelServer, options: str = "") -> Registry:
    path = folder / "teamrun.yaml"
    text = _FILE.format(base_url=server.base_url, more=f", {options}" if options else "")
    path.write_text(text, encoding="utf-8")
    return load_registry(path, environ={})


@asynccontextmanager
async def profile(
    folder: Path, server: ModelServer, options: str = ""
) -> AsyncGenerator[tuple[ChatCompletionClient, Registry]]:
    """The client of a profile with these options."""
    async with server:
        registry = registry_of(folder, server, options)
        try:
            async with asyncio.timeout(BOUND_S):
                yield registry.model_client("main"), registry
        finally:
            await registry.close()


async def create(model: ChatCompletionClient) -> CreateResult:
    return await model.create(ASK)


async def stream(model: ChatCompletionClient) -> CreateResult:
    *_, last = [piece async for piece in model.create_stream(ASK)]
    assert isinstance(last, CreateResult)
    return last


both = pytest.mark.parametrize("call", [create, stream])


@both
async def test_a_profile_has_no_more_calls_in_flight_than_it_may(tmp_path: Path, call: Any) -> None:
    server = ModelServer(capacity=3, latency_seconds=0.01)
    async with profile(tmp_path, server, "max_concurrent_calls: 3") as (model, _):
        await asyncio.gather(*(call(model) for _ in range(40)))

    assert (server.calls, server.peak, server.rejected) == (40, 3, 0)


@both
async def test_a_rejection_costs_no_attempt_and_is_told(tmp_path: Path, call: Any) -> None:
    limited = Reply(status=429, headers=AT_ONCE)
    told: list[tuple[int, timedelta, int | None]] = []
    async with profile(tmp_path, ModelServer(Plan(queue=[limited] * 3))) as (model, registry):
        on_retry.set(lambda count, wait, error: told.append((count, wait, error.status_code)))
        result = await call(model)
        lines = [*registry.pacing.metric_lines()]

    pause = timedelta(seconds=0.02)
    assert result.content == "You said: Hi"
    assert told == [(count, pause, 429) for count in (1, 2, 3)]
    assert sample("teamrun_model_calls_rejected_total", 3, {"profile": "main"}) in lines
    assert sample("teamrun_model_calls_in_flight", 0, {"profile": "main"}) in lines


async def test_a_server_with_an_unknown_limit_fails_no_call_of_a_burst(tmp_path: Path) -> None:
    server = ModelServer(capacity=4, latency_seconds=0.05, retry_after="0.1")
    async with profile(tmp_path, server) as (model, _):
        await asyncio.gather(*(create(model) for _ in range(100)))

    assert server.calls == 100 + server.rejected
    assert 0 < server.rejected < 15


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ("rate_limit_timeout: 0", AT_ONCE),
        ("rate_limit_timeout: 60", {"retry-after": "61"}),
        ("", {"retry-after": "901"}),
        ("", {"retry-after": "1", "x-should-retry": "false"}),
    ],
)
async def test_a_rejection_that_is_not_waited_for_is_a_failure_and_stops_no_other_call(
    tmp_path: Path, options: str, headers: dict[str, str]
) -> None:
    limited = Reply(status=429, headers=headers)
    async with profile(tmp_path, ModelServer(Plan(queue=[limited])), options) as (model, _):
        with pytest.raises(ModelError) as raised:
            await create(model)
        assert (await create(model)).content == "You said: Hi"

    assert raised.value.status_code == 429


async def test_rejections_for_longer_than_the_time_limit_are_a_failure(tmp_path: Path) -> None:
    limited = Reply(status=429, headers={"retry-after-ms": "60"})
    server = ModelServer(Plan(default=limited))
    async with profile(tmp_path, server, "rate_limit_timeout: 0.1") as (model, _):
        with pytest.raises(ModelError) as raised:
            await create(model)

    assert raised.value.status_code == 429
    assert server.calls == 2


async def test_other_failures_are_failed_attempts(tmp_path: Path) -> None:
    async with profile(tmp_path, ModelServer(Plan(queue=[Reply(status=503)]))) as (model, _):
        with pytest.raises(ModelError) as raised:
            await create(model)

    assert raised.value.data["attempts"] == 1


async def test_a_waiting_call_ends_at_once_when_it_is_cancelled(tmp_path: Path) -> None:
    server = ModelServer(Plan(queue=[Reply(status=429, headers={"retry-after": "600"})]))
    token = CancellationToken()
    async with profile(tmp_path, server) as (model, registry):
        call = asyncio.create_task(model.create(ASK, cancellation_token=token))
        await server.until(answered=1)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        waiting = sample("teamrun_model_calls_waiting", 0, {"profile": "main"})
        assert waiting in [*registry.pacing.metric_lines()]

    assert server.calls == 1


async def test_tokens_per_minute_are_estimated_and_then_corrected(tmp_path: Path) -> None:
    server = ModelServer(Plan(default=Reply(prompt_tokens=0, completion_tokens=0)))
    async with profile(tmp_path, server, "tokens_per_minute: 24") as (model, _):
        # Each estimate is more than the two tokens that can be used at once.
        for _ in range(5):
            await create(model)

    assert server.calls == 5


async def test_waiting_is_no_part_of_the_duration_of_a_call(tmp_path: Path) -> None:
    limited = Reply(status=429, headers={"retry-after-ms": "700"})
    plan = Plan(queue=[limited], default=Reply(content="so it is DONE"))
    async with profile(tmp_path, ModelServer(plan)) as (model, _):
        registry = Registry.of(teams={"team": solo()}, models={"m": model})
        cluster = Cluster({}, team=solo())
        worker = cluster.worker(registry=registry)
        ref = await cluster.submit()
        await worker.execute(ref)
        run = await cluster.service.get(TENANT, ref.run_id)
        events = [event for entry in await cluster.entries(ref) for event in entry.events]
        await worker.close()

    [ended] = [event for event in events if event.type == "model.call.completed"]
    assert run.usage.model_calls == 1
    assert [event.type for event in events].count("model.call.retried") == 1
    assert ended.data["duration_ms"] < 700


@pytest.mark.parametrize("options", ["", "requests_per_minute: 1"])
async def test_a_waiting_call_ends_with_the_time_of_its_run(tmp_path: Path, options: str) -> None:
    limited = Reply(status=429, headers={"retry-after": "600"})
    plan = Plan(queue=[limited], default=Reply(content="so it is DONE"))
    async with profile(tmp_path, ModelServer(plan), options) as (model, _):
        registry = Registry.of(teams={"team": solo()}, models={"m": model})
        cluster = Cluster({}, team=solo())
        worker = cluster.worker(registry=registry)
        ref = await cluster.submit(limits={"timeout_seconds": 0.3})
        await worker.execute(ref)
        run = await cluster.service.get(TENANT, ref.run_id)
        await worker.close()

    assert (run.status, run.stop_code) == ("incomplete", "timeout")


async def test_a_script_can_be_limited_too(tmp_path: Path) -> None:
    path = tmp_path / "teamrun.yaml"
    text = "models: {m: {type: scripted, script: [Hi, Ho], max_concurrent_calls: 1}}"
    path.write_text(f"version: 1\n{text}\n", encoding="utf-8")
    registry = load_registry(path, environ={})
    model = registry.model_client("m")

    answers = await asyncio.gather(create(model), create(model))

    assert [answer.content for answer in answers] == ["Hi", "Ho"]
    assert model.is_scripted
    assert "max_concurrent_calls" not in str(registry.model_use("m"))
    await registry.close()


async def test_calls_complete_when_redis_is_lost_on_the_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = ModelServer(capacity=3, latency_seconds=0.02)
    with valkey() as redis:
        async with profile(tmp_path, server, "max_concurrent_calls: 3") as (model, registry):
            live = RedisLive(redis.url)
            registry.pacing.share(live)
            calls = [asyncio.create_task(create(model)) for _ in range(60)]
            await server.until(answered=10)
            redis.kill()
            await asyncio.gather(*calls)
            await live.close()

    assert (server.calls, server.peak, server.rejected) == (60, 3, 0)
    actions = [getattr(record, "action", None) for record in caplog.records]
    assert actions == ["model.limits_not_shared"]
