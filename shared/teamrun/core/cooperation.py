"""Cooperation on an event loop: work that never suspends must let timers and other tasks run."""

import asyncio

from teamrun.messages.origin import current_origin

__all__ = ["yield_to_loop"]


async def yield_to_loop() -> None:
    """Let the event loop run everything else that is ready, once.

    Without it, a team whose members never suspend (scripted models, agents that compute) would
    block the loop: no timeout, cancellation or Ctrl-C would reach it. Does nothing inside a durable
    run, whose loop runs nothing else and is bounded by the engine. There, a different order of
    ready tasks would change the order of calls.
    """
    if current_origin.get() is None:
        await asyncio.sleep(0)
