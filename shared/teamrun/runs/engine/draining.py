"""Runs the loop of one run from the real event loop, in slices."""

import asyncio
from collections.abc import Callable

from teamrun.errors import Runaway
from teamrun.runs.engine.loop import RunLoop

__all__ = ["drain"]

_SLICE = 2_000
"""Callbacks that one run may execute before the event loop serves the others."""

_RUNAWAY = 1_000_000
"""Callbacks in one drain after which a run fails: its code probably never awaits a call."""


async def drain(loop: RunLoop, then: Callable[[], None] | None = None) -> None:
    """Run a run's loop until its code waits for calls; other runs are served in between.

    The slices are plain callbacks of the real loop, because a task of the run's loop must not
    execute inside a task of the real one.

    Args:
        loop: The loop of the run.
        then: Called in the last slice, so that what it starts is not one tick late.

    Raises:
        Runaway: The code of the run does not stop.
    """
    real = asyncio.get_running_loop()
    drained: asyncio.Future[None] = real.create_future()
    real.call_soon(_slice, loop, drained, then, _RUNAWAY)
    await drained


def _slice(
    loop: RunLoop, drained: asyncio.Future[None], then: Callable[[], None] | None, budget: int
) -> None:
    # A closure that refers to itself would leave a reference cycle each time.
    if drained.cancelled():
        return
    try:
        is_drained = loop.drain(_SLICE)
        if is_drained and then is not None:
            then()
    except Exception as error:  # otherwise the execution would wait forever
        drained.set_exception(error)
        return
    if is_drained:
        drained.set_result(None)
    elif budget <= 0:
        drained.set_exception(
            Runaway("Team code does not stop running to await a model, tool or person.")
        )
    else:
        asyncio.get_running_loop().call_soon(_slice, loop, drained, then, budget - _SLICE)
