"""What every cloud function does with the runtime, whatever its platform.

An instance of a function opens one runtime at its first invocation and keeps it. The platform may
freeze the instance between invocations and end it at any time. So nothing runs in the background:
each invocation completes what it has started, and a timer does what background tasks do elsewhere.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from teamrun.core.refs import RunRef
from teamrun.runs.engine.finish import Receipt
from teamrun.runtime import Runtime

__all__ = ["FunctionHost", "Outcome"]

logger = logging.getLogger(__name__)

_SETTLE_BEFORE: Final = timedelta(seconds=5)
"""What is in progress this long before the platform ends the function is left to the next timer."""


class Outcome(NamedTuple):
    """What becomes of the message that named a run."""

    ref: RunRef
    pause: timedelta | None
    """After which time the run has to be sent again; None if the message has done its work."""


class FunctionHost:
    """The runtime of one instance of a function. All calls are made on one event loop.

    Args:
        open_runtime: Opens a runtime with `is_frozen`.
    """

    def __init__(self, open_runtime: Callable[[], AbstractAsyncContextManager[Runtime]]) -> None:
        self._open = open_runtime
        self._stack = AsyncExitStack()
        self._runtime: Runtime | None = None
        self._opening = asyncio.Lock()

    async def runtime(self) -> Runtime:
        """The runtime; opened by the first call, and again by the next one if that failed.

        Raises:
            UsageError: A setting or the operator's file is invalid, or the store cannot be used.
            StorageError: The store cannot be opened.
        """
        async with self._opening:
            if self._runtime is None:
                self._runtime = await self._stack.enter_async_context(self._open())
            return self._runtime

    async def execute(self, refs: Sequence[RunRef], *, deadline: datetime) -> list[Outcome]:
        """Execute the runs of messages at the same time.

        Args:
            refs: The runs.
            deadline: When the platform ends this invocation. Runs are handed over before.

        Raises:
            TeamrunError: See `runtime`.
        """
        runtime = await self.runtime()
        outcomes = await asyncio.gather(*(_execute(runtime, ref, deadline) for ref in refs))
        await self.settle(deadline)
        return outcomes

    async def deliver(self, refs: Sequence[RunRef], *, deadline: datetime) -> None:
        """Make the deliveries, and drive the batches, that messages of the queue `hooks` name.

        Raises:
            TeamrunError: See `runtime`.
        """
        runtime = await self.runtime()
        delivery = runtime.webhooks.delivery
        assert delivery is not None, "a function that executes runs delivers, too"
        assert runtime.upkeep is not None, "a function that executes runs drives batches, too"
        batches = [ref for ref in refs if _names_batch(ref)]
        jobs = [ref for ref in refs if not _names_batch(ref)]
        async with asyncio.timeout(_left(deadline)):
            await asyncio.gather(*map(delivery.deliverer.handle, jobs))
        if batches:
            await runtime.upkeep().rounds.drive(batches, deadline)
        await self.settle(deadline)

    async def look_around(self, *, deadline: datetime) -> None:
        """Do what background tasks do elsewhere; see `Rounds.go`.

        Raises:
            TeamrunError: See `runtime`.
        """
        runtime = await self.runtime()
        assert runtime.upkeep is not None, "a function that executes runs looks around, too"
        await runtime.upkeep().rounds.go(deadline)
        await self.settle(deadline)

    async def give_up(self, refs: Sequence[RunRef], *, deadline: datetime) -> None:
        """Settle messages that the platform has moved to its queue of dead letters.

        Raises:
            TeamrunError: See `runtime`, and `DeadLetters.settle`.
        """
        runtime = await self.runtime()
        assert runtime.upkeep is not None, "a function that executes runs settles them, too"
        for ref in refs:
            await runtime.upkeep().dead_letters.settle(ref)
        await self.settle(deadline)

    async def settle(self, deadline: datetime) -> None:
        """Complete what this invocation has started, before the platform freezes the instance."""
        runtime = await self.runtime()
        try:
            async with asyncio.timeout(_left(deadline)):
                await runtime.settled()
        except TimeoutError:
            logger.info(
                "An invocation ends before its deliveries; the timer makes them",
                extra={"action": "function.unsettled"},
            )

    async def close(self) -> None:
        """Close the runtime; the next call opens another one."""
        async with self._opening:
            self._runtime = None
            await self._stack.aclose()


async def _execute(runtime: Runtime, ref: RunRef, deadline: datetime) -> Outcome:
    executor = runtime.executor
    assert executor is not None, "a function that executes runs has an executor"
    match (await executor.handle(ref, deadline=deadline)).receipt:
        case Receipt.ACKNOWLEDGE:
            return Outcome(ref, None)
        case Receipt.RETURN:
            return Outcome(ref, timedelta())
        case Receipt.RETURN_LATER:
            return Outcome(ref, await executor.pause(ref))


def _names_batch(ref: RunRef) -> bool:
    """Whether a message names a batch, and not a delivery, `{id}-{n}`; see `batches.hints`."""
    return ref.run_id.startswith("bat_") and "-" not in ref.run_id


def _left(deadline: datetime) -> float:
    return max((deadline - _SETTLE_BEFORE - datetime.now(deadline.tzinfo)).total_seconds(), 0)
