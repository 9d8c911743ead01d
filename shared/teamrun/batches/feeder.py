"""Finds the batches that have not ended, and drives them in one process at a time.

The marker of a batch says that it has not ended. One process of a deployment lists the markers; a
lease on each batch keeps a process that was slow from driving it as well. If that fails, some work
is done twice, and nothing goes wrong.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from teamrun.batches.attendant import Attendant
from teamrun.batches.chunks import discard
from teamrun.batches.decisions import TOP_UP
from teamrun.batches.driver import BatchDriver, CancelRun
from teamrun.batches.ends import NEWS, batch_topic
from teamrun.batches.erasure import BatchErasure
from teamrun.batches.files import Files
from teamrun.batches.keys import BatchRef, live_marker
from teamrun.batches.log import BatchLog, PreCommit
from teamrun.core.clock import Clock, SystemClock
from teamrun.core.ids import id_time
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import BatchNotFound, DeliveryError, StorageError
from teamrun.live.base import Live
from teamrun.runs.engine.resender import Resender
from teamrun.runs.log.keys import BATCHES
from teamrun.runs.log.log import LogObserver, PreErase
from teamrun.runs.log.log import PreCommit as RunPreCommit
from teamrun.runs.log.reader import RunReader
from teamrun.storage.base import ObjectStore

__all__ = ["Feeder"]

logger = logging.getLogger(__name__)

_LOCK = "feeder"

_PAGE = 1_000

_ORPHAN = timedelta(hours=1)
"""The age at which a marker without a log means that the acceptance was interrupted."""

_CLEANING = timedelta(minutes=10)

_GATHER_S = 0.02
"""The least time between two steps of a batch."""


class Feeder:
    """Drives the batches of a store.

    Args:
        store: The store.
        live: Leases and notices.
        dispatcher: The queue of runs.
        owner: The name of this process, which must be unique.
        cancel: Cancels the run of an item.
        lease: How long a worker that does not respond keeps its runs.
        interval: The time between two searches for batches, and between checks for lost items.
        clock: The clock.
        observers: The observers of run logs in this process.
        retention: How long batches are kept after their end; None keeps them.
        pre_commit: Called before each entry of a batch's log.
        pre_erase: Called before a batch, and before each of its runs, is deleted.
        run_pre_commit: Called before each entry of a run's log in this process.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: Live,
        dispatcher: Dispatcher,
        owner: str,
        cancel: CancelRun,
        lease: timedelta = timedelta(seconds=60),
        interval: timedelta = timedelta(seconds=5),
        clock: Clock | None = None,
        observers: Sequence[LogObserver] = (),
        retention: timedelta | None = None,
        pre_commit: PreCommit | None = None,
        pre_erase: PreErase | None = None,
        run_pre_commit: Sequence[RunPreCommit] = (),
    ) -> None:
        self._pre_commit = pre_commit
        self._run_pre_commit = run_pre_commit
        self._store = store
        self._live = live
        self._dispatcher = dispatcher
        self._owner = owner
        self._cancel = cancel
        self._lease = lease
        self._interval = min(interval, lease)
        self._clock = clock or SystemClock()
        self._observers = observers
        self._retention = retention
        self._erasure = BatchErasure(store=store, clock=self._clock, pre_erase=pre_erase)
        self._files = Files(store=store, clock=self._clock)
        self._reader = RunReader(store=store, live=live, clock=self._clock)
        self._driving: dict[BatchRef, asyncio.Task[None]] = {}
        self._cleaned_at = self._clock.now()

    async def run(self, stop: asyncio.Event) -> None:
        """Drive batches until `stop` is set."""
        news = asyncio.Event()
        listening = asyncio.create_task(self._listen(NEWS, lambda _: news.set()))
        stopping = asyncio.create_task(_also(stop, news))
        try:
            while not stop.is_set():
                news.clear()
                await self.look()
                if not stop.is_set():
                    await self._pause(news)
        finally:
            await _cancelled(listening, stopping)
            await self.rest()

    @property
    def driving(self) -> Collection[asyncio.Task[None]]:
        """One task for each batch that this process drives; it ends when the batch has ended."""
        return self._driving.values()

    async def rest(self) -> None:
        """Stop driving; a batch goes on when a process finds it again."""
        await _cancelled(*self._driving.values())

    async def sweep(self) -> None:
        """Start to drive every batch that has not ended, and that no other process drives.

        Raises:
            DeliveryError: The live state cannot be reached.
            StorageError: Storage cannot be read.
        """
        after = ""
        while keys := await self._store.list(BATCHES, after=after, limit=_PAGE):
            for key in keys:
                with contextlib.suppress(ValueError):
                    await self.take(BatchRef.parse(key.removeprefix(BATCHES)))
            after = keys[-1]

    async def take(self, ref: BatchRef) -> asyncio.Task[None] | None:
        """Start to drive a batch; None if this or another process drives it.

        Raises:
            DeliveryError: The live state cannot be reached.
        """
        if ref in self._driving:
            return None
        if not await self._live.acquire(_lease_name(ref), self._owner, self._tenure()):
            return None
        task = asyncio.create_task(self._drive(ref), name=f"batch {ref}")
        self._driving[ref] = task
        task.add_done_callback(lambda _: self._driving.pop(ref, None))
        return task

    async def clean(self) -> None:
        """Remove what interrupted uploads left, and batches that were deleted or are too old.

        Raises:
            StorageError: Storage cannot be read.
        """
        await self._files.sweep()
        await self._erasure.sweep(self._retention)

    def driver(self, ref: BatchRef) -> BatchDriver:
        """What drives a batch in this process."""
        return BatchDriver(
            store=self._store,
            log=BatchLog(
                self._store,
                ref,
                writer=self._owner,
                clock=self._clock,
                pre_commit=self._pre_commit,
            ),
            dispatcher=self._dispatcher,
            attendant=Attendant(
                store=self._store,
                reader=self._reader,
                resender=Resender(
                    reader=self._reader,
                    live=self._live,
                    dispatcher=self._dispatcher,
                    lease=self._lease,
                    clock=self._clock,
                ),
                ref=ref,
                patience=self._lease,
            ),
            cancel=self._cancel,
            observers=self._observers,
            clock=self._clock,
            run_pre_commit=self._run_pre_commit,
        )

    async def look(self) -> None:
        """Start to drive what no process drives, and clean up; errors are logged."""
        try:
            if not await self._live.acquire(_LOCK, self._owner, self._tenure()):
                return
            await self.sweep()
            if (now := self._clock.now()) - self._cleaned_at >= _CLEANING:
                self._cleaned_at = now
                await self.clean()
        except (DeliveryError, StorageError) as error:
            extra = {"action": "batch.sweep_failed", "error": str(error)}
            logger.warning("A sweep of the batches failed", extra=extra)

    async def _drive(self, ref: BatchRef) -> None:
        driver, woken = self.driver(ref), asyncio.Event()

        def heard(message: bytes) -> None:
            with contextlib.suppress(ValueError):
                if message:
                    number, position, *news = message.decode().split(":")
                    note = driver.goes_on if news else driver.waits
                    note(int(number), int(position))
            woken.set()

        listening = asyncio.create_task(self._listen(batch_topic(ref), heard))
        try:
            await self._drive_on(ref, driver, woken)
        except BatchNotFound:
            await self._void(ref)
        except (DeliveryError, StorageError) as error:
            extra = {
                "action": "batch.step_failed",
                "tenant": ref.tenant,
                "batch_id": ref.batch_id,
                "error": str(error),
            }
            logger.warning("A batch could not go on; it will be tried again", extra=extra)
        except Exception:
            extra = {"action": "batch.failed", "tenant": ref.tenant, "batch_id": ref.batch_id}
            logger.exception("Driving a batch failed; it will be tried again", extra=extra)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            with contextlib.suppress(DeliveryError):
                await self._live.release(_lease_name(ref), self._owner)

    async def _drive_on(self, ref: BatchRef, driver: BatchDriver, woken: asyncio.Event) -> None:
        attended_at = self._clock.now()
        while await self._live.acquire(_lease_name(ref), self._owner, self._tenure()):
            woken.clear()
            if await driver.step():
                return
            if (now := self._clock.now()) - attended_at >= self._interval:
                attended_at = now
                await driver.attend()
            await self._pause(woken, most=TOP_UP if driver.has_room else None)
            await self._clock.sleep(_GATHER_S)

    async def _void(self, ref: BatchRef) -> None:
        """Close a log without entries, so that its acceptance can no longer complete."""
        if self._clock.now() - id_time(ref.batch_id) < _ORPHAN:
            return
        log = BatchLog(self._store, ref, writer=self._owner, clock=self._clock)
        if await log.close_void():
            await discard(self._store, ref)
            await self._store.delete(live_marker(ref))

    async def _pause(self, until: asyncio.Event, *, most: timedelta | None = None) -> None:
        """Wait for the interval, or until the event is set; not longer than `most`."""
        rest = self._interval if most is None else min(self._interval, most)
        sleep = asyncio.ensure_future(self._clock.sleep(rest.total_seconds()))
        woken = asyncio.ensure_future(until.wait())
        try:
            await asyncio.wait([sleep, woken], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            woken.cancel()

    async def _listen(self, topic: str, heard: Callable[[bytes], object]) -> None:
        while True:
            with contextlib.suppress(DeliveryError):
                async with self._live.subscribe(topic) as messages:
                    heard(b"")  # for the notices before
                    async for message in messages:
                        heard(message)
            await self._clock.sleep(self._interval.total_seconds())

    def _tenure(self) -> timedelta:
        return 3 * self._interval


def _lease_name(ref: BatchRef) -> str:
    return f"batch:{ref}"


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _also(first: asyncio.Event, second: asyncio.Event) -> None:
    """Set the second event when the first is set."""
    await first.wait()
    second.set()
