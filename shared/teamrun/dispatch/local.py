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
        execute: Called with each run; what it raises is logged, for the reaper asks again.
        capacity: How many runs are executed at once; others wait in the order in which they were
            sent. None: as many as are sent.
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
        """Return when nothing is being executed, what was sent meanwhile included."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel what is being executed; its runs go on elsewhere or later."""
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
