"""The workbench of an MCP server that is a process, written from the specification."""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from teamrun.core import CancellationToken
from teamrun.errors import McpServerError, SessionLost, TeamrunError, ToolTimeout
from teamrun.testing import ScriptedModel
from teamrun.tools import ToolOverride, ToolResult
from teamrun.tools.base import Effects
from teamrun.tools.mcp import McpServer, McpWorkbench, StdioServerParams, mcp_server_tools
from teamrun.tools.mcp.server import ServerConduct

pytest.importorskip("mcp")

SERVER = str(Path(__file__).parents[2] / "support" / "mcp_stdio.py")
KEY = "canary-of-a-key"
NO_DELAY = 60.0
"""Seconds. The time limit of answers that arrive at once."""


def params(kind: str = "ordinary", **more: Any) -> StdioServerParams:
    return StdioServerParams(command=sys.executable, args=(SERVER, kind), env={"KEY": KEY}, **more)


@dataclass(frozen=True)
class Case:
    id: str
    tool: str
    contains: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_error: bool = False


CASES = [
    Case("a text", "add", "3", {"a": 1, "b": 2}),
    Case("structured content", "structured", '{"answer":42}'),
    Case("an image", "picture", "A point:\n[image]"),
    Case("a name that models do not take", "a_b_c", "a.b/c {}"),
    Case("the server's own name", "a.b/c", "a.b/c {}"),
    Case("an error", "fail", "It is broken.", is_error=True),
    Case("an unknown tool", "none", "Tool none not found.", is_error=True),
    Case("a refusal, without the key", "refuse", "No such tool; the key is ***", is_error=True),
    Case("a large result", "big", "2,000,000", {"size": 2_000_000}, is_error=True),
    Case("no result", "garbage", "could not call 'garbage'", is_error=True),
    Case("a small environment", "environment", "KEY"),
    Case("sampling, which is refused", "sample", "not supported"),
]


async def test_results_and_failures_of_calls() -> None:
    async with McpWorkbench(params()) as bench:
        for case in CASES:
            result = await bench.call_tool(case.tool, case.arguments)
            text = result.to_text("[image]")
            assert case.contains in text, case.id
            assert result.is_error is case.is_error, case.id
            assert KEY not in text, case.id
        variables = (await bench.call_tool("environment")).to_text().split()
    assert set(variables) <= {
        *("HOME", "KEY", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "USER"),
    }


async def test_tools_are_listed_over_pages_and_again_after_a_change() -> None:
    overrides = {"add": ToolOverride(name="plus", description="Two to one.")}
    async with McpWorkbench(params(), overrides) as bench:
        tools = await bench.list_tools()
        assert len(tools) == 18
        assert tools[0]["name"] == "plus"
        assert tools[0].get("description") == "Two to one."
        await bench.call_tool("more")
        assert [tool["name"] for tool in await bench.list_tools()][-1] == "extra_1"
        assert (await bench.call_tool("extra_1")).to_text() == "extra_1 {}"
        plus = await bench.call_tool("plus", {"a": 2, "b": 2})
        assert plus == ToolResult.model_validate(
            {"name": "plus", "result": [{"type": "TextResultContent", "content": "4"}]}
        )


async def test_annotations_of_tools_are_their_effects_unless_the_operator_knows_better() -> None:
    rows: list[tuple[Effects | None, list[Effects]]] = [
        (None, ["none", "write", "idempotent"]),
        ("none", ["none", "none", "none"]),
    ]
    for effects, expected in rows:
        server = McpServer(params(), conduct=ServerConduct(effects=effects))
        assert [each.effects for each in (await server.list_tools()).tools[:3]] == expected
        await server.aclose()


async def test_only_named_tools_are_offered_and_one_that_is_missing_is_told() -> None:
    async with McpWorkbench(params(), tools=["count", "add"]) as bench:
        assert [tool["name"] for tool in await bench.list_tools()] == ["add", "count"]
        assert (await bench.call_tool("pay")).is_error
    with pytest.raises(McpServerError, match="has no tool 'subtract'"):
        async with McpWorkbench(params(), tools=["subtract"]):
            pass


async def test_a_process_that_ends_loses_its_session_once(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    given = params().model_copy(update={"env": {"CALLS": str(calls)}})
    async with McpWorkbench(given) as bench:
        assert (await bench.call_tool("count")).to_text() == "1"
        died = await bench.call_tool("die")
        assert died.is_error
        assert "ended its session when it was asked to call 'die'" in died.to_text()
        assert (await bench.call_tool("count")).to_text() == "1"
        assert (await bench.call_tool("count")).to_text() == "2"
    lines = calls.read_text(encoding="utf-8").split()
    assert lines.count("started") == 2
    assert lines[-1] == "ended"  # the second one read the end of its input, and ended by itself


async def test_a_call_that_hangs_ends_with_its_time_limit_and_with_a_cancellation() -> None:
    async with McpWorkbench(params(read_timeout_seconds=0.5)) as bench:
        result = await bench.call_tool("hang")
        assert (result.is_error, "within 0.5 seconds" in result.to_text()) == (True, True)
    async with McpWorkbench(params()) as bench:
        token = CancellationToken()
        call = asyncio.create_task(bench.call_tool("hang", {}, token))
        await asyncio.sleep(0)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, NO_DELAY)


@pytest.mark.parametrize(
    ("kind", "contains"),
    [
        ("broken", "not messages of MCP. Its standard error ends with: started with ***"),
        ("silent", "did not answer within 0.5 seconds"),
    ],
)
async def test_a_server_that_does_not_start_is_told_with_its_standard_error(
    kind: str, contains: str, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = 0.5 if kind == "silent" else NO_DELAY
    server = McpServer(params(kind), name="ours", conduct=ServerConduct(start_seconds=seconds))
    with pytest.raises(McpServerError) as caught:
        await server.list_tools()
    assert contains in str(caught.value)
    assert caught.value.data == {"server": "ours"}
    await server.aclose()
    assert KEY not in caplog.text


async def test_a_program_that_is_missing_is_told() -> None:
    given = StdioServerParams(command="no-such-program-of-ours")
    with pytest.raises(McpServerError, match=r"could not be started: .*No such file"):
        await McpServer(given).list_tools()


async def test_a_stateless_server_has_one_session_for_all_and_opens_it_again() -> None:
    server = McpServer(params(), name="ours")
    first, second = await asyncio.gather(
        server.call_tool("count", {}, owner="a"), server.call_tool("count", {}, owner="b")
    )
    assert sorted([first.to_text(), second.to_text()]) == ["1", "2"]
    with pytest.raises(McpServerError, match="may have taken effect"):
        await server.call_tool("die", {})
    assert (await server.call_tool("count", {})).to_text() == "1"
    await server.aclose()


async def test_a_stateful_server_has_a_session_for_each_owner() -> None:
    server = McpServer(params(), conduct=ServerConduct(session="stateful", call_seconds=NO_DELAY))
    for expected in ("1", "2"):
        assert (await server.call_tool("count", {}, owner="a")).to_text() == expected
    assert (await server.call_tool("count", {}, owner="b")).to_text() == "1"
    with pytest.raises(SessionLost):
        await server.call_tool("die", {}, owner="a")
    assert (await server.call_tool("count", {}, owner="a")).to_text() == "1"
    server.close("b")
    assert (await server.call_tool("count", {}, owner="b")).to_text() == "1"
    await server.aclose()


async def test_a_shared_session_that_hangs_is_replaced() -> None:
    server = McpServer(params(), conduct=ServerConduct(call_seconds=0.5))
    with pytest.raises(ToolTimeout):
        await server.call_tool("hang", {})
    assert (await server.call_tool("count", {})).to_text() == "1"
    await server.aclose()


async def test_the_operators_roots_and_model_are_used_by_the_server() -> None:
    model = ScriptedModel(["It."])
    async with McpWorkbench(params(), model_client=model, roots=["/srv/a b"]) as bench:
        roots = json.loads((await bench.call_tool("roots")).to_text())
        assert roots["result"]["roots"] == [{"uri": "file:///srv/a%20b", "name": "a b"}]
        sampled = json.loads((await bench.call_tool("sample")).to_text())
        assert sampled["result"]["content"] == {"type": "text", "text": "It."}


async def test_progress_is_passed_on() -> None:
    told: list[tuple[str, float | None]] = []
    server = McpServer(params())
    await server.call_tool(
        "progress", {}, progress=lambda note, percent: told.append((note, percent))
    )
    assert told == [("a quarter", 25.0)]
    await server.aclose()


async def test_the_tools_of_a_server_as_a_list_share_one_session() -> None:
    tools = {tool.name: tool for tool in await mcp_server_tools(params())}
    add = await tools["add"].run_json({"a": 1, "b": 2})
    assert tools["add"].return_value_as_string(add) == "3"
    assert tools["count"].return_value_as_string(await tools["count"].run_json({})) == "2"
    with pytest.raises(TeamrunError, match=r"It is broken\."):
        await tools["fail"].run_json({})
    await tools["add"].close()


async def test_standard_error_is_logged_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "teamrun.tools.mcp.process"):
        async with McpWorkbench(params()):
            pass
    lines = [getattr(record, "line", "") for record in caplog.records]
    assert "started with ***" in lines


def test_two_overrides_of_one_name_are_refused() -> None:
    same = ToolOverride(name="same")
    with pytest.raises(ValueError, match="'same' to two tools"):
        McpWorkbench(params(), {"add": same, "pay": same})
