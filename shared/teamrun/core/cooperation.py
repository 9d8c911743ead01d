"""Sharing an event loop: work that awaits nothing must still let timers and other tasks run."""

import asyncio

from teamrun.messages.origin import current_origin

__all__ = ["yield_to_loop"]


async def yield_to_loop() -> None:
    """Let the event loop run everything else that is ready, once.

    Without it, a team whose members never suspend (scripted models, agents that compute) would
    keep the loop for itself: no timeout, no cancellation and no Ctrl-C would reach it. Does
    nothing inside a durable run: its loop runs nothing else, the engine bounds how long it is
    drained, and a change in the order of ready tasks would change the order of calls.
    """
    if current_origin.get() is None:
        await asyncio.sleep(0)
