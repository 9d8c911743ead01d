"""The tools of MCP servers in durable runs."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.entries import CallRecord, Intent, calls_of
from teamrun.runs.log.state import fold
from teamrun.testing import ScriptedModel
from teamrun.tools.mcp import McpServer, StdioServerParams
from teamrun.tools.mcp.server import ServerConduct

pytest.importorskip("mcp")

SERVER = str(Path(__file__).parents[2] / "support" / "mcp_stdio.py")
KEY = "canary-of-a-key"


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


class Servers(Cluster):
    """A deployment with one server, whose calls are written to a file."""

    def __init__(self, script: list[Any], folder: Path, **conduct: Any) -> None:
        self.file = folder / "calls"
        params = StdioServerParams(
            command=sys.executable,
            args=(SERVER, conduct.pop("kind", "ordinary")),
            env={"CALLS": str(self.file), "KEY": KEY},
        )
        bench: dict[str, Any] = {"type": "mcp", "server": "ours"}
        if "tools" in conduct:
            bench["tools"] = conduct.pop("tools")
        self.server = McpServer(params, name="ours", conduct=ServerConduct(**conduct))
        team = solo(workbench=[bench])
        model = ScriptedModel({"a": script}, record=True)
        registry = Registry.of(teams={"team": team}, models={"m": model}, mcp_servers=[self.server])
        super().__init__({}, team=team, model=model, registry=registry)

    @property
    def made(self) -> list[str]:
        """What the servers were asked, over all processes."""
        return self.file.read_text(encoding="utf-8").split() if self.file.exists() else []

    async def execute(self, ref: RunRef, owner: str = "w1") -> Finish | None:
        worker = self.worker(owner)
        try:
            return await worker.execute(ref)
        finally:
            await worker.close()

    async def records(self, ref: RunRef) -> list[CallRecord]:
        return [record for entry in await self.entries(ref) for record in calls_of(entry.body)]

    async def results(self, ref: RunRef) -> list[str]:
        records = await self.records(ref)
        return [
            str(record.value if record.error is None else record.error.message)
            for record in records
            if record.kind == "tool"
        ]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does, of which no event of this one tells."""
    async with asyncio.timeout(50):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_the_list_and_each_call_are_recorded_and_a_replay_asks_nothing(
    tmp_path: Path,
) -> None:
    cluster = Servers([call("add", a=1, b=2), call("a_b_c"), call("fail"), "DONE"], tmp_path)
    ref = await cluster.submit()
    assert await cluster.execute(ref) is Finish.ENDED
    records = await cluster.records(ref)
    assert [(each.call_id.rpartition("/")[2], each.name) for each in records] == [
        ("list:0", "mcp:ours"),
        ("model:0", "m"),
        ("tool:0", "add"),
        ("model:1", "m"),
        ("tool:1", "a_b_c"),
        ("model:2", "m"),
        ("tool:2", "fail"),
        ("model:3", "m"),
    ]
    assert await cluster.results(ref) == ["3", "a.b/c {}", "It is broken."]
    entries = await cluster.entries(ref)
    intents = [id for e in entries if isinstance(e.body, Intent) for id in e.body.calls]
    assert [id.rpartition("/")[2] for id in intents] == []
    made = cluster.made
    state = fold(entries)
    assert state is not None
    program = team_program(cluster.registry)(state.spec)
    assert await replay(cluster.log(ref), program, cluster.clock) is None
    assert cluster.made == made
    assert KEY not in str([entry.events for entry in entries]) + str(records)
    await cluster.server.aclose()


async def test_a_tool_without_annotations_has_effects_and_is_not_repeated(tmp_path: Path) -> None:
    cluster = Servers([call("pay", euros=1), "DONE"], tmp_path)
    ref = await cluster.submit()
    assert await cluster.execute(ref) is Finish.ENDED
    bodies = [entry.body for entry in await cluster.entries(ref)]
    intents = [id for body in bodies if isinstance(body, Intent) for id in body.calls]
    assert [id.rpartition("/")[2] for id in intents] == ["tool:0"]
    await cluster.server.aclose()


async def test_a_run_that_is_killed_between_list_and_call_keeps_its_list(tmp_path: Path) -> None:
    """The second worker's server has another list: what the run has recorded counts."""
    cluster = Servers([call("hang"), call("add", a=1, b=2), "DONE"], tmp_path)
    ref = await cluster.submit()
    async with cluster.working(ref, "w1") as (engine, task):
        await until(lambda: "hang" in cluster.made)
        engine.abort()
        assert await asyncio.wait_for(task, 50) is Finish.YIELDED
    await cluster.server.aclose()
    other = Servers([], tmp_path, kind="reduced", call_seconds=0.5)
    cluster.registry = Registry.of(
        teams={}, models={"m": cluster.model}, mcp_servers=[other.server]
    )
    cluster.clock.shift += cluster.lease * 3
    assert await cluster.execute(ref, "w2") is Finish.ENDED
    assert [each.kind for each in await cluster.records(ref)].count("list") == 1
    assert [text[:8] for text in await cluster.results(ref)] == ["The MCP ", "3"]
    offered = [[tool["name"] for tool in each.tools] for each in cluster.model.calls]
    assert [len(names) for names in offered] == [18, 18, 18]
    await other.server.aclose()


async def test_tools_that_a_server_adds_are_offered_after_the_call(tmp_path: Path) -> None:
    cluster = Servers([call("more"), call("extra_1", x=1), "DONE"], tmp_path)
    ref = await cluster.submit()
    assert await cluster.execute(ref) is Finish.ENDED
    records = await cluster.records(ref)
    assert [each.call_id.rpartition("/")[2] for each in records if each.kind == "list"] == [
        "list:0",
        "list:1",
    ]
    assert await cluster.results(ref) == ["there are more", 'extra_1 {"x": 1}']
    await cluster.server.aclose()


async def test_a_session_belongs_to_its_run_and_ends_with_it(tmp_path: Path) -> None:
    script = [call("count"), call("count"), "DONE"]
    cluster = Servers([*script, *script], tmp_path, session="stateful")
    for expected in (["1", "2"], ["1", "2"]):
        ref = await cluster.submit()
        assert await cluster.execute(ref) is Finish.ENDED
        assert await cluster.results(ref) == expected
        assert cluster.server.sessions == 0
    await until(lambda: cluster.made.count("ended") == 2)


@pytest.mark.parametrize(("on_lost", "status"), [("tell", "completed"), ("fail", "failed")])
async def test_a_session_that_is_lost_with_its_worker_is_told_or_fails_the_run(
    on_lost: str, status: str, tmp_path: Path
) -> None:
    script = [call("count"), call("hang"), call("count"), "DONE"]
    cluster = Servers(script, tmp_path, session="stateful", on_lost=on_lost)
    ref = await cluster.submit()
    async with cluster.working(ref, "w1") as (engine, task):
        await until(lambda: "hang" in cluster.made)
        engine.abort()
        assert await asyncio.wait_for(task, 50) is Finish.YIELDED
    cluster.clock.shift += cluster.lease * 3
    assert await cluster.execute(ref, "w2") is Finish.ENDED
    run = await cluster.service.get(TENANT, ref.run_id)
    assert run.status == status
    if on_lost == "fail":
        assert run.stop_code == "session_lost"
    else:
        first, lost, again = await cluster.results(ref)
        assert (first, again) == ("1", "1")
        assert "session" in lost
        assert "lost" in lost
    await cluster.server.aclose()


async def test_a_server_that_cannot_list_fails_the_run(tmp_path: Path) -> None:
    cluster = Servers(["DONE"], tmp_path, tools=["subtract"])
    ref = await cluster.submit()
    assert await cluster.execute(ref) is Finish.ENDED
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_code) == ("failed", "mcp_server_failed")
    assert "has no tool 'subtract'" in str(run.stop_reason)
    await cluster.server.aclose()


async def test_a_person_approves_each_call_of_a_server_that_needs_it(tmp_path: Path) -> None:
    cluster = Servers([call("add", a=1, b=2), "DONE"], tmp_path, approval=True)
    ref = await cluster.submit()
    assert await cluster.execute(ref) is Finish.WAITING
    run = await cluster.service.get(TENANT, ref.run_id)
    assert run.required_actions[0].prompt == 'May a call add({"a":1,"b":2})?'
    assert "add" not in cluster.made
    await cluster.server.aclose()


async def test_images_become_artifacts_and_progress_an_event(tmp_path: Path) -> None:
    cluster = Servers([call("picture"), call("progress"), "DONE"], tmp_path)
    ref = await cluster.submit()
    assert await cluster.execute(ref) is Finish.ENDED
    text, _ = await cluster.results(ref)
    (artifact,) = await cluster.service.artifacts(TENANT, ref.run_id)
    assert text == f"A point:\n[image/png, stored as artifact {artifact.name}]"
    assert (artifact.media_type, artifact.size) == ("image/png", 70)
    events = [event for entry in await cluster.entries(ref) for event in entry.events]
    (told,) = [event.data for event in events if event.type == "tool.call.progressed"]
    assert (told["note"], told["percent"]) == ("a quarter", 25.0)
    await cluster.server.aclose()


async def test_a_cancelled_run_ends_its_call_and_its_server(tmp_path: Path) -> None:
    cluster = Servers([call("hang"), "DONE"], tmp_path, session="stateful")
    ref = await cluster.submit()
    async with cluster.working(ref, "w1") as (_, task):
        await until(lambda: "hang" in cluster.made)
        await cluster.service.cancel(TENANT, ref.run_id)
        assert await asyncio.wait_for(task, 50) is Finish.ENDED
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "cancelled"
    assert cluster.server.sessions == 0
    await cluster.server.aclose()
