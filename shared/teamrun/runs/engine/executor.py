"""The part of a process that executes runs: it handles messages, sweeps, and shuts down in time."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from teamrun.core.refs import RunRef
from teamrun.runs.engine.finish import Finish

__all__ = ["Executor", "RunEngine", "Sweeper", "Sweepers"]

logger = logging.getLogger(__name__)


class RunEngine(Protocol):
    """What an executor needs of the engine."""

    async def execute(
        self, ref: RunRef, *, deadline: datetime | None = None, handover: timedelta | None = None
    ) -> Finish:
        """Execute the run as far as this process can."""
        ...

    async def pause(self, ref: RunRef) -> timedelta:
        """How long to keep a message of a run that this process could not execute."""
        ...

    def stop(self) -> None:
        """Hand every run over once its calls in flight have completed."""
        ...

    def abort(self) -> None:
        """Hand every run over now; calls in flight are cancelled."""
        ...

    async def drained(self) -> None:
        """Return when no run is being executed."""
        ...

    async def close(self) -> None:
        """End the background tasks."""
        ...


class Sweeper(Protocol):
    """What an executor needs of the reaper."""

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep repeatedly until `stop` is set."""
        ...


class Sweepers:
    """Several sweepers as one; if one of them raises, all end, and are started again together."""

    def __init__(self, *sweepers: Sweeper) -> None:
        self._sweepers = sweepers

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep repeatedly until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            for sweeper in self._sweepers:
                group.create_task(sweeper.run(stop))


class Executor:
    """Executes the runs that messages name, and finds runs whose message was lost.

    Args:
        engine: Executes the runs.
        sweeper: Returns what finds the lost ones; called by the task that `start` begins.
        patience: The pause after a failure of the sweeper, and the longest time that `shutdown`
            waits for runs after it has cancelled their calls, and again after it has cancelled the
            runs.
    """

    def __init__(
        self,
        engine: RunEngine,
        sweeper: Callable[[], Sweeper],
        *,
        patience: timedelta = timedelta(seconds=5),
    ) -> None:
        self._engine = engine
        self._sweeper = sweeper
        self._patience_s = patience.total_seconds()
        self._handling: set[asyncio.Task[Any]] = set()
        self._stop = asyncio.Event()
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to sweep, on the running event loop."""
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def handle(
        self, ref: RunRef, *, deadline: datetime | None = None, handover: timedelta | None = None
    ) -> Finish:
        """Handle a queue message: execute the run that it names.

        Args:
            ref: The run.
            deadline: When the platform ends this process, if it does.
            handover: The longest time before it in which the run is handed over.

        Returns:
            How the execution finished. `Finish.receipt` is what the queue adapter does with the
            message.
        """
        if self._stop.is_set():
            return Finish.REFUSED
        task = asyncio.current_task()
        assert task is not None, "a message is handled in a task"
        self._handling.add(task)
        ids = ref.log_fields()
        try:
            finish = await self._engine.execute(ref, deadline=deadline, handover=handover)
        except Exception:
            # The log has everything that was durable; the reaper sends the run again.
            logger.exception(
                "A run could not be executed", extra={"action": "executor.run_failed", **ids}
            )
            return Finish.FAILED
        finally:
            self._handling.discard(task)
        if finish is Finish.ABSENT:
            logger.warning(
                "The queue named a run that is not in the store; another deployment may use the "
                "same namespace (TEAMRUN_NAMESPACE)",
                extra={"action": "executor.run_absent", **ids},
            )
        logger.info(
            "The execution of a run is over",
            extra={"action": "executor.run_finished", "outcome": str(finish), **ids},
        )
        return finish

    async def pause(self, ref: RunRef) -> timedelta:
        """How long a message with the receipt `RETURN_LATER` stays invisible in the queue.

        If another process executes the run and the log says until when, that time plus one lease;
        otherwise one lease. Always positive.
        """
        return await self._engine.pause(ref)

    def stop(self) -> None:
        """Refuse new messages and hand every run over; does not wait."""
        self._stop.set()
        self._engine.stop()

    def abort(self) -> None:
        """Refuse new messages and hand every run over now: calls in flight are cancelled."""
        self._stop.set()
        self._engine.abort()

    async def shutdown(self, grace: timedelta) -> None:
        """Stop within `grace` and three times the patience, whatever the calls of runs do.

        Args:
            grace: How long calls in flight may take to complete before they are cancelled.
        """
        self.stop()
        if not await self._drained(grace.total_seconds()):
            if grace:
                logger.warning(
                    "The grace period is over; calls in flight are cancelled",
                    extra={"action": "executor.grace_exceeded", "runs": len(self._handling)},
                )
            self._engine.abort()
            if not await self._drained(self._patience_s):
                for task in self._handling:
                    task.cancel()
                await asyncio.wait(self._handling, timeout=self._patience_s)
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        await self._engine.close()

    async def _drained(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                while self._handling:
                    await asyncio.wait(self._handling)
                await self._engine.drained()
        except TimeoutError:
            return False
        return True

    async def _sweep(self) -> None:
        while not self._stop.is_set():
            try:
                await self._sweeper().run(self._stop)
            except Exception:
                logger.exception("The reaper failed", extra={"action": "reaper.failed"})
                await asyncio.sleep(self._patience_s)
