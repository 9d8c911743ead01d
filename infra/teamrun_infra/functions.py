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
from teamrun.errors import DeliveryError, StorageError
from teamrun.runs.engine.executor import Executor
from teamrun.runs.engine.finish import Finish, Receipt
from teamrun.runtime import Runtime
from teamrun_infra.termination import Termination

__all__ = ["FunctionHost", "Outcome"]

logger = logging.getLogger(__name__)

_SETTLE_BEFORE: Final = timedelta(seconds=5)
"""What is in progress this long before the platform ends the function is left to the next timer."""
_HANDOVER_PART: Final = 2
"""Handing over takes at most this part of an invocation, so that there is time for calls."""
_AT_ONCE: Final = 10
"""Dead letters that are settled at the same time."""


class Outcome(NamedTuple):
    """What becomes of the message that named a run."""

    ref: RunRef
    pause: timedelta | None
    """After which time the run has to be sent again; None if the message has done its work."""
    is_unreadable: bool = False
    """The log of the run is damaged. Its message fails, so that the queue counts and gives it up: a
    new message in its place would begin to count anew, for ever."""


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
        self._termination = Termination()

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

        When the platform tells the process to end (SIGTERM), the runs are handed over at once, and
        further ones are refused.

        Args:
            refs: The runs.
            deadline: When the platform ends this invocation. Runs are handed over before.

        Raises:
            TeamrunError: See `runtime`.
        """
        handover = max(deadline - datetime.now(deadline.tzinfo), timedelta()) / _HANDOVER_PART
        runtime = await self.runtime()
        executor = runtime.executor
        assert executor is not None, "a function that executes runs has an executor"
        executions = (_execute(executor, ref, deadline, handover) for ref in refs)
        with self._termination.noticed(executor.abort):
            outcomes = await asyncio.gather(*executions)
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

    async def give_up(self, refs: Sequence[RunRef], *, deadline: datetime) -> list[RunRef]:
        """Settle messages that the platform has moved to its queue of dead letters.

        Returns:
            The runs that could not be settled in time, or because the store or the queue did not
            respond. Their messages have to be delivered again.

        Raises:
            TeamrunError: See `runtime`.
        """
        runtime = await self.runtime()
        assert runtime.upkeep is not None, "a function that executes runs settles them, too"
        letters, places = runtime.upkeep().dead_letters, asyncio.Semaphore(_AT_ONCE)
        left = list[RunRef]()

        async def settle(ref: RunRef) -> None:
            try:
                async with asyncio.timeout(_usable(deadline)), places:
                    await letters.settle(ref)
            except (StorageError, DeliveryError, TimeoutError) as error:
                left.append(ref)
                reason = str(error) or "the time of the invocation is over"
                logger.warning(
                    "A dead letter could not be settled; it is tried again",
                    extra={
                        "action": "function.not_settled",
                        "error": reason,
                        **ref.log_fields(),
                    },
                )

        await asyncio.gather(*map(settle, refs))
        await self.settle(deadline)
        return left

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


async def _execute(
    executor: Executor, ref: RunRef, deadline: datetime, handover: timedelta
) -> Outcome:
    finish = await executor.handle(ref, deadline=deadline, handover=handover)
    match finish.receipt:
        case Receipt.ACKNOWLEDGE:
            return Outcome(ref, None)
        case Receipt.RETURN:
            return Outcome(ref, timedelta())
        case Receipt.RETURN_LATER:
            pause = await _pause(executor, ref, deadline)
            return Outcome(ref, pause, finish is Finish.UNREADABLE)


async def _pause(executor: Executor, ref: RunRef, deadline: datetime) -> timedelta:
    """After which time to send a run again; at once if the store does not say in time."""
    try:
        async with asyncio.timeout(_usable(deadline)):
            return await executor.pause(ref)
    except TimeoutError:
        return timedelta()


def _usable(deadline: datetime) -> float:
    """What `_left` returns, but at least half of the time that is left."""
    return max(_left(deadline), (deadline - datetime.now(deadline.tzinfo)).total_seconds() / 2, 0)


def _names_batch(ref: RunRef) -> bool:
    """Whether a message names a batch, and not a delivery, `{id}-{n}`; see `batches.hints`."""
    return ref.run_id.startswith("bat_") and "-" not in ref.run_id


def _left(deadline: datetime) -> float:
    return max((deadline - _SETTLE_BEFORE - datetime.now(deadline.tzinfo)).total_seconds(), 0)
