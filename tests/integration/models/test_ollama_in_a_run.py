"""Runs whose model is on a server of Ollama: crashes, replays, retries, errors."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from tests.support.model_replies import Plan, Reply, ToolCall
from tests.support.model_server import ModelServer
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.models import OllamaChatCompletionClient, RetryPolicy
from teamrun.runs.service.resources import Run
from teamrun.testing import FakeClock
from teamrun.tools import FunctionTool

pytestmark = pytest.mark.integration

CALLS = Reply(
    reasoning="I must note it.",
    tool_calls=[ToolCall(name="note", arguments={"text": "x"})],
    prompt_tokens=100,
    completion_tokens=20,
)
DONE = Reply(content="so it is DONE", prompt_tokens=130, completion_tokens=5)


def note(text: str) -> str:
    """Note something."""
    return f"noted {text}"


class Site(NamedTuple):
    server: ModelServer
    cluster: Cluster


@asynccontextmanager
async def site(*queue: Reply, **agent: Any) -> AsyncGenerator[Site]:
    async with ModelServer(Plan(queue=list(queue))) as server:
        model = OllamaChatCompletionClient(
            "qwen3:8b", host=server.address, retry=RetryPolicy(jitter=0), clock=FakeClock()
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


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_crash_costs_the_call_in_flight_and_neither_usage_nor_thought(
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
    [turn] = [part for part in again["body"]["messages"] if part["role"] == "assistant"]
    assert turn["thinking"] == "I must note it."
    assert turn["tool_calls"][0]["function"]["arguments"] == {"text": "x"}
    assert (run.usage.input_tokens, run.usage.output_tokens) == (230, 25)
    assert run.usage.cost_usd is None  # a server of one's own has no price


async def test_a_server_that_is_busy_delays_the_run_and_the_retry_is_an_event() -> None:
    busy = Reply(status=503, content="server busy", headers={"retry-after": "2"})
    async with site(busy, DONE, model_client_stream=True) as (_, cluster):
        ref = await cluster.submit()
        await cluster.worker().execute(ref)
        run = await cluster.service.get(TENANT, ref.run_id)
        events = [event for entry in await cluster.entries(ref) for event in entry.events]
    assert run.status == "completed"
    [retried] = [event for event in events if event.type == "model.call.retried"]
    assert (retried.data["attempt"], retried.data["delay_seconds"]) == (1, 2.0)


async def test_a_stream_that_breaks_off_after_text_does_not_fail_the_run() -> None:
    broken = Reply(content="a long answer that never ends", fault="error_event", after=4)
    async with site(broken, DONE, model_client_stream=True) as (server, cluster):
        run = await executed(cluster)
    assert run.status == "completed" and run.output is not None
    assert (run.output.text, server.calls) == ("so it is DONE", 2)


async def test_a_model_that_is_not_there_fails_the_run_with_what_to_do() -> None:
    async with site(Reply(status=404, content="model 'qwen3:8b' not found")) as (server, cluster):
        run = await executed(cluster)
    assert run.status == "failed" and run.error is not None
    assert "ollama pull qwen3:8b" in run.error.message
    assert server.calls == 1
