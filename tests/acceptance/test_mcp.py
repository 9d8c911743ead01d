"""`teamrun mcp`, started by the SDK's client."""

import os
import sys
from pathlib import Path

import pytest

mcp = pytest.importorskip("mcp")

pytestmark = pytest.mark.acceptance

FILE = """\
models: {m: {type: scripted, script: {a: [Hello]}}}
agents: {a: {model: m}}
teams: {greeter: {type: round_robin_group_chat, agents: [a], max_turns: 1}}
"""


async def test_the_command_serves_a_client_that_starts_it(tmp_path: Path) -> None:
    (tmp_path / "teamrun.yaml").write_text(FILE, encoding="utf-8")
    params = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "teamrun", "mcp", "--store", "runs"],
        cwd=tmp_path,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    async with mcp.Client(params) as client:
        result = await client.call_tool("greeter", {"task": "Hi"})
        assert result.content[0].text == "Hello"
    assert list((tmp_path / "runs").rglob("*.json"))
