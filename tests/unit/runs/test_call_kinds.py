"""The table of call kinds: the rules are data, and a new kind is one row."""

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.support.runs import Cluster, solo

import teamrun.runs
from teamrun.errors import UnreadableEntry
from teamrun.runs.log.entries import calls_of
from teamrun.runs.log.keys import entry_key
from teamrun.runs.log.kinds import CALL_KINDS, CallCounter, CallLimit
from teamrun.runs.log.limits import AgentLimits
from teamrun.runs.log.usage import Usage

NEW_KIND = """
import asyncio, json, os, sys
from pydantic import TypeAdapter
from tests.support.runs import TENANT, Cluster, solo
from teamrun.messages.llm import RequestUsage
from teamrun.runs.engine.protocol import Outcome
from teamrun.runs.log.entries import End
from teamrun.runs.log.keys import entry_key
from teamrun.runs.log.kinds import CALL_KINDS, CallKind

ROWS = {
    "tool": CallKind(counter="tool_calls", limits=("max_tool_calls",)),
    "model": CallKind(
        counter="model_calls", limits=("max_input_tokens", "max_model_calls"), is_by_profile=True
    ),
    "outer": CallKind(has_calls_inside=True),
}
seen = {}

async def perform(context):
    if row == "outer":
        await context.make("tool", "t", seen["made"]("t/a"), inner, "0" * 64)
    if context.info.position == 1:
        raise ValueError("no")
    return Outcome(value=1, usage=RequestUsage(prompt_tokens=3, completion_tokens=2))

async def inner(context):
    return Outcome(value=2)

async def program(journal):
    seen["made"] = journal.inner.made
    if row == "tool" and limits.get("max_tool_calls") == 1:
        both = [journal.call("t/a", kind, "n", 0, inner) for kind in ("tool", "new")]
        await asyncio.gather(*both)
    for _ in range(3):
        await journal.call("t/a", "new", "n", journal.position("t/a", "new"), perform)
    return End(status="completed")

async def main():
    cluster = Cluster({}, team=solo())
    ref = await cluster.submit(limits=limits)
    worker = cluster.worker("w1", program=lambda spec: program)
    await worker.execute(ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    metrics = [line for line in worker.metric_lines() if "calls_total{" in line]
    entries = await cluster.entries(ref)
    events = [event for entry in entries for event in entry.events]
    await cluster.close()
    print(json.dumps({
        "status": run.status, "stop_code": run.stop_code,
        "usage": TypeAdapter(type(run.usage)).dump_python(run.usage, mode="json"),
        "metrics": metrics,
        "events": [event.type for event in events if ".call." in event.type],
        "names": [event.data.get("new") for event in events if ".call." in event.type],
        "tool_calls": [event.data["call_id"] for event in events if event.type.startswith("tool.")],
    }))

for line in sys.stdin:
    if (child := os.fork()) == 0:
        row, limits = json.loads(line)
        if row is not None:
            CALL_KINDS["new"] = ROWS[row]
        asyncio.run(main())
        sys.exit()
    if os.waitpid(child, 0)[1]:
        print("null")
    sys.stdout.flush()
"""

Driven = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def driven() -> Iterator[Driven]:
    """Makes a run of three calls of a kind whose row is added first, in a process of its own.

    These processes are forked off one that has imported everything.
    """
    command = [sys.executable, "-c", NEW_KIND]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as parent:

        def drive(row: str | None, **limits: int) -> dict[str, Any]:
            assert parent.stdin and parent.stdout
            parent.stdin.write(json.dumps([row, limits]) + "\n")
            parent.stdin.flush()
            made = json.loads(parent.stdout.readline())
            assert made is not None, "the reason is in stderr"
            return made

        yield drive


THREE = ["new.call.completed", "new.call.failed", "new.call.completed"]


def test_a_new_kind_that_counts_as_a_tool_is_one_row(driven: Driven) -> None:
    run = driven("tool")
    assert (run["status"], run["events"], run["names"]) == ("completed", THREE, ["n"] * 3)
    usage = run["usage"]
    assert (usage["tool_calls"], usage["model_calls"], usage["by_model"]) == (3, 0, {})
    assert usage["by_agent"]["a"]["tool_calls"] == 3
    assert run["metrics"] == [
        'teamrun_tool_calls_total{outcome="completed"} 2',
        'teamrun_tool_calls_total{outcome="run_failed"} 1',
    ]


def test_a_new_kind_that_counts_as_a_model_is_counted_by_profile_with_its_tokens(
    driven: Driven,
) -> None:
    run = driven("model")
    assert (run["status"], run["events"]) == ("completed", THREE)
    usage = run["usage"]
    assert (usage["model_calls"], usage["input_tokens"], usage["tool_calls"]) == (3, 6, 0)
    assert usage["by_model"]["n"]["output_tokens"] == 4
    assert run["metrics"] == [
        'teamrun_model_calls_total{profile="n",outcome="completed"} 2',
        'teamrun_model_calls_total{profile="n",outcome="run_failed"} 1',
    ]


@pytest.mark.parametrize(
    ("row", "limit", "made"),
    [
        ("tool", "max_tool_calls", 2),
        ("tool", "max_input_tokens", None),
        ("model", "max_model_calls", 2),
        ("model", "max_tool_calls", None),
        ("model", "max_input_tokens", 1),
    ],
)
def test_the_limits_of_the_row_apply_and_no_others(
    driven: Driven, row: str, limit: str, made: int | None
) -> None:
    run = driven(row, **{limit: 2})
    ended = ("completed", None) if made is None else ("incomplete", limit)
    assert (run["status"], run["stop_code"]) == ended
    assert run["events"] == THREE[:made]


def test_calls_under_way_of_kinds_with_one_counter_share_its_limit(driven: Driven) -> None:
    run = driven("tool", max_tool_calls=1)
    assert (run["status"], run["stop_code"]) == ("incomplete", "max_tool_calls")
    assert run["events"] == ["tool.call.completed"]


def test_calls_inside_a_new_kind_are_numbered_across_its_calls(driven: Driven) -> None:
    run = driven("outer")
    assert run["status"] == "completed"
    assert run["tool_calls"] == [f"t/a/new:{k}/tool:{k}" for k in range(3)]
    assert (run["usage"]["tool_calls"], run["usage"]["model_calls"]) == (3, 0)


def test_rows_name_counters_and_limits_that_exist_and_every_limit_has_a_row() -> None:
    counters = {row.counter for row in CALL_KINDS.values()} - {None}
    limits = {limit for row in CALL_KINDS.values() for limit in row.limits}
    assert counters == {*get_args(CallCounter)} <= {*Usage.__dataclass_fields__}
    assert limits == {*get_args(CallLimit)} == {*AgentLimits.model_fields}
    assert all(hasattr(Usage(), limit.removeprefix("max_")) for limit in limits)


def compared_kinds(tree: ast.AST) -> list[int]:
    """The lines of comparisons of a `kind` with the name of a kind of call."""
    lines: list[int] = []
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=ast.Attribute(attr="kind") | ast.Name(id="kind")):
                constants = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
                lines += [node.lineno] * bool(constants & CALL_KINDS.keys())
            case ast.Match(subject=ast.Attribute(attr="kind") | ast.Name(id="kind")):
                lines.append(node.lineno)
            case _:
                pass
    return lines


def test_no_rule_of_runs_hangs_on_the_name_of_a_kind() -> None:
    assert compared_kinds(ast.parse('call.kind == "model" or kind in ("tool",)')) == [1, 1]
    [folder] = teamrun.runs.__path__
    found = {
        path.name: lines
        for path in Path(folder).rglob("*.py")
        if (lines := compared_kinds(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


async def test_a_log_with_an_unknown_kind_of_call_is_not_readable() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    await cluster.worker().execute(ref)
    key = next(
        entry_key(ref, entry.n) for entry in await cluster.entries(ref) if calls_of(entry.body)
    )
    data = await cluster.store.get(key)
    await cluster.store.delete(key)
    await cluster.store.put(key, data.replace(b'"kind":"model"', b'"kind":"from_the_future"'))
    with pytest.raises(UnreadableEntry):
        await cluster.entries(ref)
