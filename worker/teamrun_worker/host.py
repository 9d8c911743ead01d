"""One event loop in its own thread; every run of the process is a coroutine on it.

Above it: the Celery task, which submits the runs of a message and returns. Below it: the runtime of
the process.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, wait
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from teamrun.core.main_loop import run_main
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Backlog, Waiting
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.errors import DeliveryError
from teamrun.runs.engine.executor import Executor
from teamrun.runs.engine.finish import Receipt
from teamrun.runtime import Runtime

__all__ = ["Host", "OpenRuntime"]

logger = logging.getLogger(__name__)

ADMISSION_POLL_S = 0.2

GATHER_S = 0.01
"""How long a full host waits after the end of a run, so that it takes several messages at once."""

MOST_TAKEN = 25
"""Maximum number of messages that are taken at once, so that other workers get their share."""

OpenRuntime = Callable[[], AbstractAsyncContextManager[Runtime]]
"""Opens the runtime on the loop; when it is closed, all runs have been handed over."""


class Host:
    """Executes up to `capacity` runs at once on one event loop.

    Args:
        open_runtime: Opens the runtime; entered and left on the loop.
        capacity: Maximum number of runs in flight.
        grace: How long calls in flight may take to complete when the host closes.
        patience: How long anything else may take then.
        queues: The queues whose waiting messages the host takes while it is busy.
        on_lost: Called in the loop's thread if the loop ends unexpectedly. The process cannot
            execute runs any more and should exit.
    """

    def __init__(
        self,
        open_runtime: OpenRuntime,
        *,
        capacity: int,
        grace: timedelta,
        patience: timedelta = timedelta(seconds=5),
        queues: Sequence[Queue] = RUN_QUEUES,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_lost = on_lost
        self.is_lost = False
        """Whether the loop has ended unexpectedly."""
        self._open = open_runtime
        self._queues = queues
        self._patience_s = patience.total_seconds()
        self.close_s = grace.total_seconds() + 4 * self._patience_s
        """The longest time that `close` takes."""
        self._places = threading.BoundedSemaphore(capacity)
        self._stopping = threading.Event()
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._main, name="teamrun-runs", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runtime: Runtime | None = None
        self._stop: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._freed = asyncio.Event()
        self._taking = asyncio.Lock()

    def start(self) -> None:
        """Start the loop and open the runtime.

        Raises:
            TeamrunError: The runtime could not be opened.
        """
        self._thread.start()
        self._started.result()

    def submit(self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE) -> None:
        """Wait until there is capacity, then start the runs; callable from any thread.

        What exceeds the capacity is returned to the front of the queue: another worker may be idle,
        and a message of another queue may be more urgent. A host that is stopping returns all.

        A host that executes other runs as well then takes the messages that wait, many at a time:
        one that comes through Celery costs as much CPU time as a short run.
        """
        if not refs:  # a message from elsewhere may name no runs
            return
        loop, sending, left = self._running(), None, [*refs]
        is_busy = bool(self._tasks)
        try:
            while left and self._is_admitted(waits=len(left) == len(refs)):
                loop.call_soon_threadsafe(self._spawn, left[0], queue)
                del left[0]
            if left:
                sending = self._send_back(left, queue)
                asyncio.run_coroutine_threadsafe(sending, loop).result(self._patience_s)
            elif is_busy and self._backlog is not None:
                sending = self._take_waiting(self._backlog, per_message=len(refs))
                taking = asyncio.run_coroutine_threadsafe(sending, loop)
                while not loop.is_closed() and not wait([taking], ADMISSION_POLL_S).done:
                    pass
                taking.result(0)
        except (RuntimeError, TimeoutError, CancelledError):  # the loop has ended in the meantime
            if sending is not None and loop.is_closed():
                sending.close()
            _not_sent_back(left)

    def stop(self) -> None:
        """Accept no more runs, and hand over those in flight; does not wait."""
        if not self._stopping.is_set():
            self._stopping.set()
            with contextlib.suppress(RuntimeError):  # the loop has ended unexpectedly
                self._running().call_soon_threadsafe(self._begin_stop)

    def close(self) -> None:
        """Stop, hand the runs over, and close the runtime."""
        self.stop()
        self._thread.join(self.close_s)

    def beat(self, beaten: Callable[[], None]) -> None:
        """Call `beaten` on the loop; it is not called while the loop is blocked or has ended."""
        with contextlib.suppress(RuntimeError):
            self._running().call_soon_threadsafe(beaten)

    def _running(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None, "the host has not been started"
        return self._loop

    def _main(self) -> None:
        try:
            run_main(self._live())
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
                return
            self.is_lost = True
            logger.critical(
                "The event loop ended unexpectedly; the worker exits",
                exc_info=error,
                extra={"action": "worker.loop_ended"},
            )
            self._on_lost()

    async def _live(self) -> None:
        self._stop = asyncio.Event()
        async with self._open() as runtime:
            self._runtime, self._loop = runtime, asyncio.get_running_loop()
            self._started.set_result(None)
            await self._stop.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s), self._taking:
                    pass  # the messages that were being taken have been sent back

    @property
    def _executor(self) -> Executor:
        assert self._runtime is not None and self._runtime.executor is not None
        return self._runtime.executor

    @property
    def _backlog(self) -> Backlog | None:
        assert self._runtime is not None
        dispatcher = self._runtime.dispatcher
        return dispatcher if isinstance(dispatcher, Backlog) else None

    def _begin_stop(self) -> None:
        assert self._stop is not None
        self._executor.stop()
        self._stop.set()
        self._freed.set()

    async def _take_waiting(self, backlog: Backlog, *, per_message: int) -> None:
        """Start the runs of waiting messages until none waits.

        Celery's threads wait for this, so that Celery takes no messages meanwhile.
        """
        is_first = not self._taking.locked()
        async with self._taking:
            while is_first and (places := await self._free_places()):
                most = max(1, places // per_message)
                messages = await self._take(backlog, places, most=most)
                if len(messages) < most:
                    return
                per_message = max(1, *(len(each.refs) for each in messages))

    async def _take(self, backlog: Backlog, places: int, *, most: int) -> list[Waiting]:
        """Start the runs of waiting messages in occupied places; the unused places become free."""
        messages: list[Waiting] = []
        left: list[tuple[RunRef, Queue]] = []
        try:
            with contextlib.suppress(DeliveryError):  # Celery waits for Redis
                messages = await backlog.take(most, queues=self._queues)
            left = [(ref, each.queue) for each in messages for ref in each.refs]
            while left and places and not self._stopping.is_set():
                self._spawn(*left.pop(0))
                places -= 1
        finally:
            for _ in range(places):
                self._places.release()
        for queue in self._queues:
            if rest := [ref for ref, its in left if its is queue]:
                await self._send_back(rest, queue)
        return messages

    async def _free_places(self) -> int:
        """Occupy the places that are free, after waiting for one; 0 if the host is stopping."""
        while not self._stopping.is_set():
            self._freed.clear()
            places = 0
            while places < MOST_TAKEN and self._places.acquire(blocking=False):
                places += 1
            if places:
                return places
            await self._freed.wait()
            await asyncio.sleep(GATHER_S)
        return 0

    def _is_admitted(self, *, waits: bool) -> bool:
        while not self._stopping.is_set():
            if self._places.acquire(timeout=ADMISSION_POLL_S if waits else 0):
                return True
            if not waits:
                break
        return False

    def _spawn(self, ref: RunRef, queue: Queue) -> None:
        task = asyncio.get_running_loop().create_task(self._execute(ref, queue), name=str(ref))
        self._tasks.add(task)
        task.add_done_callback(self._free)

    def _free(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._places.release()
        self._freed.set()

    async def _execute(self, ref: RunRef, queue: Queue) -> None:
        # The message was acknowledged before its runs started. A run to be returned later is left
        # to the reaper of this process, because Celery delays messages in the memory of a worker.
        if (await self._executor.handle(ref)).receipt is Receipt.RETURN:
            await self._send_back([ref], queue)

    async def _send_back(self, refs: Sequence[RunRef], queue: Queue) -> None:
        assert self._runtime is not None
        try:
            await self._runtime.dispatcher.send(refs, queue=queue, first=True)
        except DeliveryError:
            _not_sent_back(refs)


def _not_sent_back(refs: Sequence[RunRef]) -> None:
    for ref in refs:
        logger.warning(
            "A run could not be returned to the queue; the reaper will send it",
            extra={"action": "worker.requeue_failed", **ref.log_fields()},
        )
