"""Executing in the same process."""

import asyncio

import pytest

from teamrun.core.refs import RunRef
from teamrun.dispatch.local import LocalDispatcher
from teamrun.dispatch.queues import Queue

ONE, TWO = RunRef("default", "one"), RunRef("default", "two")


async def test_runs_are_executed_side_by_side() -> None:
    both = asyncio.Barrier(2)

    async def execute(ref: RunRef) -> None:
        await both.wait()
        executed.add(ref)

    executed: set[RunRef] = set()
    dispatcher = LocalDispatcher(execute)
    await dispatcher.send([ONE])
    await dispatcher.send([TWO])
    await dispatcher.idle()
    assert executed == {ONE, TWO}


async def test_runs_sent_by_a_run_are_executed_before_it_is_idle() -> None:
    async def execute(ref: RunRef) -> None:
        executed.append(ref)
        if ref == ONE:
            await dispatcher.send([TWO])

    executed: list[RunRef] = []
    dispatcher = LocalDispatcher(execute)
    await dispatcher.send([ONE])
    await dispatcher.idle()
    assert executed == [ONE, TWO]


async def test_a_failure_is_logged_with_the_run_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def execute(ref: RunRef) -> None:
        if ref == ONE:
            raise OSError("broken")
        executed.append(ref)

    executed: list[RunRef] = []
    dispatcher = LocalDispatcher(execute)
    await dispatcher.send([ONE])
    await dispatcher.send([TWO])
    await dispatcher.idle()
    assert executed == [TWO]
    (record,) = caplog.records
    assert vars(record)["run_id"] == "one"
    assert vars(record)["action"] == "dispatch.execution_failed"


async def test_closing_cancels_what_is_executed() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def execute(ref: RunRef) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    dispatcher = LocalDispatcher(execute)
    await dispatcher.send([ONE])
    await started.wait()
    await dispatcher.close()
    assert cancelled.is_set()


async def test_at_capacity_interactive_runs_start_before_a_batch() -> None:
    executed: list[str] = []

    async def execute(ref: RunRef) -> None:
        executed.append(ref.run_id)

    dispatcher = LocalDispatcher(execute, capacity=1)
    await dispatcher.send([RunRef("t", f"b{n}") for n in range(3)], queue=Queue.BATCH)
    await dispatcher.send([ONE, TWO])
    await dispatcher.send([RunRef("t", "b1"), RunRef("t", "again")], queue=Queue.BATCH, first=True)
    await dispatcher.idle()
    assert executed == ["b0", "one", "two", "b1", "again", "b1", "b2"]


async def test_what_waits_is_not_started_by_closing() -> None:
    started: list[RunRef] = []

    async def execute(ref: RunRef) -> None:
        started.append(ref)
        await asyncio.Event().wait()

    dispatcher = LocalDispatcher(execute, capacity=1)
    await dispatcher.send([ONE, TWO])
    await asyncio.sleep(0)
    await dispatcher.close()
    assert started == [ONE]
