"""Agents and teams as tools of a submitted definition, in durable runs."""

import json
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo
from tests.unit.components.test_component_json import assistant, component, team, tool, workbench

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.entries import End, calls_of
from teamrun.runs.log.keys import entry_key
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel
from teamrun.threads.requests import ThreadRequest
from teamrun.tools import FunctionTool

Json = dict[str, Any]
INNER = {"type": "assistant_agent", "name": "helper", "model": "m", "tools": ["look_up"]}
MEMBERS = [{"type": "assistant_agent", "name": name, "model": "m"} for name in ("x", "y")]
PAIR = {"type": "round_robin_group_chat", "name": "pair", "participants": MEMBERS, "max_turns": 2}
TEAM = solo(reflect_on_tool_use=True)
TEAM["participants"][0]["tools"] = [{"agent": INNER}, {"team": PAIR, "description": "Two."}]


def look_up(word: str) -> str:
    """Look a word up."""
    return f"<{word}>"


def call(**tools: str) -> Json:
    return {"tool_calls": [{"name": name, "arguments": {"task": t}} for name, t in tools.items()]}


def script() -> dict[str, list[Any]]:
    search = {"tool_calls": [{"name": "look_up", "arguments": {"word": "tea"}}]}
    return {
        "a": [call(helper="one", pair="both"), "so", call(helper="two"), "DONE"],
        "helper": [search, "again"],
        "x": ["x1"],
        "y": ["y1"],
    }


def cluster_of(store: MemoryStore | None = None) -> Cluster:
    return Cluster(script(), team=TEAM, tools=[FunctionTool(look_up)], store=store)


async def to_the_end(cluster: Cluster, ref: RunRef) -> list[tuple[str, str]]:
    """What was said, after a worker has executed the run."""
    worker = cluster.worker()
    assert await worker.execute(ref) is Finish.ENDED
    await worker.close()
    result = await cluster.service.result(TENANT, ref.run_id)
    return [(each["source"], str(each["content"])) for each in result.messages]


async def test_a_run_that_is_taken_over_after_any_entry_says_the_same() -> None:
    whole = cluster_of()
    ref = await whole.submit()
    said = await to_the_end(whole, ref)
    assert ("user", "one") in said
    assert ("helper", "<tea>") in said
    assert ("y", "y1") in said
    documents = await whole.log(ref).documents_on(0)
    entries = await whole.entries(ref)
    assert isinstance(entries[-1].body, End)

    for length in range(1, len(entries)):
        store = MemoryStore()
        for n, entry in enumerate(documents[:length]):
            await store.put_new(entry_key(ref, n), json.dumps(entry).encode())
        rest = cluster_of(store)
        rest.clock.shift = 2 * rest.lease  # that of the worker before has expired

        assert await to_the_end(rest, ref) == said, length


async def test_calls_inside_have_paths_of_their_own_and_the_task_is_an_event() -> None:
    cluster = cluster_of()
    created = await cluster.threads.create(TENANT, ThreadRequest())
    ref = await cluster.submit(thread_id=created.thread.id)
    await to_the_end(cluster, ref)

    entries = await cluster.entries(ref)
    ids = [each.call_id for entry in entries for each in calls_of(entry.body)]
    assert "team/a/helper/tool:0" in ids
    assert "team/a/pair/x/model:0" in ids
    messages = [
        event.data["message"]["content"]
        for entry in entries
        for event in entry.events
        if event.type == "message.created"
    ]
    assert "both" in messages
    end = entries[-1].body
    assert isinstance(end, End)
    state: Any = end.state
    tools = state["agent_states"]["a"]["agent_state"]["tools"]
    assert sorted(tools) == ["helper", "pair"]
    assert "one" in str(tools["helper"]["llm_context"])


@pytest.mark.behaviour("json.agent_tools")
async def test_a_submitted_component_with_both_runs() -> None:
    tools = "autogen_agentchat.tools."
    inner = assistant("helper", tools=[tool(source_code="def look_up(): raise SystemExit")])
    crew = {"team": team(assistant("x"), name="crew", max_turns=1), "name": "pair"}
    bench = workbench(
        component(f"{tools}AgentTool", {"agent": inner}),
        component(f"{tools}TeamTool", {**crew, "description": "One."}),
    )
    boss = assistant("a", workbench=[bench], reflect_on_tool_use=True)
    model = ScriptedModel(script())
    known = Registry.of(
        teams={}, models={"gpt-4o-2024-08-06": model}, tools=[FunctionTool(look_up)]
    )
    cluster = Cluster({}, team={}, registry=known)

    ref = await cluster.submit(team=None, team_spec=team(boss, max_turns=2))

    said = await to_the_end(cluster, ref)
    assert ("helper", "<tea>") in said
    assert said[-1] == ("a", "DONE")
