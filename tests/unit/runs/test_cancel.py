"""The two modes of a cancel: calls under way complete, or are interrupted."""

import asyncio
import contextlib
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.runs.engine import calls
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.entries import Signal, calls_of
from teamrun.tools.function import FunctionTool

CALL: dict[str, Any] = {"tool_calls": [{"name": "work", "arguments": {}}]}


class Work:
    """A tool that waits for a test."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.times = 0
        self.interrupted = False

    async def work(self) -> str:
        """Do it."""
        self.times += 1
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.interrupted = True
            raise
        return "done"


def _cluster(work: Work) -> Cluster:
    tool = FunctionTool(work.work, description="Work.", effects="write")
    return Cluster({"a": [CALL, "DONE"]}, team=solo("work", reflect_on_tool_use=True), tools=[tool])


async def test_a_graceful_cancel_lets_the_call_under_way_complete_and_begins_no_other() -> None:
    work = Work()
    cluster = _cluster(work)
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, finished):
        await work.begun.wait()
        run = await cluster.service.cancel(TENANT, ref.run_id, mode="graceful", reason="later")
        assert run.status == "cancelling"
        again = await cluster.service.cancel(TENANT, ref.run_id, mode="graceful")
        assert again.revision == run.revision
        work.may_end.set()
        assert await finished is Finish.ENDED

    assert (work.times, work.interrupted) == (1, False)
    calls = [call for entry in await cluster.entries(ref) for call in calls_of(entry.body)]
    assert [call.kind for call in calls] == ["model", "tool"]
    assert calls[-1].error is None
    result = await cluster.service.result(TENANT, ref.run_id)
    assert (result.status, result.stop_reason) == ("cancelled", "later")
    assert (await cluster.service.get(TENANT, ref.run_id)).unknown_outcomes == []


@pytest.mark.parametrize("first", ["graceful", None])
async def test_now_interrupts_the_call_under_way_also_after_a_graceful_cancel(
    first: str | None,
) -> None:
    work = Work()
    cluster = _cluster(work)
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, finished):
        await work.begun.wait()
        if first is not None:
            await cluster.service.cancel(TENANT, ref.run_id, mode="graceful", reason="later")
        await cluster.service.cancel(TENANT, ref.run_id, mode="now")
        assert await finished is Finish.ENDED

    assert work.interrupted
    run = await cluster.service.get(TENANT, ref.run_id)
    assert run.status == "cancelled"
    assert run.stop_reason == (None if first is None else "later")
    modes = [e.body.mode for e in await cluster.entries(ref) if isinstance(e.body, Signal)]
    assert modes == (["now"] if first is None else ["graceful", "now"])


async def test_a_graceful_cancel_does_not_outlast_the_runs_time_limit() -> None:
    work = Work()
    cluster = _cluster(work)
    ref = await cluster.submit(limits={"timeout_seconds": 0.2})
    async with cluster.working(ref) as (_, finished):
        await work.begun.wait()
        await cluster.service.cancel(TENANT, ref.run_id, mode="graceful")
        assert await asyncio.wait_for(finished, 20) is Finish.ENDED
    assert work.interrupted
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "cancelled"


async def test_a_graceful_cancel_of_a_run_without_a_worker_ends_it_at_once() -> None:
    cluster = _cluster(Work())
    ref = await cluster.submit()
    run = await cluster.service.cancel(TENANT, ref.run_id, mode="graceful")
    assert run.status == "cancelled"


async def _types_after(interrupt: str) -> list[str]:
    """The events of a run that is interrupted in a tool, after which its agent asks the model."""
    work = Work()
    cluster = _cluster(work)
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, finished):
        await work.begun.wait()
        if interrupt == "pause":
            await cluster.service.pause(TENANT, ref.run_id)
        else:
            await cluster.service.cancel(TENANT, ref.run_id, mode="graceful")
        work.may_end.set()
        await finished
    types = await cluster.event_types(ref)
    if interrupt == "pause":
        await cluster.service.resume(TENANT, ref.run_id)
        worker = cluster.worker("w2")
        await worker.execute(ref)
        await worker.close()
        whole = await cluster.event_types(ref)
        assert whole[: len(types)] == types
        assert whole.count("model.call.started") == whole.count("model.call.completed") == 2
    return types


@pytest.mark.parametrize("interrupt", ["graceful cancel", "pause"])
async def test_no_call_is_announced_that_does_not_begin(interrupt: str) -> None:
    types = await _types_after(interrupt)

    assert types.count("model.call.started") == types.count("model.call.completed") == 1
    assert types[-1] in ("run.cancelled", "run.paused")


class Stubborn(Work):
    """A tool that ignores its cancellation until the test releases it."""

    async def work(self) -> str:
        """Do it."""
        self.times += 1
        self.begun.set()
        while not self.may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.may_end.wait()
        return "late"


@pytest.mark.parametrize("end", ["cancel", "timeout", "abort"])
async def test_a_call_that_ignores_its_cancellation_does_not_keep_its_run(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_PATIENCE_S", 0.01)
    work = Stubborn()
    cluster = _cluster(work)
    limits: dict[str, Any] = {"limits": {"timeout_seconds": 0.05}} if end == "timeout" else {}
    ref = await cluster.submit(**limits)
    async with cluster.working(ref) as (engine, finished):
        await work.begun.wait()
        if end == "cancel":
            await cluster.service.cancel(TENANT, ref.run_id, mode="now")
        elif end == "abort":
            engine.abort()
        assert await finished is (Finish.YIELDED if end == "abort" else Finish.ENDED)
        entries = await cluster.entries(ref)
        work.may_end.set()
        for _ in range(20):
            await asyncio.sleep(0)

    assert await cluster.entries(ref) == entries  # the late outcome is dropped
    run = await cluster.service.get(TENANT, ref.run_id)
    assert run.status == {"cancel": "cancelled", "timeout": "incomplete"}.get(end, "queued")
