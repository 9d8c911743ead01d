"""Odd answers of model servers as users meet them: an agent, a run, a profile of `teamrun.yaml`."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.contract.models.wires import chunk, completion, sse
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer

from teamrun.agents import AssistantAgent
from teamrun.components.team_file import load_registry
from teamrun.messages import ModelClientStreamingChunkEvent, ToolCallExecutionEvent
from teamrun.models import OpenAIChatCompletionClient

pytestmark = pytest.mark.integration


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def streamed(*chunks: dict[str, Any]) -> Reply:
    return Reply(body=sse(*chunks), media_type="text/event-stream")


@asynccontextmanager
async def talking(*queue: Reply) -> AsyncGenerator[tuple[ModelServer, OpenAIChatCompletionClient]]:
    async with ModelServer(Plan(queue=list(queue))) as server:
        model = OpenAIChatCompletionClient("gpt-4o", api_key="k", base_url=server.base_url)
        try:
            yield server, model
        finally:
            await model.close()


def call(a: int, b: int, **rest: Any) -> dict[str, Any]:
    arguments = json.dumps({"a": a, "b": b})
    part = {"index": 0, "function": {"name": "add", "arguments": arguments}, **rest}
    return chunk({"tool_calls": [part]})


async def test_an_agent_carries_out_both_calls_that_came_at_one_index_without_ids() -> None:
    answers = (
        streamed(call(2, 3), call(4, 5), chunk(finish="tool_calls")),
        streamed(chunk({"content": "5 and 9."}), chunk(finish="stop")),
    )
    async with talking(*answers) as (server, model):
        agent = AssistantAgent(
            "clerk", model, tools=[add], model_client_stream=True, reflect_on_tool_use=True
        )
        result = await agent.run(task="2+3 and 4+5?")
    [executed] = [m for m in result.messages if isinstance(m, ToolCallExecutionEvent)]
    assert [outcome.content for outcome in executed.content] == ["5", "9"]
    # The next request has a unique id for each call.
    asked, *results = server.requests[1]["body"]["messages"][-3:]
    ids = [sent["id"] for sent in asked["tool_calls"]]
    assert len(set(ids)) == 2 and all(ids)
    assert [sent["tool_call_id"] for sent in results] == ids


async def test_an_agent_that_streams_shows_the_thoughts_of_its_model() -> None:
    answer = streamed(
        chunk({"reasoning_content": "Hm."}), chunk({"content": "Three."}), chunk(finish="stop")
    )
    async with talking(answer) as (_, model):
        agent = AssistantAgent("clerk", model, model_client_stream=True)
        seen = [event async for event in agent.run_stream(task="How many?")]
    texts = [e.content for e in seen if isinstance(e, ModelClientStreamingChunkEvent)]
    assert texts == ["<think>Hm.", "</think>", "Three."]


@pytest.mark.parametrize("kind", ["openai", "azure_openai"])
async def test_a_profile_sends_its_options_and_no_stream_options(tmp_path: Path, kind: str) -> None:
    async with ModelServer(Plan(default=Reply(body=completion({"content": "Three."})))) as s:
        place: dict[str, Any] = {"base_url": s.base_url}
        if kind == "azure_openai":
            place = {"azure_endpoint": s.address, "api_version": "2024-10-21"}
        profile = {
            **place,
            "type": kind,
            "model": "gpt-4o",
            "api_key": "k",
            "include_usage": False,
            "max_completion_tokens": 64,
            "extra_body": {"top_k": 4, "guided": {"regex": "${PATTERN}"}},
        }
        path = tmp_path / "teamrun.yaml"
        path.write_text(json.dumps({"models": {"main": profile}}), encoding="utf-8")
        registry = load_registry(path, environ={"PATTERN": "a+"})
        agent = AssistantAgent("clerk", registry.model_client("main"), model_client_stream=True)
        await agent.run(task="How many?")
        await registry.close()
        [request] = s.requests
    sent = request["body"]
    assert "stream_options" not in sent and "extra_body" not in sent
    assert (sent["max_completion_tokens"], sent["top_k"]) == (64, 4)
    assert sent["guided"] == {"regex": "a+"}
