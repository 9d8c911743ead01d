"""MCP servers that this project did not write, each as a process of Node.js."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.runs import Cluster, solo
from tests.support.services import not_here

from teamrun.components.registry import Registry
from teamrun.runs.log.entries import CallRecord, Intent, calls_of
from teamrun.testing import ScriptedModel
from teamrun.tools.base import Effects
from teamrun.tools.mcp import McpServer, McpWorkbench, StdioServerParams

pytest.importorskip("mcp")

pytestmark = [pytest.mark.integration, pytest.mark.node]

SERVERS = Path(__file__).parents[2] / "node/node_modules/@modelcontextprotocol"


def params(name: str, *args: str, **env: str) -> StdioServerParams:
    script, node = SERVERS / f"server-{name}/dist/index.js", shutil.which("node")
    if node is None or not script.exists():
        not_here(f"The MCP server {name!r} needs Node.js and `npm ci` in tests/node.")
    return StdioServerParams(command=node, args=(str(script), *args), env=env)


@dataclass(frozen=True)
class Case:
    tool: str
    contains: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_error: bool = False


EVERYTHING = [
    Case("echo", "Echo: hi", {"message": "hi"}),
    Case("get-sum", "3", {"a": 1, "b": 2}),
    Case("get-tiny-image", "[image]"),
    Case("get-structured-content", '"temperature"', {"location": "New York"}),
    Case("get-resource-links", "demo://resource", {"count": 2}),
    Case("nope", "not found", is_error=True),
]


async def test_the_server_that_has_everything() -> None:
    async with McpWorkbench(params("everything", "stdio")) as bench:
        for case in EVERYTHING:
            result = await bench.call_tool(case.tool, case.arguments)
            assert case.contains in result.to_text("[image]"), case.tool
            assert result.is_error is case.is_error, case.tool
        resources = (await bench.list_resources()).resources
        read = await bench.read_resource(str(resources[0].uri))
        assert read.contents[0].uri == resources[0].uri
        assert "simple-prompt" in [each.name for each in (await bench.list_prompts()).prompts]
        prompt = await bench.get_prompt("simple-prompt")
        assert prompt.messages[0].content.type == "text"


async def test_the_server_of_files_reaches_its_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello", encoding="utf-8")
    server = McpServer(params("filesystem", str(tmp_path)), name="files")
    effects: dict[str, Effects] = {
        tool.name: tool.effects for tool in (await server.list_tools()).tools
    }
    assert (effects["read_text_file"], effects["write_file"]) == ("none", "idempotent")
    assert effects["edit_file"] == "write"
    read = await server.call_tool("read_text_file", {"path": str(tmp_path / "a.txt")})
    assert read.to_text() == "hello"
    refused = await server.call_tool("read_text_file", {"path": "/etc/passwd"})
    assert refused.is_error
    assert "Access denied" in refused.to_text()
    await server.aclose()


async def test_a_durable_run_with_the_server_of_memories(tmp_path: Path) -> None:
    entity = {"name": "lamp", "entityType": "product", "observations": ["bright"]}
    script = [
        {"tool_calls": [{"name": "create_entities", "arguments": {"entities": [entity]}}]},
        {"tool_calls": [{"name": "search_nodes", "arguments": {"query": "lamp"}}]},
        "DONE",
    ]
    path = str(tmp_path / "memory.jsonl")
    server = McpServer(params("memory", MEMORY_FILE_PATH=path), name="memory")
    team = solo(workbench=[{"type": "mcp", "server": "memory"}])
    model = ScriptedModel({"a": script})
    registry = Registry.of(teams={"team": team}, models={"m": model}, mcp_servers=[server])
    cluster = Cluster({}, team=team, model=model, registry=registry)
    ref = await cluster.submit()
    worker = cluster.worker("w1")
    await worker.execute(ref)
    await worker.close()
    bodies = [entry.body for entry in await cluster.entries(ref)]
    records: list[CallRecord] = [each for body in bodies for each in calls_of(body)]
    found = json.loads(str(next(each.value for each in records if each.name == "search_nodes")))
    assert found["entities"][0]["name"] == "lamp"
    # The server's annotations: to create is neither read-only nor idempotent.
    assert len([body for body in bodies if isinstance(body, Intent)]) == 1
    await server.aclose()
    await cluster.close()
