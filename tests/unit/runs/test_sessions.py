import asyncio
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.runs.engine.finish import Finish
from teamrun.runs.service.resources import Run
from teamrun.tools.base import OnLost, Tool
from teamrun.tools.function import FunctionTool


class Browser:
    """Pages that are open in one process; the second visit hangs until the worker is lost."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.hangs = asyncio.Event()

    async def visit(self, page: str) -> str:
        """Open a page."""
        if page == "two" and not self.hangs.is_set():
            self.hangs.set()
            await asyncio.Event().wait()
        self.opened.append(page)
        return f"shows {page}"

    async def read(self) -> str:
        """Read the open page."""
        return f"text of {self.opened[-1]}"


def visit(page: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": "visit", "arguments": {"page": page}}]}


READ: dict[str, Any] = {"tool_calls": [{"name": "read", "arguments": {}}]}


def cluster_of(browser: Browser, script: list[Any], on_lost: OnLost = "tell") -> Cluster:
    tools: list[Tool] = [
        FunctionTool(function, session="stateful", on_lost=on_lost)
        for function in (browser.visit, browser.read)
    ]
    return Cluster({"a": script}, team=solo("visit", "read"), tools=tools)


async def over_two_workers(cluster: Cluster, browser: Browser) -> tuple[Run, RunRef]:
    """The first worker is lost while it opens page two."""
    ref = await cluster.submit()
    async with cluster.working(ref, "w1") as (engine, task):
        await asyncio.wait_for(browser.hangs.wait(), 10)
        engine.abort()
        assert await asyncio.wait_for(task, 10) is Finish.YIELDED
    worker = cluster.worker("w2")
    assert await worker.execute(ref) is Finish.ENDED
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id), ref


async def results(cluster: Cluster, ref: RunRef) -> list[str]:
    events = (await cluster.service.events(TENANT, ref.run_id, limit=999)).data
    return [
        str(event.data["result"])
        for event in events
        if event.type.startswith("tool.call.") and "result" in event.data
    ]


async def test_an_agent_is_informed_once_that_its_session_is_lost_and_begins_another() -> None:
    browser = Browser()
    script = [visit("one"), visit("two"), visit("three"), READ, "DONE"]
    cluster = cluster_of(browser, script)
    run, ref = await over_two_workers(cluster, browser)
    assert run.status == "completed"
    told = await results(cluster, ref)
    assert [told[0], *told[2:]] == ["shows one", "shows three", "text of three"]
    assert "session of visit was lost" in told[1]
    assert browser.opened == ["one", "three"]


async def test_a_lost_session_fails_the_run_where_that_is_the_policy() -> None:
    browser = Browser()
    cluster = cluster_of(browser, [visit("one"), visit("two"), "DONE"], "fail")
    run, _ = await over_two_workers(cluster, browser)
    assert (run.status, run.stop_code) == ("failed", "session_lost")


@pytest.mark.parametrize("script", [[visit("two"), READ, "DONE"]])
async def test_a_session_of_which_nothing_is_on_record_is_simply_begun(script: list[Any]) -> None:
    browser = Browser()
    cluster = cluster_of(browser, script)
    run, ref = await over_two_workers(cluster, browser)
    assert run.status == "completed"
    assert await results(cluster, ref) == ["shows two", "text of two"]
