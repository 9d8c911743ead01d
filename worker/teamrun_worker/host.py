"""One real event loop in a thread of its own; every run of the process is a coroutine on it.

Above it: the Celery task, which hands over a run and returns. Below it: the engine and the reaper,
reached through the small protocols here.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import DeliveryError

__all__ = ["Executor", "Host", "Parts", "Sweeper"]

logger = logging.getLogger(__name__)

ADMISSION_POLL_S = 0.2
ABSENT = "absent"
"""The outcome if the store has no such run."""


class Executor(Protocol):
    """What the host needs of the engine."""

    async def execute(self, ref: RunRef) -> object:
        """Execute the run until it ends, is handed over, or turns out to be somebody else's."""
        ...

    def stop(self) -> None:
        """Have every run in flight hand itself over once its calls under way have completed."""
        ...

    def abort(self) -> None:
        """Have every run in flight hand itself over now; calls under way are given up."""
        ...

    async def drained(self) -> None:
        """Return when no run is in flight."""
        ...


class Sweeper(Protocol):
    """What the host needs of the reaper."""

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep again and again until `stop` is set."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What lives on the loop; made on it, closed on it."""

    engine: Executor
    reaper: Sweeper
    dispatcher: Dispatcher
    close: Callable[[], Awaitable[None]]


class Host:
    """Runs up to `capacity` runs at once on one event loop.

    Args:
        compose: Makes the parts; awaited on the loop.
        capacity: How many runs may be in flight.
        grace: How long calls under way may take to complete when the host closes.
        patience: How long anything else may take then; and the pause after a fault of the reaper.
        on_lost: Called in the loop's thread when the loop has ended by itself. The process is of
            no use any more, so it should end.
    """

    def __init__(
        self,
        compose: Callable[[], Awaitable[Parts]],
        *,
        capacity: int,
        grace: timedelta,
        patience: timedelta = timedelta(seconds=5),
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_lost = on_lost
        self.is_lost = False
        """The loop has ended though the host was not asked to stop."""
        self._compose = compose
        self._grace_s = grace.total_seconds()
        self._patience_s = patience.total_seconds()
        self.close_s = self._grace_s + 3 * self._patience_s
        """The longest time that `close` takes."""
        self._places = threading.BoundedSemaphore(capacity)
        self._stopping = threading.Event()
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._main, name="teamrun-runs", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._parts: Parts | None = None
        self._stop: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Start the loop and make the parts.

        Raises:
            TeamrunError: What `compose` raised.
        """
        self._thread.start()
        self._started.result()

    def submit(self, ref: RunRef) -> None:
        """Wait for a free place, then start the run; callable from any thread.

        A host that is stopping sends the reference back to the queue instead.
        """
        loop, sending = self._running(), None
        try:
            while not self._stopping.is_set():
                if self._places.acquire(timeout=ADMISSION_POLL_S):
                    loop.call_soon_threadsafe(self._spawn, ref)
                    return
            sending = self._send_back(ref)
            asyncio.run_coroutine_threadsafe(sending, loop).result(self._patience_s)
        except (RuntimeError, TimeoutError, CancelledError):  # the loop has ended meanwhile
            if sending is not None and loop.is_closed():
                sending.close()
            _not_sent_back(ref)

    def stop(self) -> None:
        """Take no more runs, and have those in flight hand themselves over; does not wait."""
        if not self._stopping.is_set():
            self._stopping.set()
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._running().call_soon_threadsafe(self._begin_stop)

    def close(self) -> None:
        """Stop, let the runs hand themselves over, close the parts."""
        self.stop()
        self._thread.join(self.close_s)

    def beat(self, beaten: Callable[[], None]) -> None:
        """Call `beaten` on the loop; it is never called while the loop hangs or has ended."""
        with contextlib.suppress(RuntimeError):
            self._running().call_soon_threadsafe(beaten)

    def _running(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None, "the host has not been started"
        return self._loop

    def _main(self) -> None:
        try:
            with asyncio.Runner() as runner:
                _run_through(runner.get_loop(), self._live())
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
                return
            self.is_lost = True
            logger.critical(
                "The event loop of the runs has ended; the worker ends",
                exc_info=error,
                extra={"action": "worker.loop_ended"},
            )
            self._on_lost()

    async def _live(self) -> None:
        self._stop = asyncio.Event()
        self._parts = parts = await self._compose()
        self._loop = asyncio.get_running_loop()
        reaper = asyncio.create_task(self._reap(parts.reaper, self._stop))
        self._started.set_result(None)
        await self._stop.wait()
        await self._drain(parts.engine)
        reaper.cancel()
        await asyncio.gather(reaper, return_exceptions=True)
        await parts.close()

    async def _drain(self, engine: Executor) -> None:
        """Let calls under way complete; towards the end of the grace time, give them up."""
        if await self._drained(engine, self._grace_s):
            return
        logger.warning(
            "Calls under way are given up at the end of the grace time",
            extra={"action": "worker.grace_over", "runs": len(self._tasks)},
        )
        engine.abort()
        if not await self._drained(engine, self._patience_s):
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=self._patience_s)

    async def _drained(self, engine: Executor, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                while self._tasks:
                    await asyncio.wait(self._tasks)
                await engine.drained()
        except TimeoutError:
            return False
        return True

    def _begin_stop(self) -> None:
        assert self._parts is not None and self._stop is not None
        self._parts.engine.stop()
        self._stop.set()

    def _spawn(self, ref: RunRef) -> None:
        task = asyncio.get_running_loop().create_task(self._execute(ref), name=str(ref))
        self._tasks.add(task)
        task.add_done_callback(self._free)

    def _free(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._places.release()

    async def _execute(self, ref: RunRef) -> None:
        assert self._parts is not None
        if self._stopping.is_set():
            await self._send_back(ref)
            return
        ids = {"tenant": ref.tenant, "run_id": ref.run_id}
        try:
            outcome = await self._parts.engine.execute(ref)
        except Exception:
            # The log has all that was durable; the reaper sends the run again.
            logger.exception("A run was let go", extra={"action": "run.let_go", **ids})
        else:
            if str(outcome) == ABSENT:
                logger.warning(
                    "The queue named a run that this worker's store does not have: another "
                    "deployment may use the same namespace (TEAMRUN_NAMESPACE)",
                    extra={"action": "run.absent", **ids},
                )
            logger.info(
                "A run was left", extra={"action": "run.left", "outcome": str(outcome), **ids}
            )

    async def _send_back(self, ref: RunRef) -> None:
        assert self._parts is not None
        try:
            await self._parts.dispatcher.send(ref)
        except DeliveryError:
            _not_sent_back(ref)

    async def _reap(self, reaper: Sweeper, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await reaper.run(stop)
            except Exception:
                logger.exception("The reaper failed", extra={"action": "reaper.failed"})
                await asyncio.sleep(self._patience_s)


def _run_through(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    """Run to the end of `work`, whatever a task or callback of a tool raises.

    asyncio gives an exception of a task to the code that awaits it; but a SystemExit or a
    KeyboardInterrupt it raises out of the loop as well, which would end every run of the process.
    """
    main = loop.create_task(work)
    while True:
        try:
            return loop.run_until_complete(main)
        except (SystemExit, KeyboardInterrupt) as error:
            if main.done():
                raise
            logger.error(
                "A task or callback raised out of the event loop; the worker goes on",
                exc_info=error,
                extra={"action": "worker.stray_exit", "error": type(error).__name__},
            )


def _not_sent_back(ref: RunRef) -> None:
    logger.warning(
        "A run could not be sent back; the reaper will find it",
        extra={"action": "run.not_sent_back", "tenant": ref.tenant, "run_id": ref.run_id},
    )
