"""Runs whose model is Anthropic's: crashes, replays, retries, and teams of two providers."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from tests.contract.models.services import KEY, SERVICES
from tests.support.bedrock import use_keys
from tests.support.messages_wire import SIGNATURE
from tests.support.model_replies import Plan, Reply, ToolCall
from tests.support.model_server import ModelServer
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.models import ChatCompletionClient, RetryPolicy
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
async def site(
    team: dict[str, Any], *queue: Reply, models: dict[str, str] | None = None
) -> AsyncGenerator[Site]:
    """A cluster with models of these services, by their names; all are on one server."""
    async with ModelServer(Plan(queue=list(queue))) as server:
        clients: dict[str, ChatCompletionClient] = {
            name: SERVICES[service].connect(
                server.address, retry=RetryPolicy(jitter=0), clock=FakeClock()
            )
            for name, service in (models or {"m": "anthropic"}).items()
        }
        registry = Registry.of(teams={"team": team}, models=clients, tools=[FunctionTool(note)])
        cluster = Cluster({}, team=team, registry=registry)
        try:
            yield Site(server, cluster)
        finally:
            await cluster.close()
            for client in clients.values():
                await client.close()


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
THOUGHT = {"type": "thinking", "thinking": "I must note it.", "signature": SIGNATURE}


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_crash_costs_the_call_in_flight_and_neither_usage_nor_signature(
    streamed: bool,
) -> None:
    hangs = Reply(fault="hang", after=1)
    team = solo("note", model_client_stream=streamed, reflect_on_tool_use=True)
    async with site(team, CALLS, hangs, DONE) as (server, cluster):
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
    assert again["headers"]["idempotency-key"] == lost["headers"]["idempotency-key"]
    thought, call = again["body"]["messages"][1]["content"]
    assert (thought, call["input"]) == (THOUGHT, {"text": "x"})
    assert (run.usage.input_tokens, run.usage.output_tokens) == (230, 25)
    assert (run.usage.cached_tokens, run.usage.cost_usd) == (60, Decimal("0.000602"))


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_overloaded_model_delays_the_run_and_the_retry_is_an_event(
    streamed: bool,
) -> None:
    overloaded = Reply(status=529, headers={"retry-after": "2"})
    team = solo(model_client_stream=streamed)
    async with site(team, overloaded, DONE) as (_, cluster):
        ref = await cluster.submit()
        await cluster.worker().execute(ref)
        run = await cluster.service.get(TENANT, ref.run_id)
        events = [event for entry in await cluster.entries(ref) for event in entry.events]
    assert run.status == "completed"
    [retried] = [event for event in events if event.type == "model.call.retried"]
    assert (retried.data["attempt"], retried.data["delay_seconds"]) == (1, 2.0)
    assert retried.data["error"]["status_code"] == 529


@pytest.mark.parametrize("fault", ["cut", "malformed", "error_event", "end_early"])
async def test_a_stream_that_breaks_off_after_text_does_not_fail_the_run(fault: Any) -> None:
    broken = Reply(content="a long answer that never comes to its end", fault=fault, after=4)
    async with site(solo(model_client_stream=True), broken, DONE) as (server, cluster):
        run = await executed(cluster)
    assert run.status == "completed" and run.output is not None
    assert run.output.text == "so it is DONE"
    assert server.calls == 2


async def test_a_refused_call_is_the_error_of_the_run_and_names_no_key() -> None:
    refused = Reply(status=401, content=f"invalid key {KEY}")
    async with site(solo(), refused) as (_, cluster):
        run = await executed(cluster)
    assert run.status == "failed" and run.error is not None
    assert "invalid key [redacted]" in run.error.message


@pytest.mark.parametrize("other", ["openai", "bedrock"])
async def test_each_provider_of_a_team_gets_its_own_thoughts_back_and_no_others(
    other: str,
) -> None:
    agents = [
        {"name": name, "model": name, "tools": ["note"], "reflect_on_tool_use": True}
        for name in ("claude", "second")
    ]
    team = {"type": "round_robin_group_chat", "agents": agents, "max_turns": 4}
    calls = [ToolCall(name="note", arguments={"text": "x"})]
    replies = [
        Reply(reasoning=f"thought {n} of {who}", tool_calls=calls) if kind else Reply(content=who)
        for n in (1, 2)
        for who in ("claude", "second")
        for kind in (True, False)
    ]
    services = {"claude": "anthropic", "second": other}
    async with site(team, *replies, models=services) as (server, cluster):
        run = await executed(cluster)
        requests = server.requests
    assert run.status == "completed"
    assert len(requests) == 8
    own = [json.dumps(r["body"]) for r in requests if r["path"].endswith("/v1/messages")]
    others = [json.dumps(r["body"]) for r in requests if not r["path"].endswith("/v1/messages")]
    assert [text.count(SIGNATURE) for text in own] == [0, 1, 1, 2]
    assert [text.count("of claude") for text in own] == [0, 1, 1, 2]
    assert not [text for text in own if "of second" in text]
    assert not [text for text in others if SIGNATURE in text or "of claude" in text]
    assert "of second" in others[-1]
