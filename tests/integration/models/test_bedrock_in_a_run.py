"""Runs whose model is on Bedrock: crashes, replays, retries, forks, secrets."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from tests.support.bedrock import CLAUDE, KEY_ID, SECRET, TOKEN, use_keys
from tests.support.model_replies import Plan, Reply, ToolCall
from tests.support.model_server import ModelServer
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.models import BedrockChatCompletionClient, RetryPolicy
from teamrun.runs.service.resources import Run
from teamrun.testing import FakeClock
from teamrun.tools import FunctionTool

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch)


def note(text: str) -> str:
    """Note something."""
    return f"noted {text}"


class Site(NamedTuple):
    server: ModelServer
    cluster: Cluster


@asynccontextmanager
async def site(*queue: Reply, **agent: Any) -> AsyncGenerator[Site]:
    async with ModelServer(Plan(queue=list(queue))) as server:
        model = BedrockChatCompletionClient(
            CLAUDE, base_url=server.address, retry=RetryPolicy(jitter=0), clock=FakeClock()
        )
        team = solo("note", **agent)
        tools = [FunctionTool(note)]
        registry = Registry.of(teams={"team": team}, models={"m": model}, tools=tools)
        cluster = Cluster({}, team=team, registry=registry)
        try:
            yield Site(server, cluster)
        finally:
            await cluster.close()
            await model.close()


async def executed(cluster: Cluster) -> Run:
    ref = await cluster.submit()
    await cluster.worker().execute(ref)
    return await cluster.service.get(TENANT, ref.run_id)


CALLS = Reply(
    reasoning="I must note it.",
    tool_calls=[ToolCall(name="note", arguments={"text": "x"})],
    prompt_tokens=100,
    completion_tokens=20,
    cached_tokens=60,
)
DONE = Reply(content="so it is DONE", prompt_tokens=130, completion_tokens=5)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_crash_costs_the_call_in_flight_and_neither_usage_nor_signature(
    streamed: bool,
) -> None:
    hangs = Reply(fault="hang", after=1)
    agent = {"model_client_stream": streamed, "reflect_on_tool_use": True}
    async with site(CALLS, hangs, DONE, **agent) as (server, cluster):
        ref = await cluster.submit()
        async with cluster.working(ref):
            await server.until(calls=2)
        await server.until(abandoned=1)
        cluster.clock.shift += cluster.lease * 2
        await cluster.worker("w2").execute(ref)
        run = await cluster.service.get(TENANT, ref.run_id)
        lost, again = server.requests[1:]
    assert run.status == "completed" and run.output is not None
    assert run.output.text == "so it is DONE"
    assert again["body"] == lost["body"]  # the first answer comes from the log
    [reasoning, call] = again["body"]["messages"][1]["content"]
    signed = {"text": "I must note it.", "signature": "c2ln"}
    assert reasoning == {"reasoningContent": {"reasoningText": signed}}
    assert call["toolUse"]["input"] == {"text": "x"}
    assert (run.usage.input_tokens, run.usage.output_tokens) == (230, 25)
    assert (run.usage.cached_tokens, run.usage.cost_usd) == (60, Decimal("0.000903"))


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_throttled_model_delays_the_run_and_the_retry_is_an_event(streamed: bool) -> None:
    limited = Reply(status=429, headers={"retry-after": "2"})
    async with site(limited, DONE, model_client_stream=streamed) as (_, cluster):
        ref = await cluster.submit()
        await cluster.worker().execute(ref)
        run = await cluster.service.get(TENANT, ref.run_id)
        events = [event for entry in await cluster.entries(ref) for event in entry.events]
    assert run.status == "completed"
    [retried] = [event for event in events if event.type == "model.call.retried"]
    assert (retried.data["attempt"], retried.data["delay_seconds"]) == (1, 2.0)
    assert retried.data["error"]["status_code"] == 429


@pytest.mark.parametrize("fault", ["cut", "malformed", "error_event", "end_early"])
async def test_a_stream_that_breaks_off_after_text_does_not_fail_the_run(fault: Any) -> None:
    broken = Reply(content="a long answer that never comes to its end", fault=fault, after=4)
    async with site(broken, DONE, model_client_stream=True) as (server, cluster):
        run = await executed(cluster)
    assert run.status == "completed" and run.output is not None
    assert run.output.text == "so it is DONE"
    assert server.calls == 2


async def test_an_error_of_the_service_fails_the_run_with_its_words() -> None:
    wrong = Reply(status=400, content="The provided model identifier is invalid.")
    async with site(wrong) as (server, cluster):
        run = await executed(cluster)
    assert run.status == "failed" and run.error is not None
    assert "model identifier is invalid" in run.error.message
    assert server.calls == 1


async def test_no_credential_is_in_what_a_run_writes() -> None:
    words = f"The security token {TOKEN} of {KEY_ID} is invalid"
    refused = Reply(status=403, error_code="UnrecognizedClientException", content=words)
    async with site(CALLS, refused) as (server, cluster):
        run = await executed(cluster)
        assert run.status == "failed"
        objects = [await cluster.store.get(key) for key in await cluster.store.list("")]
        written = b"".join(objects)
        sent = json.dumps(server.requests)
    assert TOKEN in sent and SECRET not in sent
    assert b"security token" in written
    assert not any(secret.encode() in written for secret in (KEY_ID, SECRET, TOKEN))
