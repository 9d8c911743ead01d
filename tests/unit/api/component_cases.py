"""Odd component JSON, each with what a client is told about it."""

import json
from dataclasses import dataclass, field
from typing import Any, cast

from tests.unit.component.agent_examples import LOCAL
from tests.unit.component.examples import MODEL, agent_component, component

__all__ = ["AWAY", "CASES", "HOSTILE", "SECRET", "Case", "ours", "submitted"]

Json = dict[str, Any]

AWAY = "http://away.invalid"
"""Stands for the address of a server that must never be called."""
HOSTILE = "teamrun_hostile_module"
"""A module that must never be imported."""
SECRET = "TEAMRUN_TEST_SECRET"
"""A variable of the environment that must never be read."""

AGENT = "/config/participants/0"
CONFIG = f"{AGENT}/config"
CLIENT = f"{CONFIG}/model_client"
BENCH = f"{CONFIG}/workbench/0"
TOOL = f"{BENCH}/config/tools/0"


@dataclass(frozen=True)
class Case:
    """A submitted component."""

    id: str
    spec: Json
    code: str | None = None
    """The code of the error; None if it is accepted."""
    pointer: str = ""
    """The place of the error."""
    says: str = ""
    """A part of its remedy."""
    warns: dict[str, str] = field(default_factory=dict[str, str])
    """The warnings: a part of the text of each, by its place."""


def client(provider: str = "openai.OpenAIChatCompletionClient", **config: Any) -> Json:
    return component(f"autogen_ext.models.{provider}", "model", {"model": "gpt-4o", **config})


def ours(value: Any) -> Any:
    """An example with a client of a registered model, and with teams that end."""
    if value == MODEL:
        return client(api_key="**********")
    if isinstance(value, dict):
        written = {key: ours(item) for key, item in cast("Json", value).items()}
        if str(written.get("provider")).endswith((".RoundRobinGroupChat", ".SelectorGroupChat")):
            written["config"] = {"max_turns": 1, **written["config"]}
        return written
    return [ours(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def agent(name: str = "writer", **config: Any) -> Json:
    written = ours(agent_component(name))
    return {**written, "config": {**written["config"], **config}}


def team(*agents: Any, **config: Any) -> Json:
    participants = list(agents) or [agent()]
    config = {"participants": participants, "max_turns": 1, **config}
    return component("autogen_agentchat.teams.RoundRobinGroupChat", "team", config)


def tool(provider: str = "autogen_core.tools.FunctionTool", **config: Any) -> Json:
    return component(provider, "tool", config)


def bench(*tools: Any) -> Json:
    return component("autogen_core.tools.StaticWorkbench", "workbench", {"tools": list(tools)})


def with_tools(*tools: Any) -> Json:
    return team(agent(workbench=[bench(*tools)]))


def by(model_client: Any) -> Json:
    return team(agent(model_client=model_client))


def without(value: Json, *names: str) -> Json:
    return {key: item for key, item in value.items() if key not in names}


def submitted(written: Json) -> Json:
    """A team with the component of an example, whatever kind that is."""
    kind, part = written["component_type"], ours(written)
    if kind == "team":
        return part
    if kind == "agent":
        return team(part)
    if kind == "termination":
        tools, handoffs = ["look_up"], [{"target": "user"}]
        return team(*(agent(n, tools=tools, handoffs=handoffs) for n in "ab"),
                    termination_condition=part)  # fmt: skip
    if kind == "code_executor":
        config = {"name": "coder", "code_executor": part, "description": "Executes."}
        return team(component("autogen_agentchat.agents.CodeExecutorAgent", "agent", config))
    given: Json = {
        "chat_completion_context": {"model_context": part},
        "tool": {"workbench": [bench(part)]},
        "workbench": {"workbench": [part]},
        "memory": {"memory": [part]},
        "model": {"model_client": part},
        MODEL["component_type"]: {"model_client": written},
    }[kind]
    return team(agent(**given))


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


SOURCE: Json = {"source_code": f"import {HOSTILE}", "global_imports": [HOSTILE], "description": "d"}
STDIO: Json = {
    "type": "StdioServerParams",
    "command": "python",
    "args": ["-c", f"import {HOSTILE}"],
}
HTTP: Json = {
    "scheme": "http",
    "host": "169.254.169.254",
    "port": 80,
    "path": "/",
    "json_schema": {},
}
EXECUTOR = {**LOCAL, "config": {**LOCAL["config"], "functions_module": HOSTILE}}
UNKNOWN, NOT_HERE, INVALID = (
    "unknown_provider",
    "component_json_not_supported",
    "invalid_definition",
)

CASES = [
    # wrong nesting
    Case("an agent as the team", agent(), UNKNOWN, "/provider", "of the kind 'agent'"),
    Case("a team as the condition", team(termination_condition=team()), UNKNOWN,
         "/config/termination_condition/provider", "of the kind 'team'"),
    Case("a model as an agent", team(client()), UNKNOWN, f"{AGENT}/provider", "AssistantAgent"),
    Case("a tool as the model", team(agent(model_client=tool(name="look_up"))), UNKNOWN,
         f"{CLIENT}/provider", "of the kind 'tool'"),
    Case("an agent as a tool", with_tools(agent()), UNKNOWN, f"{TOOL}/provider", "AgentTool"),
    Case("a tool as the workbench", team(agent(workbench=[tool(name="look_up")])), UNKNOWN,
         f"{BENCH}/provider", "StaticWorkbench"),
    Case("no object as an agent", team(7), INVALID, AGENT, "an agent or a team must be an object"),
    Case("a name as an agent", team("writer"), INVALID, AGENT, "written out here"),
    Case("no list of agents", team(participants={"0": agent()}), INVALID, "/config/participants",
         "'participants' must be a list"),
    Case("no agents", team(participants=None), INVALID, "/config/participants", "a list of agents"),
    Case("no config", {**team(), "config": None}, INVALID, "/config", "must be an object"),
    # providers
    Case("a function as the provider", {**team(), "provider": "os.system"}, UNKNOWN, "/provider",
         "RoundRobinGroupChat"),
    Case("a module as the provider", team({**agent(), "provider": f"{HOSTILE}.Agent"}), UNKNOWN,
         f"{AGENT}/provider", "AssistantAgent"),
    Case("no text as the provider", {**team(), "provider": [HOSTILE]}, UNKNOWN, "/provider",
         "must be a text"),
    Case("an agent of a service", team(component("autogen_ext.agents.openai.OpenAIAgent", "agent",
         {"name": "a"})), NOT_HERE, f"{AGENT}/provider", "an assistant_agent"),
    Case("an agent that reads files", team(component("autogen_ext.agents.file_surfer.FileSurfer",
         "agent", {"name": "f", "base_path": "/etc", "model_client": client()})), NOT_HERE,
         f"{AGENT}/provider", "registered tool"),
    # versions
    *(Case(f"the version {version!r}", {**team(), "version": version}, "unknown_version",
           "/version", "up to version 1") for version in (0, -1, 2, 1.5, "1", True)),
    Case("the version of an agent", team({**agent(), "component_version": 3}), "unknown_version",
         f"{AGENT}/component_version", "up to version 2"),
    Case("a field beside the config", {**team(), "exec": HOSTILE}, warns={"/exec": "ignored"}),
    # tools
    Case("source of a registered tool", with_tools(tool(name="look_up", **SOURCE)),
         warns={f"{TOOL}/config/source_code": "the registered tool"}),
    Case("source of another tool", with_tools(tool(name="erase", **SOURCE)), "unknown_tool",
         f"{TOOL}/config/name", "'look_up', 'run_code'"),
    Case("a tool without a name", with_tools(tool(**SOURCE)), "unknown_tool",
         f"{TOOL}/config/name", "'look_up', 'run_code'"),
    Case("a module as the name of a tool", with_tools(tool(name=f"{HOSTILE}:run")),
         "source_not_allowed", f"{TOOL}/config/name", "'look_up'"),
    Case("a process of MCP", team(agent(workbench=[component("autogen_ext.tools.mcp.McpWorkbench",
         "workbench", {"server_params": STDIO})])), NOT_HERE, f"{BENCH}/provider",
         "registered tools"),
    Case("a tool of a process of MCP", team(agent(tools=[tool(
         "autogen_ext.tools.mcp.StdioMcpToolAdapter", server_params=STDIO,
         tool={"name": "look_up"})])),
         warns={f"{CONFIG}/tools/0/config": "the registered tool"}),
    Case("an address inside", team(agent(tools=[tool("autogen_ext.tools.http.HttpTool", name="meta",
         **HTTP)])), NOT_HERE, f"{CONFIG}/tools/0/provider", "registered tool"),
    Case("an address of a registered tool", team(agent(tools=[tool(
         "autogen_ext.tools.http.HttpTool", name="look_up", **HTTP)])),
         warns={f"{CONFIG}/tools/0/config": "the registered tool"}),
    Case("a tool that executes code", team(agent(tools=[tool(
         "autogen_ext.tools.code_execution.PythonCodeExecutionTool", executor=EXECUTOR)])),
         NOT_HERE, f"{CONFIG}/tools/0/provider", "registered tool"),
    Case("a module of an executor", submitted(EXECUTOR),
         warns={f"{CONFIG}/code_executor": "'run_code' executes the code"}),
    Case("a function that asks", team(component("autogen_agentchat.agents.UserProxyAgent", "agent",
         {"name": "boss", "description": "d", "input_func": f"{HOSTILE}.ask"})),
         warns={f"{CONFIG}/input_func": "ignored"}),
    # models
    Case("an address and a key", by(client(model="real", base_url=AWAY, api_key="sk-theirs")),
         warns={f"{CLIENT}/config/{name}": "decides it" for name in ("base_url", "api_key")}),
    Case("an address of Ollama", by(client("ollama.OllamaChatCompletionClient", model="real",
         host=AWAY)), warns={f"{CLIENT}/config/host": "decides it"}),
    Case("a model of another address", by(client(model="llama", base_url=AWAY)),
         "unknown_model", f"{CLIENT}/config/model", "'gpt-4o', 'real'"),
    Case("no model", by(None), INVALID, CLIENT, "'gpt-4o', 'real'"),
    Case("a client without a model", by(without(client(), "config")),
         "unknown_model", f"{CLIENT}/config/model", "'model' is needed"),
    Case("a file of a model", by(component("autogen_ext.models.llama_cpp"
         ".LlamaCppChatCompletionClient", "model", {"model_path": "/etc/passwd"})), NOT_HERE,
         f"{CLIENT}/provider", "a model profile"),
    # the environment
    Case("a variable", team(agent(system_message=f"${{{SECRET}}}")), "environment_not_allowed",
         f"{CONFIG}/system_message", "write the text itself"),
    Case("a variable as the key", by(client(api_key=f"${{{SECRET}}}")),
         "environment_not_allowed", f"{CLIENT}/config/api_key", "write the text itself"),
    Case("a literal variable", team(agent(system_message=f"$${{{SECRET}}} env:{SECRET}"))),
    # files and formats
    Case("a file as a memory", team(agent(memory=[component("autogen_core.memory.ListMemory",
         "memory", {"memory_contents": [{"content": "file:///x", "mime_type": "image/png"}]})]))),
    Case("attributes in a format", team(agent(tool_call_summary_format="{result.__class__}")),
         INVALID, f"{CONFIG}/tool_call_summary_format", "a literal brace is written twice"),
    Case("a path as a name", team(agent("../../etc")), INVALID, f"{CONFIG}/name",
         "'../../etc', which is not a valid name: use letters"),
    # sizes
    Case("equal names", team(agent(), agent()), INVALID, "/config/participants/1",
         "give one of them another name"),
    Case("a deep value", team(agent(metadata=nested(45))), "too_large", "", "48 levels"),
    Case("a long text", team(agent(system_message="x" * 300_000)), "too_large", "", "262144"),
    Case("a number beyond all turns", team(max_turns=10**30), INVALID, "/config/max_turns",
         "at most"),
]  # fmt: skip

BODIES = {
    "NaN": json.dumps({"team_spec": team(max_turns=float("nan"))}),
    "a name twice": '{"team_spec": {"provider": "x", "provider": "y", "config": {}}}',
    "too deep": json.dumps({"team_spec": team(agent(metadata=nested(70)))}),
    "too many values": json.dumps({"team_spec": team(*[agent()] * 600)}),
    "half of a surrogate pair": '{"team_spec": {"provider": "\\ud800", "config": {}}}',
}
"""Bodies that are no JSON that is read."""
