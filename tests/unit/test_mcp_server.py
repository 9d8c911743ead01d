"""Teams as the tools of an MCP server, with the SDK's client."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from teamrun.components.registry import Registry
from teamrun.components.resources import TeamSummary
from teamrun.live.memory import MemoryLive
from teamrun.mcp_server import CANCEL_RUN, GET_RUN, IDEMPOTENCY_KEY, team_server
from teamrun.runs.service.listing import RunFilter
from teamrun.runs.service.service import RunService
from teamrun.runtime import Backends, compose
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel
from teamrun.tools.function import FunctionTool

mcp = pytest.importorskip("mcp")

NEVER: dict[str, Any] = {"tool_calls": [{"name": "never", "arguments": {}}]}


def team(*tools: str, description: str | None = None, **agent: Any) -> dict[str, Any]:
    member = {"type": "assistant_agent", "name": "a", "model": "m", "tools": list(tools), **agent}
    return {
        "type": "round_robin_group_chat",
        "description": description,
        "participants": [member],
        "max_turns": 1,
    }


@asynccontextmanager
async def client_of(
    script: list[Any], is_closing: bool = False
) -> AsyncGenerator[tuple[Any, RunService, asyncio.Event]]:
    """A client, the service, and an event that is set when `never` is called."""
    called = asyncio.Event()

    async def never() -> str:
        """Wait for ever."""
        called.set()
        await asyncio.Event().wait()
        return ""

    person = {"type": "user_proxy_agent", "name": "person"}
    asking = {"type": "round_robin_group_chat", "participants": [person], "max_turns": 1}
    registry = Registry.of(
        teams={"desk": team("never", description="Sells lamps."), "asking": asking},
        models={"m": ScriptedModel({"a": script})},
        tools=[FunctionTool(never)],
    )
    runtime = compose(Backends(MemoryStore(), MemoryLive(), None), registry)
    assert runtime.executor is not None
    runtime.executor.start()

    async def teams(_: str) -> Sequence[TeamSummary]:
        return registry.teams()

    server = team_server(
        runtime.service, teams, tenant_of=lambda _: "default", is_closing=lambda: is_closing
    )
    try:
        async with mcp.Client(server) as client:
            yield client, runtime.service, called
    finally:
        await runtime.shutdown(timedelta())


@pytest.mark.behaviour("pattern.mcp")
async def test_each_team_is_a_tool() -> None:
    async with client_of([]) as (client, _, _):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert sorted(tools) == ["asking", "desk", CANCEL_RUN, GET_RUN]
        assert tools["desk"].description == "Sells lamps."
        assert tools["asking"].description == "Give a task to the team 'asking'."
        assert tools["desk"].input_schema["required"] == ["task"]
        assert tools[GET_RUN].annotations.read_only_hint


async def test_a_call_is_a_durable_run_with_progress() -> None:
    told: list[str] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append(str(message))

    async with client_of(["Four lamps."]) as (client, service, _):
        result = await client.call_tool("desk", {"task": "Count"}, progress_callback=progress)
        assert (result.is_error, result.content[0].text) == (False, "Four lamps.")
        data = result.structured_content
        assert (data["status"], data["output"]["text"]) == ("completed", "Four lamps.")
        assert (await service.get("default", data["run_id"])).input == "Count"
        assert told == ["run.started", "user: Count", "a: Four lamps."]


async def test_a_run_in_the_background_is_read_later() -> None:
    async with client_of(["Four lamps."]) as (client, service, _):
        result = await client.call_tool("desk", {"task": "Count", "background": True})
        run_id = result.structured_content["run_id"]
        assert result.structured_content["status"] in ("queued", "running")
        await service.wait("default", run_id, timeout=timedelta(seconds=50))
        later = await client.call_tool(GET_RUN, {"run_id": run_id})
        assert later.content[0].text == "Four lamps."


async def test_the_same_key_finds_the_same_run() -> None:
    async with client_of(["Four lamps.", "Five lamps."]) as (client, _, _):
        calls = [
            await client.call_tool("desk", {"task": "Count"}, meta={IDEMPOTENCY_KEY: "k"})
            for _ in range(2)
        ]
        first, second = (each.structured_content for each in calls)
        assert first == second
        other = await client.call_tool("desk", {"task": "Other"}, meta={IDEMPOTENCY_KEY: "k"})
        assert other.is_error


@pytest.mark.parametrize("is_closing", [False, True])
async def test_a_call_that_the_client_cancels_cancels_its_run(is_closing: bool) -> None:
    async with client_of([NEVER, "no"], is_closing) as (client, service, called):
        call = asyncio.create_task(client.call_tool("desk", {"task": "Wait"}))
        await asyncio.wait_for(called.wait(), 50)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        (run,) = (await service.list("default", RunFilter())).data
        if is_closing:  # the run belongs to the client, and not to this process
            assert run.status == "running"
            return
        ended = await service.wait("default", run.id, timeout=timedelta(seconds=50))
        assert ended.status == "cancelled"


async def test_a_run_is_cancelled_by_its_id() -> None:
    async with client_of([NEVER, "no"]) as (client, service, called):
        started = await client.call_tool("desk", {"task": "Wait", "background": True})
        await asyncio.wait_for(called.wait(), 50)
        run_id = started.structured_content["run_id"]
        await client.call_tool(CANCEL_RUN, {"run_id": run_id})
        ended = await service.wait("default", run_id, timeout=timedelta(seconds=50))
        assert ended.status == "cancelled"
        assert (await client.call_tool(CANCEL_RUN, {"run_id": run_id})).is_error is False


async def test_a_run_that_needs_a_person_returns_its_question() -> None:
    async with client_of([]) as (client, _, _):
        result = await client.call_tool("asking", {"task": "Hello"})
        assert result.structured_content["status"] == "input_required"
        assert len(result.structured_content["required_actions"]) == 1
        assert "waits for a person" in result.content[0].text


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("desk", {}, "'task' is needed."),
    ("desk", {"task": 1}, "'task' must be a string."),
    ("desk", {"task": "x", "background": "yes"}, "'background' must be a boolean."),
    ("desk", {"task": "x", "extra": 1}, "There is no argument 'extra'"),
    ("disk", {"task": "x"}, "There is no team 'disk'. Did you mean 'desk'?"),
    (GET_RUN, {"run_id": "run_none"}, "run_none"),
]


async def test_faults_are_results_that_a_model_can_read() -> None:
    async with client_of([]) as (client, _, _):
        for name, arguments, contains in FAULTS:
            result = await client.call_tool(name, arguments)
            assert result.is_error, name
            assert contains in result.content[0].text


async def test_a_run_that_fails_is_an_error() -> None:
    error = {"error": {"message": "no", "status_code": 400, "retryable": False}}
    async with client_of([error]) as (client, _, _):
        result = await client.call_tool("desk", {"task": "x"})
        assert (result.is_error, result.structured_content["status"]) == (True, "failed")
