import asyncio
from datetime import timedelta

import pytest
from tests.support.runs import Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.announcer import Notices, view_key
from teamrun.runs.log.state import RunState

HOUR = timedelta(hours=1)


class Hearing(MemoryLive):
    """Keeps published messages."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []

    async def publish(self, topic: str, message: bytes) -> None:
        self.heard.append(message)


async def a_run() -> tuple[RunRef, RunState]:
    cluster = Cluster({"a": []}, team=solo())
    ref = await cluster.submit()
    state = await cluster.log(ref).state()
    assert state is not None
    return ref, state


async def ticks() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_first_notice_goes_out_at_once_and_those_after_it_together() -> None:
    ref, state = await a_run()
    live = Hearing()
    notices = Notices(live, gather=HOUR)
    counts: list[int] = []
    for _ in range(3):
        notices.changed(ref, state, view=False)
        await ticks()
        counts.append(len(live.heard))
    await notices.flushed()
    assert [*counts, len(live.heard)] == [1, 1, 1, 2]


@pytest.mark.parametrize("views", [True, False])
async def test_a_process_that_only_executes_shares_no_state(views: bool) -> None:
    ref, state = await a_run()
    live = MemoryLive()
    notices = Notices(live, views=views)
    notices.changed(ref, state, view=True)
    await notices.flushed()
    assert (await live.views([view_key(ref)]) != [None]) is views


async def test_text_is_sent_at_once_with_earlier_notices() -> None:
    ref, state = await a_run()
    live = Hearing()
    notices = Notices(live, gather=HOUR)
    notices.changed(ref, state, view=False)
    await ticks()
    notices.changed(ref, state, view=False)
    notices.delta(ref, {"agent": "a", "data": {"text": "word"}})
    await ticks()
    first, second, delta = live.heard
    assert (first, second) == (b"", b"")
    assert b"word" in delta


def test_work_submitted_while_the_loop_closes_leaves_no_task_behind() -> None:
    """A task that a timer starts in the last round of a loop is destroyed before it has begun."""

    async def main() -> None:
        ref, state = await a_run()
        notices = Notices(Hearing(), gather=HOUR)
        notices.changed(ref, state, view=False)
        await notices.flushed()
        notices.changed(ref, state, view=False)
        waiting = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert len(waiting) == 1  # so asyncio.run cancels it

    asyncio.run(main())
