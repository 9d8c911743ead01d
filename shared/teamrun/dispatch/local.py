"""Executes runs in this process: for the command line, tests, and a server without a queue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

from teamrun.core.refs import RunRef

__all__ = ["LocalDispatcher"]

logger = logging.getLogger(__name__)


class LocalDispatcher:
    """Implements `Dispatcher` with tasks on the running event loop.

    Args:
        execute: Called with each run. An exception is logged; the reaper sends the run again.
        capacity: Maximum number of runs executed at once; the others wait in the order in which
            they were sent. None for no limit.
    """

    def __init__(
        self,
        execute: Callable[[RunRef], Awaitable[object]],
        *,
        capacity: int | None = None,
    ) -> None:
        self._execute = execute
        self._places = nullcontext() if capacity is None else asyncio.Semaphore(capacity)
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, ref: RunRef) -> None:
        """Start a task that executes the run."""
        task = asyncio.create_task(self._run(ref), name=f"run {ref}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Return when no run is being executed, including those sent in the meantime."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel the executions; their runs continue elsewhere or later."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, ref: RunRef) -> None:
        try:
            async with self._places:
                await self._execute(ref)
        except Exception:
            logger.exception(
                "A run could not be executed",
                extra={"action": "dispatch.execution_failed", **ref.log_fields()},
            )
