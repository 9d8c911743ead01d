"""MCP servers of the operator's file, and the workbenches of agents."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from teamrun.components.building.teams import build_team
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError
from teamrun.tools.mcp import SseServerParams, StdioServerParams, StreamableHttpServerParams

SERVER = str(Path(__file__).parents[2] / "support" / "mcp_stdio.py")
OURS = {"command": [sys.executable, SERVER]}
SCRIPT = [{"tool_calls": [{"name": "plus", "arguments": {"a": 1, "b": 2}}]}, "DONE"]
BENCH = {
    "type": "mcp",
    "server": "ours",
    "tools": ["add"],
    "tool_overrides": {"add": {"name": "plus"}},
}


def file_of(folder: Path, servers: Any, bench: Any = "ours", **agent: Any) -> Path:
    document = {
        "models": {"m": {"type": "scripted", "script": SCRIPT}},
        "mcp_servers": servers,
        "agents": {"a": {"model": "m", "workbench": bench, **agent}},
        "teams": {"t": {"type": "round_robin_group_chat", "agents": ["a"], "max_turns": 1}},
    }
    path = folder / "teamrun.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(document))), encoding="utf-8")
    return path


def registry_of(folder: Path, servers: Any, bench: Any = "ours", **environ: str) -> Registry:
    return load_registry(file_of(folder, servers, bench), environ=environ)


@dataclass(frozen=True)
class Fault:
    id: str
    servers: Any
    pointer: str
    contains: str
    bench: Any = "ours"
    code: str = "invalid_definition"


AT = "/mcp_servers/ours"
FAULTS = [
    Fault("no object", ["x"], "/mcp_servers", "'mcp_servers' must be an object"),
    Fault("a server that is none", {"ours": "npx"}, AT, "an MCP server must be an object"),
    Fault("neither command nor address", {"ours": {}}, AT, "Give 'command'"),
    Fault("both", {"ours": {"command": "x", "url": "https://x.example"}}, AT, "Give 'command'"),
    Fault("an unknown field", {"ours": {**OURS, "arg": []}}, f"{AT}/arg", "Did you mean 'args'?",
          code="unknown_field"),
    Fault("headers of a process", {"ours": {**OURS, "headers": {}}}, f"{AT}/headers",
          "'headers' is for a server with 'url'"),
    Fault("variables of an address", {"ours": {"url": "https://x.example", "env": {}}},
          f"{AT}/env", "'env' is for a server with 'command'"),
    Fault("a transport", {"ours": {"url": "https://x.example", "transport": "see"}},
          f"{AT}/transport", "Did you mean 'sse'?"),
    Fault("an empty command", {"ours": {"command": []}}, f"{AT}/command", "'command'"),
    Fault("a broken reference", {"ours": {**OURS, "env": {"KEY": "${KEY"}}}, f"{AT}/env/KEY",
          "'${NAME}'"),
    Fault("on_lost alone", {"ours": {**OURS, "on_lost": "fail"}}, f"{AT}/on_lost",
          "'session: stateful'"),
    Fault("on_unknown without effects", {"ours": {**OURS, "effects": "none", "on_unknown": "ask"}},
          f"{AT}/on_unknown", "'effects: write'"),
    Fault("a session", {"ours": {**OURS, "session": "sticky"}}, f"{AT}/session", "'session'"),
    Fault("a time", {"ours": {**OURS, "timeout": 0}}, f"{AT}/timeout", "'timeout'"),
    Fault("an unknown server", {"ours": OURS}, "/agents/a/workbench/server", "Did you mean 'ours'?",
          bench="our", code="unknown_tool"),
    Fault("a server that is described", {"ours": OURS}, "/agents/a/workbench/0",
          "an operator registers it under 'mcp_servers'", bench=[{"command": ["sh"]}],
          code="source_not_allowed"),
    Fault("an address in a definition", {"ours": OURS}, "/agents/a/workbench",
          "Registered: 'ours'", bench={"type": "mcp", "url": "http://169.254.169.254/"},
          code="source_not_allowed"),
    Fault("another type", {"ours": OURS}, "/agents/a/workbench/type", "'type'",
          bench={"type": "http", "server": "ours"}),
    Fault("no tools", {"ours": OURS}, "/agents/a/workbench/tools", "'tools'",
          bench={"server": "ours", "tools": []}),
    Fault("an override of what is not offered", {"ours": OURS},
          "/agents/a/workbench/tool_overrides/pay", "is not in 'tools'",
          bench={"server": "ours", "tools": ["add"], "tool_overrides": {"pay": {"name": "x"}}}),
    Fault("a server twice", {"ours": OURS}, "/agents/a/workbench/1", "occurs twice",
          bench=["ours", "ours"]),
]  # fmt: skip


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.id)
def test_a_fault_is_told_with_its_place_and_remedy(case: Fault, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        registry_of(tmp_path, case.servers, case.bench)
    problems = caught.value.data.get("problems") or [caught.value.as_json()]
    found = [each for each in problems if each["pointer"] == case.pointer]
    assert found, problems
    assert found[0]["code"] == case.code
    assert case.contains in str(found[0].get("detail") or found[0].get("message"))


PARAMS = [
    ({"command": "npx", "args": ["-y", "x"], "cwd": "data"},
     StdioServerParams(command="npx", args=("-y", "x"), cwd="{folder}/data")),
    ({"command": ["npx", "-y"], "args": ["x"], "env": {"KEY": "${KEY}"}},
     StdioServerParams(command="npx", args=("-y", "x"), env={"KEY": "secret"}, cwd="{folder}")),
    ({"url": "https://x.example/mcp", "headers": {"Authorization": "Bearer ${KEY}"}},
     StreamableHttpServerParams(url="https://x.example/mcp",
                                headers={"Authorization": "Bearer secret"})),
    ({"url": "http://127.0.0.1:1/sse", "transport": "sse"},
     SseServerParams(url="http://127.0.0.1:1/sse")),
]  # fmt: skip


@pytest.mark.parametrize(("written", "params"), PARAMS)
def test_a_server_is_read_with_the_operators_variables(
    written: Any, params: Any, tmp_path: Path
) -> None:
    pytest.importorskip("mcp")
    server = registry_of(tmp_path, {"ours": written}, KEY="secret").mcp_server("ours")
    cwd = getattr(params, "cwd", None)
    if cwd is not None:
        params = params.model_copy(update={"cwd": cwd.format(folder=tmp_path.resolve())})
    assert server.params == params
    assert server.name == "ours"


def test_the_conduct_of_a_server_is_read(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    more = {
        "timeout": 5,
        "start_timeout": 6,
        "session": "stateful",
        "on_lost": "fail",
        "effects": "write",
        "on_unknown": "ask",
        "approval": True,
        "max_result_characters": 7,
        "roots": ["data", "/srv"],
    }
    conduct = registry_of(tmp_path, {"ours": {**OURS, **more}}).mcp_server("ours").conduct
    assert (conduct.call_seconds, conduct.start_seconds, conduct.most_characters) == (5, 6, 7)
    assert (conduct.session, conduct.on_lost, conduct.approval) == ("stateful", "fail", True)
    assert (conduct.effects, conduct.on_unknown) == ("write", "ask")
    assert list(conduct.roots) == [str(tmp_path.resolve() / "data"), "/srv"]


def test_a_variable_that_is_not_set_is_told_when_the_server_is_used(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    registry = registry_of(tmp_path, {"ours": {**OURS, "env": {"KEY": "${MISSING_KEY}"}}})
    with pytest.raises(DefinitionError, match=r"'ours'.*MISSING_KEY") as caught:
        registry.mcp_server("ours")
    assert caught.value.pointer == AT


def test_a_run_pins_the_server_without_its_secrets(tmp_path: Path) -> None:
    def digest(key: str, **more: Any) -> str:
        servers = {"ours": {**OURS, "env": {"KEY": key}, **more}}
        return registry_of(tmp_path, servers).resolve(team="t").tools["mcp:ours"]

    assert digest("one") == digest("other")
    assert digest("one") != digest("one", effects="none")


async def test_a_team_of_the_library_uses_a_server_besides_its_tools(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    registry = load_registry(
        file_of(tmp_path, {"ours": OURS}, BENCH, max_tool_iterations=2), environ={}
    )
    team = build_team(registry.resolve(team="t").definition, registry)
    result = await asyncio.wait_for(team.run(task="go"), 50)
    assert result.messages[-1].to_text() == "DONE"
    assert any("3" in str(getattr(each, "content", "")) for each in result.messages[1:-1])
    await registry.close()


@pytest.mark.behaviour("tools.mcp")
def test_a_component_of_autogen_is_the_server_with_its_command(tmp_path: Path) -> None:
    def spec(command: str) -> dict[str, Any]:
        params = {"type": "StdioServerParams", "command": command, "args": [SERVER]}
        overrides = {"add": {"name": "plus"}}
        bench = {"server_params": params, "tool_overrides": overrides}
        agent = {
            "name": "a",
            "model_client": "m",
            "workbench": [{"provider": "autogen_ext.tools.mcp.McpWorkbench", "config": bench}],
        }
        path = "autogen_agentchat.agents.AssistantAgent"
        members = [{"provider": path, "component_version": 2, "config": agent}]
        team = "autogen_agentchat.teams.RoundRobinGroupChat"
        return {"provider": team, "config": {"participants": members, "max_turns": 1}}

    registry = registry_of(tmp_path, {"ours": OURS})
    team = registry.resolve(team_spec=spec(sys.executable))
    assert list(team.tools) == ["mcp:ours"]
    assert '"plus"' in team.definition.model_dump_json()
    with pytest.raises(DefinitionError, match=r"under 'mcp_servers'.*Registered: 'ours'"):
        registry.resolve(team_spec=spec("/bin/sh"))


def test_a_submitted_definition_names_a_registered_server_only(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, {"ours": OURS})
    agent: dict[str, Any] = {"type": "assistant_agent", "name": "a", "model": "m"}
    agent["workbench"] = [BENCH]
    spec = {"type": "round_robin_group_chat", "participants": [agent], "max_turns": 1}
    assert list(registry.resolve(team_spec=spec).tools) == ["mcp:ours"]
    agent["workbench"] = [{"server": "theirs"}]
    with pytest.raises(DefinitionError, match="There is no MCP server 'theirs'") as caught:
        registry.resolve(team_spec=spec)
    assert caught.value.pointer == "/team_spec/participants/0/workbench/0/server"
    agent["workbench"], agent["tools"] = [], ["mcp:ours"]
    with pytest.raises(DefinitionError, match="not a valid name"):
        registry.resolve(team_spec=spec)
