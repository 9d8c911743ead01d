"""Executes runs in this process: for the command line, tests, and a server without a queue."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue

__all__ = ["LocalDispatcher"]

logger = logging.getLogger(__name__)


class LocalDispatcher:
    """Implements `Dispatcher` with tasks on the running event loop.

    Args:
        execute: Called with each run. An exception is logged; the reaper sends the run again.
        capacity: Maximum number of runs executed at once; the others wait, by the priority of their
            queue and in the order in which they were sent. None for no limit.
    """

    def __init__(
        self,
        execute: Callable[[RunRef], Awaitable[object]],
        *,
        capacity: int | None = None,
    ) -> None:
        self._execute = execute
        self._capacity = capacity
        self._waiting: dict[Queue, deque[RunRef]] = {queue: deque() for queue in Queue}
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        """Start a task for each run, as far as the capacity allows now."""
        waiting = self._waiting[queue]
        if first:
            waiting.extendleft(reversed(refs))
        else:
            waiting.extend(refs)
        self._fill()

    async def idle(self) -> None:
        """Return when no run is being executed, including those sent in the meantime."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel the executions; their runs continue elsewhere or later."""
        for waiting in self._waiting.values():
            waiting.clear()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fill(self) -> None:
        for waiting in self._waiting.values():
            while waiting and (self._capacity is None or len(self._tasks) < self._capacity):
                ref = waiting.popleft()
                task = asyncio.create_task(self._run(ref), name=f"run {ref}")
                self._tasks.add(task)
                task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._fill()

    async def _run(self, ref: RunRef) -> None:
        try:
            await self._execute(ref)
        except Exception:
            logger.exception(
                "A run could not be executed",
                extra={"action": "dispatch.execution_failed", **ref.log_fields()},
            )
