"""Runs the loop of one run inside a task of the real event loop, in slices."""

import asyncio

from teamrun.errors import Runaway
from teamrun.runs.engine.loop import RunLoop

__all__ = ["drain"]

_SLICE = 2_000
"""Callbacks that one run may execute before the event loop serves the others."""

_RUNAWAY = 1_000_000
"""Callbacks in one drain after which a run fails: its code probably never awaits a call."""


async def drain(loop: RunLoop) -> None:
    """Run a run's loop until its code waits for calls; other runs are served in between.

    Args:
        loop: The loop of the run.

    Raises:
        Runaway: The code of the run does not stop.
    """
    for _ in range(_RUNAWAY // _SLICE):
        if _slice(loop):
            return
        await asyncio.sleep(0)
    raise Runaway("Team code does not stop running to await a model, tool or person.")


def _slice(loop: RunLoop) -> bool:
    """Drain a slice; True when the queue is empty.

    The task that executes the run is not the current task meanwhile, because tasks of the run's
    loop execute inside this call.
    """
    real, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "a run is executed by a task"
    asyncio._leave_task(real, task)  # pyright: ignore[reportPrivateUsage] - documented in "Extending asyncio"
    try:
        return loop.drain(_SLICE)
    finally:
        asyncio._enter_task(real, task)  # pyright: ignore[reportPrivateUsage] - the counterpart
