"""Errors say what to do, and what they say works: each remedy is followed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx2
from tests.support.api import World, world
from tests.unit.api.component_cases import agent as component_agent
from tests.unit.api.component_cases import bench, client
from tests.unit.api.component_cases import team as component_team
from tests.unit.api.component_cases import tool as component_tool
from tests.unit.component.examples import component, look_up

from teamrun.components.registry import Registry
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool

Json = dict[str, Any]


def agent(name: str = "writer", **more: Any) -> Json:
    return {"name": name, "model": "default", **more}


def team(*agents: Any, **more: Any) -> Json:
    participants = list(agents) or [agent()]
    return {"type": "round_robin_group_chat", "participants": participants, "max_turns": 1, **more}


@asynccontextmanager
async def operator() -> AsyncGenerator[World, None]:
    registry = Registry.of(
        teams={"writers": team()},
        models={name: ScriptedModel(["ok"] * 9) for name in ("default", "gpt-4o")},
        tools=[FunctionTool(look_up, "Look a word up.")],
    )
    async with world(registry=registry) as w:
        yield w


class Mend(NamedTuple):
    """A definition with a fault, and the same after its remedy was followed."""

    id: str
    wrong: Json
    code: str
    says: str
    right: Json


AGENT_TOOL = {"agent": agent("b")}
SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "date"}}}
GRAPH = {"nodes": {"a": {"name": "a", "edges": [{"target": "b"}]}, "b": {"name": "b"}}}
CONTEXT = "autogen_core.model_context.BufferedChatCompletionContext"


def context(**config: Any) -> Json:
    return component(CONTEXT, "chat_completion_context", {"buffer_size": 3, **config})


DEFINITIONS = [
    Mend("model", team(agent(model="defalt")), "unknown_model", "Did you mean 'default'?", team()),
    Mend(
        "tool",
        team(agent(tools=["lookup"])),
        "unknown_tool",
        "Did you mean 'look_up'?",
        team(agent(tools=["look_up"])),
    ),
    Mend(
        "field",
        team(agent(system_mesage="x")),
        "unknown_field",
        "Did you mean 'system_message'?",
        team(agent(system_message="x")),
    ),
    Mend(
        "source",
        team(agent(source_code="x")),
        "source_not_allowed",
        "name a tool that the operator",
        team(agent(tools=["look_up"])),
    ),
    Mend(
        "address",
        team(agent(base_url="http://x")),
        "unknown_field",
        "name a profile in 'model'",
        team(),
    ),
    Mend(
        "client",
        team({"name": "a", "model_client": "default"}),
        "unknown_field",
        "name a model profile in 'model'",
        team({"name": "a", "model": "default"}),
    ),
    Mend(
        "provider", {**team(), "provider": "x.Team"}, "unknown_provider", "use `type` here", team()
    ),
    Mend(
        "variable",
        team(agent(system_message="${X}")),
        "environment_not_allowed",
        "$${X} for a literal one",
        team(agent(system_message="$${X}")),
    ),
    Mend(
        "equal names",
        team(agent(), agent()),
        "invalid_definition",
        "give one of them another name",
        team(agent(), agent("other")),
    ),
    Mend(
        "name",
        team(agent("my agent")),
        "invalid_definition",
        "use letters, digits and '_'",
        team(agent("my_agent")),
    ),
    Mend(
        "members",
        {"type": "round_robin_group_chat"},
        "invalid_definition",
        "'agents' is needed: a list of agents",
        {"type": "round_robin_group_chat", "agents": [agent()]},
    ),
    Mend(
        "no type", {"agents": [agent()]}, "invalid_definition", "'round_robin_group_chat'", team()
    ),
    Mend(
        "type",
        team(type="roundrobin"),
        "invalid_definition",
        "Did you mean 'round_robin_group_chat'?",
        team(),
    ),
    Mend(
        "version",
        team(version=2),
        "unknown_version",
        "only version 1 is known",
        team(version=1),
    ),
    Mend(
        "named member",
        team("writer"),
        "invalid_definition",
        "written out here as an object",
        team(),
    ),
    Mend("two spellings", team(agents=[agent()]), "invalid_definition", "use one of them", team()),
    Mend(
        "source of messages",
        team(termination={"type": "source_match", "sources": ["writr"]}),
        "invalid_definition",
        "Did you mean 'writer'?",
        team(termination={"type": "source_match", "sources": ["writer"]}),
    ),
    Mend(
        "condition",
        team(termination={"type": "stop_mesage"}),
        "invalid_definition",
        "Did you mean 'stop_message'?",
        team(termination={"type": "stop_message"}),
    ),
    Mend(
        "output",
        team(output="writr"),
        "invalid_definition",
        "Did you mean 'writer'?",
        team(output="writer"),
    ),
    Mend(
        "own handoff",
        team(agent(handoffs=["writer"])),
        "invalid_definition",
        "name another agent",
        team(agent(handoffs=["user"])),
    ),
    Mend(
        "handoff like a tool",
        team(agent(tools=["look_up"], handoffs=[{"target": "user", "name": "look_up"}])),
        "invalid_definition",
        "give this one another 'name'",
        team(agent(tools=["look_up"], handoffs=[{"target": "user", "name": "ask"}])),
    ),
    Mend(
        "swarm",
        team(agent("a"), agent("b"), type="swarm"),
        "invalid_definition",
        "needs 'handoffs'",
        team(agent("a", handoffs=["b"]), agent("b"), type="swarm"),
    ),
    Mend(
        "graph",
        team(agent("a"), agent("b"), type="graph_flow"),
        "invalid_definition",
        "'graph' is needed",
        team(agent("a"), agent("b"), type="graph_flow", graph=GRAPH),
    ),
    Mend(
        "twice a tool",
        team(agent(tools=["look_up", "look_up"])),
        "invalid_definition",
        "Leave one out",
        team(agent(tools=["look_up"])),
    ),
    Mend(
        "twice an agent as a tool",
        team(agent(tools=[AGENT_TOOL, AGENT_TOOL])),
        "invalid_definition",
        "Give one of them another name",
        team(agent(tools=[AGENT_TOOL, {"agent": agent("c")}])),
    ),
    Mend(
        "agent for a team",
        team(agent(tools=[{"team": agent("b")}])),
        "invalid_definition",
        "must be a team; 'b' is an agent",
        team(agent(tools=[AGENT_TOOL])),
    ),
    Mend(
        "number as a team",
        team(agent(tools=[{"team": 7}])),
        "invalid_definition",
        "'team' must be an object",
        team(agent(tools=[{"team": team(name="desk")}])),
    ),
    Mend(
        "format",
        team(agent(tool_call_summary_format="{x}")),
        "invalid_definition",
        "a literal brace is written twice",
        team(agent(tool_call_summary_format="{{x}}")),
    ),
    Mend(
        "role",
        team(agent(role="poet")),
        "invalid_definition",
        "There are 'analyst'",
        team(agent(role="analyst")),
    ),
    Mend(
        "schema",
        team(agent(output_schema=SCHEMA)),
        "invalid_definition",
        "there are string",
        team(agent(output_schema={"type": "object", "properties": {"a": {"type": "string"}}})),
    ),
    Mend(
        "context",
        team(agent(model_context={"type": "buffered"})),
        "invalid_definition",
        "takes buffer_size",
        team(agent(model_context={"type": "buffered", "buffer_size": 3})),
    ),
    # components
    Mend(
        "component inside out",
        component_agent(),
        "unknown_provider",
        "of the kind 'agent'",
        component_team(component_agent()),
    ),
    Mend(
        "no client",
        component_team(component_agent(model_client=None)),
        "invalid_definition",
        "or the name of a model profile",
        component_team(component_agent(model_client="default")),
    ),
    Mend(
        "no model",
        component_team(component_agent(model_client=client(model=None))),
        "unknown_model",
        "'model' is needed; registered: 'default'",
        component_team(component_agent(model_client=client(model="default"))),
    ),
    Mend(
        "initial messages",
        component_team(
            component_agent(
                model_context=context(
                    initial_messages=[{"type": "UserMessage", "source": "user", "content": "Hi."}]
                )
            )
        ),
        "component_json_not_supported",
        "put them into the 'system_message'",
        component_team(component_agent(model_context=context(), system_message="Hi.")),
    ),
    Mend(
        "overrides",
        component_team(
            component_agent(
                workbench=[
                    component(
                        "autogen_core.tools.StaticWorkbench",
                        "workbench",
                        {"tools": [], "tool_overrides": {"look": {"name": "look_up"}}},
                    )
                ]
            )
        ),
        "component_json_not_supported",
        "register the tool under the other name",
        component_team(component_agent(workbench=[bench(component_tool(name="look_up"))])),
    ),
    Mend(
        "MCP",
        component_team(
            component_agent(
                workbench=[component("autogen_ext.tools.mcp.McpWorkbench", "workbench", {})]
            )
        ),
        "component_json_not_supported",
        "the names of registered tools",
        component_team(component_agent(workbench=["look_up"])),
    ),
    Mend(
        "tool without a name",
        component_team(component_agent(tools=[component_tool()])),
        "unknown_tool",
        "registered: 'look_up'",
        component_team(component_agent(tools=[component_tool(name="look_up")])),
    ),
    Mend(
        "component version",
        {**component_team(), "version": 9},
        "unknown_version",
        "up to version 1",
        {**component_team(), "version": 1},
    ),
    Mend(
        "edges of a loop",
        component(
            "autogen_agentchat.teams.GraphFlow",
            "team",
            {
                "participants": [component_agent("a"), component_agent("b")],
                "graph": {
                    "nodes": {
                        "a": {"name": "a", "edges": [{"target": "c"}]},
                        "b": {"name": "b", "edges": []},
                    }
                },
            },
        ),
        "invalid_definition",
        "'c', which is not a node",
        component(
            "autogen_agentchat.teams.GraphFlow",
            "team",
            {"participants": [component_agent("a"), component_agent("b")], "graph": GRAPH},
        ),
    ),
]


async def test_a_definition_that_is_mended_as_its_error_says_is_accepted() -> None:
    found: dict[str, Any] = {}
    async with operator() as w:
        for each in DEFINITIONS:
            wrong, right = [
                (await w.client.post("/v1/teams:validate", json={"team_spec": spec})).json()
                for spec in (each.wrong, each.right)
            ]
            told = [(error["code"], error["detail"]) for error in wrong["errors"]]
            is_told = any(code == each.code and each.says in detail for code, detail in told)
            if not is_told or right["errors"]:
                found[each.id] = (told, right["errors"])
    assert found == {}


class Sent(NamedTuple):
    """A request."""

    method: str
    path: str
    body: Json | None = None
    headers: dict[str, str] | None = None


class Step(NamedTuple):
    """A request that is refused, and the one that its error says to send instead."""

    id: str
    wrong: Sent
    status: int
    code: str
    says: str
    right: Sent


RUN: Json = {"team": "writers", "input": "Go"}
BUSY = {**RUN, "thread_id": "{busy}"}
IDLE = {**RUN, "thread_id": "{idle}"}
ANY = {"If-Match": "*"}
KEY = {"Idempotency-Key": "k"}

STEPS = [
    # threads
    Step(
        "a busy thread",
        Sent("POST", "/v1/runs", {**BUSY, "on_busy_thread": "reject"}),
        409,
        "thread_busy",
        "send on_busy_thread 'enqueue'",
        Sent("POST", "/v1/runs", {**BUSY, "on_busy_thread": "enqueue"}),
    ),
    Step(
        "a policy without a thread",
        Sent("POST", "/v1/runs", {**RUN, "on_busy_thread": "reject"}),
        422,
        "invalid_body",
        "add thread_id, or leave it out",
        Sent("POST", "/v1/runs", RUN),
    ),
    Step(
        "a later run",
        Sent("POST", "/v1/runs", {**IDLE, "delay_seconds": 9}),
        422,
        "invalid_body",
        "leave out thread_id, delay_seconds or run_at",
        Sent("POST", "/v1/runs", IDLE),
    ),
    Step(
        "an unknown thread",
        Sent("GET", "/v1/threads/thr_0"),
        404,
        "thread_not_found",
        "GET /v1/threads lists yours",
        Sent("GET", "/v1/threads"),
    ),
    Step(
        "no If-Match",
        Sent("PATCH", "/v1/threads/{idle}", {"metadata": {}}),
        428,
        "precondition_required",
        "`If-Match: *` changes any version",
        Sent("PATCH", "/v1/threads/{idle}", {"metadata": {}}, ANY),
    ),
    Step(
        "a tag without quotes",
        Sent("DELETE", "/v1/threads/{idle}", None, {"If-Match": "v3"}),
        412,
        "precondition_failed",
        'Did you mean `"v3"`?',
        Sent("DELETE", "/v1/threads/{spare}", None, {"If-Match": '"v1"'}),
    ),
    Step(
        "a cursor",
        Sent("GET", "/v1/threads/{busy}/messages?after=1"),
        400,
        "invalid_parameter",
        "send `next_cursor` of the page before",
        Sent("GET", "/v1/threads/{busy}/messages?limit=1"),
    ),
    Step(
        "a thread with an active run",
        Sent("DELETE", "/v1/threads/{other}"),
        409,
        "thread_busy",
        "or cancel it",
        Sent("POST", "/v1/runs/{run}/cancel"),
    ),
    Step(
        "another request with the key",
        Sent("POST", "/v1/threads", {"metadata": {"b": "c"}}, KEY),
        422,
        "idempotency_conflict",
        "use a new key",
        Sent("POST", "/v1/threads", {"metadata": {"b": "c"}}, {"Idempotency-Key": "new"}),
    ),
    # the registry of teams
    Step(
        "a name that is taken",
        Sent("POST", "/v1/teams", {"name": "haiku", "team_spec": team()}),
        409,
        "team_name_taken",
        "add a version to it (POST /v1/teams/haiku/versions)",
        Sent("POST", "/v1/teams/haiku/versions", {"team_spec": team(max_turns=2)}),
    ),
    Step(
        "the operator's name",
        Sent("POST", "/v1/teams", {"name": "writers", "team_spec": team()}),
        409,
        "team_name_taken",
        "choose another one",
        Sent("POST", "/v1/teams", {"name": "poets", "team_spec": team()}),
    ),
    Step(
        "the operator's team",
        Sent("DELETE", "/v1/teams/writers"),
        409,
        "team_read_only",
        "only be changed there",
        Sent("GET", "/v1/teams/writers"),
    ),
    Step(
        "no If-Match of a team",
        Sent("PATCH", "/v1/teams/haiku", {"description": "x"}),
        428,
        "precondition_required",
        "`If-Match: *`",
        Sent("PATCH", "/v1/teams/haiku", {"description": "x"}, ANY),
    ),
    Step(
        "an alias of no version",
        Sent("PUT", "/v1/teams/haiku/aliases/live", {"version": 99}, ANY),
        404,
        "team_version_not_found",
        "it has versions 1 to 2",
        Sent("PUT", "/v1/teams/haiku/aliases/live", {"version": 2}, ANY),
    ),
    Step(
        "an unknown alias",
        Sent("DELETE", "/v1/teams/haiku/aliases/none"),
        404,
        "team_version_not_found",
        "GET /v1/teams/haiku lists",
        Sent("GET", "/v1/teams/haiku"),
    ),
    Step(
        "an unknown team",
        Sent("POST", "/v1/runs", {**RUN, "team": "haik"}),
        422,
        "unknown_team",
        "Did you mean 'haiku'?",
        Sent("POST", "/v1/runs", {**RUN, "team": "haiku"}),
    ),
    Step(
        "an unknown version",
        Sent("POST", "/v1/runs", {**RUN, "team": "haiku@9"}),
        422,
        "unknown_version",
        "'haiku'",
        Sent("POST", "/v1/runs", {**RUN, "team": "haiku@1"}),
    ),
    Step(
        "no name",
        Sent("POST", "/v1/teams", {"team_spec": team()}),
        422,
        "invalid_definition",
        "send `name`",
        Sent("POST", "/v1/teams?name=named", team()),
    ),
]


async def send(w: World, sent: Sent, ids: dict[str, str]) -> httpx2.Response:
    def filled(value: Any) -> Any:
        if isinstance(value, str):
            for name, found in ids.items():
                value = value.replace(f"{{{name}}}", found)
        return value

    body = {k: filled(v) for k, v in sent.body.items()} if sent.body is not None else None
    more: Json = {} if body is None else {"json": body}
    return await w.client.request(sent.method, filled(sent.path), headers=sent.headers, **more)


async def test_a_request_that_is_mended_as_its_error_says_is_accepted() -> None:
    found: dict[str, Any] = {}
    async with operator() as w:
        ids: dict[str, str] = {}
        for name in ("idle", "busy", "other", "spare"):
            ids[name] = (await w.client.post("/v1/threads")).json()["id"]
        await w.submit(thread_id=ids["busy"])
        await w.execute()
        await w.submit(thread_id=ids["busy"])
        ids["run"] = await w.submit(thread_id=ids["other"])
        await w.client.post("/v1/threads", json={"metadata": {"a": "b"}}, headers=KEY)
        await w.client.post("/v1/teams?name=haiku", json=team())
        for each in STEPS:
            refused, accepted = [await send(w, sent, ids) for sent in (each.wrong, each.right)]
            told = refused.json()
            text = f"{told['detail']} {told['errors']}"
            is_told = (refused.status_code, told["code"]) == (each.status, each.code)
            if not is_told or each.says not in text or not accepted.is_success:
                found[each.id] = (refused.text, accepted.text)
        assert (await w.client.delete(f"/v1/threads/{ids['other']}")).status_code == 204
    assert found == {}
