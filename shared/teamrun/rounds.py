"""What the background tasks of a process do, as one call.

A cloud function is frozen between its invocations, so it has no background tasks. A timer of the
platform calls it instead.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from teamrun.batches.feeder import Feeder
from teamrun.batches.keys import BatchRef
from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.runs.engine.reaper import Reaper
from teamrun.webhooks.deliverer import Deliverer

__all__ = ["Rounds"]

_CLOSING = timedelta(seconds=5)
"""Time for a request in progress to complete before it is left to the next round."""


_NEXT_TIMER = timedelta(seconds=60)
"""How long a batch is driven that a message names. By then a timer has found it."""


class Rounds:
    """Looks for everything that is due.

    Args:
        reaper: Sends runs that no process executes.
        feeder: Drives batches.
        deliverer: Delivers to webhooks.
        clock: The clock.
        interval: The pause between two rounds of one call.
    """

    def __init__(
        self,
        *,
        reaper: Reaper,
        feeder: Feeder,
        deliverer: Deliverer,
        clock: Clock,
        interval: timedelta,
    ) -> None:
        self._reaper = reaper
        self._feeder = feeder
        self._deliverer = deliverer
        self._clock = clock
        self._interval = interval

    async def go(self, until: datetime) -> None:
        """Do one round, and further ones while batches are driven.

        Errors are logged: the next call makes up for what was left.

        Args:
            until: When the call returns at the latest.
        """
        try:
            async with asyncio.timeout(self._left(until)):
                while True:
                    await self._reaper.look()
                    await self._feeder.look()
                    await self._deliverer.look()
                    if not self._feeder.driving:
                        break
                    await asyncio.wait(
                        [*self._feeder.driving], timeout=self._interval.total_seconds()
                    )
                await self._deliverer.drained()
        except TimeoutError:
            pass
        finally:
            await self._feeder.rest()

    async def drive(self, refs: Sequence[RunRef], until: datetime) -> None:
        """Drive batches until they have ended, for at most a minute.

        Args:
            refs: The batches, as messages name them. One that this or another process drives is
                left to it.
            until: When the call returns at the latest.

        Raises:
            DeliveryError: The live state cannot be reached.
        """
        taken = [await self._feeder.take(BatchRef(*ref)) for ref in refs]
        if driving := [task for task in taken if task is not None]:
            most = min(self._left(until), _NEXT_TIMER.total_seconds())
            try:
                await asyncio.wait(driving, timeout=most)
            finally:
                for task in driving:
                    task.cancel()
                await asyncio.gather(*driving, return_exceptions=True)

    def _left(self, until: datetime) -> float:
        return max((until - _CLOSING - self._clock.now()).total_seconds(), 0)
