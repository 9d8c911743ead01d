"""Golden logs: runs as releases have recorded them, which every later release must replay.

`python -m tests.golden.recording` writes those of this release into `behaviour-N/`, N being
`runs.spec.BEHAVIOUR`. A file that is there is never written again: a log that a release made is
what it is, and code that cannot replay it any more needs a new N, with the old path kept.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.golden.shapes import AGENTS, FUNCTIONS, SERVER, SHAPES, team_in_python
from tests.golden.shapes import TOOLS as TOOLS_OF_SHAPES
from tests.support.runs import TENANT, Cluster, duo, solo
from tests.support.team_cases import progress

from teamrun.agents import AssistantAgent
from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.runs.log.spec import BEHAVIOUR
from teamrun.runs.service.requests import Answer
from teamrun.testing import ScriptedModel
from teamrun.threads.requests import ThreadRequest
from teamrun.tools.agent_tool import AgentTool
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool

__all__ = ["EXECUTED", "FOLDER", "Case", "answer_all", "cases", "cluster_of", "submit"]

FOLDER = Path(__file__).parent


EXECUTED: list[str | None] = []
"""The ids of the calls of `count` that were executed in this process."""


def count(context: ToolContext) -> str:
    """Count, and leave the count in a file."""
    EXECUTED.append(context.call_id)
    context.state["calls"] = context.state.get("calls", 0) + 1
    context.artifacts.write("count.txt", str(context.state["calls"]))
    return f"{context.state['calls']}"


def broken() -> str:
    """Break."""
    raise ValueError("out of paper")


def _calls(*names: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": {}} for name in names]}


COUNT = FunctionTool(count, effects="write")
TOOLS = [
    COUNT,
    FunctionTool(broken),
    FunctionTool(lambda: "signed", "Sign.", "sign", needs_approval=True),
    AgentTool(
        AssistantAgent(
            "helper", ScriptedModel([_calls("count"), "counted", "again"]), tools=[COUNT]
        )
    ),
    *TOOLS_OF_SHAPES,
]

Case = tuple[dict[str, Any], dict[str, list[Any]]]

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"count": {"$ref": "#/$defs/Count"}},
    "required": ["count"],
    "$defs": {"Count": {"type": "integer", "minimum": 1}},
}
"""The `output_schema` of the runs of some cases."""

_IN_FORM = ("in_form", "out_of_form")


def _delegate(task: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": "helper", "arguments": {"task": task}}]}


def cases() -> dict[str, Case]:
    """Teams, and the scripts of their agents."""
    selector = {
        "type": "selector_group_chat",
        "model": "m",
        "participants": duo(1)["participants"],
        "max_turns": 3,
    }
    trio = [{"type": "assistant_agent", "name": name, "model": "m"} for name in "abc"]
    undecided = {**selector, "participants": trio, "max_selector_attempts": 1, "max_turns": 4}
    asking = duo(3)
    asking["participants"][0]["handoffs"] = [{"target": "human"}]
    asking["termination"] = {"type": "handoff", "target": "human"}
    swarm: dict[str, Any] = {**duo(5), "type": "swarm"}
    for first, second in zip(swarm["participants"], "ba", strict=True):
        first["handoffs"] = [{"target": second}]
    edges = {"a": "bc", "b": "d", "c": "d", "d": ""}
    graph = {
        "type": "graph_flow",
        "participants": [
            {"type": "assistant_agent", "name": name, "model": "m", "tools": ["count"]}
            for name in edges
        ],
        "graph": {
            "nodes": {
                name: {"edges": [{"target": target} for target in targets]}
                for name, targets in edges.items()
            }
        },
    }
    member = {"type": "assistant_agent", "model": "m", "tools": ["count"]}
    inner: dict[str, Any] = {"type": "round_robin_group_chat", "name": "pair", "max_turns": 2}
    inner["participants"] = [{**member, "name": name} for name in "ab"]
    mind = {"type": "society_of_mind_agent", "name": "mind", "model": "m", "team": inner}
    only = {"per_source": [{"source": "mind", "position": "last", "count": 1}]}
    sieve = {"type": "message_filter_agent", "name": "sieve", "filter": only}
    society = {**duo(4), "participants": [mind, {**sieve, "agent": {**member, "name": "c"}}]}
    magentic: dict[str, Any] = {**duo(9), "type": "magentic_one", "model": "m", "max_stalls": 1}
    magentic["participants"][1]["tools"] = ["count"]
    ledgers: dict[str, list[Any]] = {
        "orchestrator": [
            *("facts", "plan", progress("a", "Begin."), "?", progress("b", "Count.")),
            *(progress("b", "Again.", moving=False), "other facts", "other plan"),
            *(progress("b", "Once more."), progress("b", "", done=True), "Counted twice."),
        ],
        "a": ["x"],
        "b": [_calls("count"), _calls("count")],
    }
    counting = [trio[0], {**trio[1], "tools": ["count"]}, trio[2]]
    hierarchy = {"type": "hierarchical", "participants": counting}
    agent = {"max_tool_iterations": 2, "tools": ["count"]}
    race = {"type": "competitive", "participants": [{**trio[0], **agent}, *trio[1:]], "enough": 1}
    formed = {"output_schema": FORM, "output_repairs": 2, "reflect_on_tool_use": True}
    lines = {name: [f"{name}{k}" for k in range(4)] for name in "abc"}
    delegates = [
        {"agent": {**member, "name": "helper"}},
        {"team": {**duo(1), "participants": [trio[1]], "name": "pair", "description": "Pairs."}},
    ]
    declaring = {**trio[0], "tools": delegates, "reflect_on_tool_use": True}
    both = [{"name": name, "arguments": {"task": "two"}} for name in ("helper", "pair")]
    tools: Case = (
        solo("count", "broken", max_tool_iterations=3, reflect_on_tool_use=True),
        {"a": [_calls("count", "broken", "count"), _calls("count"), "so", "DONE"]},
    )
    return {
        "turns": (duo(4), {"a": ["1", "3"], "b": ["2", "4"]}),
        "tools": tools,
        "servers": (
            solo(workbench=[{"type": "mcp", "server": "stock"}]),
            {"a": [_calls("order"), _calls("pieces", "order"), "DONE"]},
        ),
        "followed": tools,  # since a turn is one entry
        "concluded": (duo(2), {"a": ["1"], "b": ["2"]}),  # since the last call and the end are one
        "failure": (
            solo(),
            {"a": ["one", {"error": {"message": "no", "status_code": 400, "retryable": False}}]},
        ),
        "delegate": (
            solo("helper", reflect_on_tool_use=True),
            {"a": [_delegate("one"), "so", _delegate("two"), "DONE"]},
        ),
        "declared": (
            solo("count", reflect_on_tool_use=True) | {"participants": [declaring]},
            {
                "a": [_delegate("one"), "so", {"tool_calls": both}, "DONE"],
                "helper": [_calls("count"), "again"],
                "b": ["x", "y"],
            },
        ),
        "approval": (solo("sign"), {"a": [_calls("sign"), "DONE"]}),
        "handoff": (asking, {**lines, "a": [_calls("transfer_to_human"), *lines["a"]]}),
        "undecided": (
            undecided,
            {**lines, "selector": ["b", "?", "<think>b or c</think> c", "neither"]},
        ),
        "swarm": (
            swarm,
            {"a": [_calls("transfer_to_b"), "last"], "b": ["x", _calls("transfer_to_a")]},
        ),
        "magentic": (magentic, ledgers),
        "hierarchy": (
            hierarchy,
            {"a": ["b: count\nc: count", "Done"], "b": [_calls("count")]} | {"c": ["from c"]},
        ),
        "race": (race, {"a": [_calls("count"), "slow"], "b": ["quick"], "c": ["slower"] * 2}),
        "graph": (graph, {"a": ["x"], "b": [_calls("count")], "c": ["y"], "d": [_calls("count")]}),
        "society": (
            society,
            {
                "a": [_calls("count"), "2"],
                "b": ["1", _calls("count")],
                "c": ["c1", _calls("count")],
                "mind": ["first", "second"],
            },
        ),
        "in_form": (
            {**solo("count", reflect_on_tool_use=True), "output_model": "m", "output_repairs": 1},
            {
                "a": [_calls("count"), "DONE: one"],
                "output-schema": ["One", {"content": {"count": 1}}],
            },
        ),
        "out_of_form": (duo(2), {"a": ["1"], "b": ["2"], "output-schema": ['{"count": 0}'] * 3}),
        "repaired": (
            {**solo("count", **formed), "max_turns": 2},
            {
                "a": [
                    _calls("count"),
                    "One",
                    {"content": {"count": 1}},
                    "Two",
                    '{"count": 0}',
                    "Three",
                ]
            },
        ),
        "selection": (selector, {"selector": ["b", "a", "b"], "a": ["x"], "b": ["y", "z"]}),
        **SHAPES,
    }


def cluster_of(team: Mapping[str, Any], script: dict[str, list[Any]], **parts: Any) -> Cluster:
    """A deployment in this process that has the tools and the agents of all cases."""
    model = ScriptedModel(script, record=True)
    registry = Registry.of(
        teams={"team": team},
        models={"m": model},
        tools=TOOLS,
        agents=AGENTS,
        functions={**FUNCTIONS, "made": team_in_python(COUNT)},
        mcp_servers=[SERVER],
    )
    return Cluster({}, team={}, model=model, registry=registry, **parts)


async def submit(cluster: Cluster, name: str) -> RunRef:
    """Submit the run of a case; that of `thread` continues a conversation, some have a form."""
    if name in _IN_FORM:
        return await cluster.submit(output_schema=FORM)
    if name != "thread":
        return await cluster.submit()
    thread = (await cluster.threads.create(TENANT, ThreadRequest())).thread
    first = await cluster.submit(thread_id=thread.id)
    await _executed(cluster, first, "w0")
    return await cluster.submit("go on", thread_id=thread.id)


async def answer_all(cluster: Cluster, ref: RunRef) -> None:
    """Answer everything that the run asks people for."""
    for action in (await cluster.service.get(TENANT, ref.run_id)).required_actions:
        answer = Answer(action_id=action.id, content="yes")
        if action.type == "approval":
            answer = Answer(action_id=action.id, decision="approve")
        await cluster.service.answer(TENANT, ref.run_id, answer)


async def _executed(cluster: Cluster, ref: RunRef, owner: str) -> None:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()


async def record(name: str) -> dict[str, Any]:
    """Execute a case, with another worker after each wait, and return its log."""
    team, script = cases()[name]
    cluster = cluster_of(team, script)
    ref = await submit(cluster, name)
    for owner in ("w1", "w2", "w3"):
        await _executed(cluster, ref, owner)
        await answer_all(cluster, ref)
    return {"team": team, "log": await cluster.log(ref).documents_on(0)}


def main() -> None:
    """Write the logs that are not there yet."""
    folder = FOLDER / f"behaviour-{BEHAVIOUR}"
    folder.mkdir(exist_ok=True)
    for name in cases():
        file = folder / f"{name}.json"
        if not file.exists():
            text = json.dumps(asyncio.run(record(name)), indent=1)
            file.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
