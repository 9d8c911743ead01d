"""The event loop of a process that executes the operator's code, and the end of that process.

Tools may leave tasks that ignore cancellation and threads that never end. Neither may keep the
process alive.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final, Generic, NoReturn, TypeVar

__all__ = ["LEAVE_S", "end_process", "exit_after", "run_main"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

LEAVE_S: Final = 2.0
"""Seconds that leftover tasks get to end, and after that leftover threads."""

_SAME_S: Final = 1.0
"""Seconds in which several SIGINT are one Ctrl-C."""


def run_main(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, but leftover tasks and threads cannot block or end it.

    A `SystemExit` or `KeyboardInterrupt` in a task other than `main` does not end the loop. After
    `main`, leftover tasks are cancelled and get `LEAVE_S` seconds to end; threads get none.

    Ctrl-C cancels `main`, which may clean up. Another Ctrl-C ends it at once, unless it follows
    within a second: `timeout` and some shells send SIGINT to the process and again to its group.

    Raises:
        BaseException: What `main` raised; `KeyboardInterrupt` after Ctrl-C in the main thread.
    """
    loop = asyncio.new_event_loop()
    started = _Started(loop, main)
    runner = asyncio.Runner(loop_factory=lambda: loop)  # not closed: that would wait without limit
    with _interrupting(started):
        try:
            while True:
                try:
                    runner.run(started.finished())
                    return started.result()
                except (SystemExit, KeyboardInterrupt) as error:
                    if started.is_over():
                        raise
                    logger.error(
                        "A task or callback tried to exit the process; the event loop continues",
                        exc_info=error,
                        extra={"action": "loop.exit_ignored", "error": type(error).__name__},
                    )
        finally:
            with contextlib.suppress(BaseException):  # the outcome of `main` is what counts
                loop.run_until_complete(_end_tasks())
            with contextlib.suppress(RuntimeError):
                loop.close()


@contextmanager
def _interrupting(started: "_Started[Any]") -> Generator[None]:
    """Handle SIGINT inside the block, unless the process has a handler of its own."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    last: float | None = None

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal last
        now = time.monotonic()
        if last is not None and now - last < _SAME_S:
            return
        is_first, last = last is None, now
        if not (is_first and started.interrupt()):
            started.abandon()
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class _Started(Generic[T]):
    """The main task. It starts inside `finished`, so that Ctrl-C in its first step cancels it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, T]) -> None:
        self._loop = loop
        self._main = main
        self._task: asyncio.Task[T] | None = None
        self._is_interrupted = False

    async def finished(self) -> None:
        """Wait for its end."""
        self._task = self._task or self._loop.create_task(self._main)
        await asyncio.wait({self._task})

    def interrupt(self) -> bool:
        """Cancel it; False if it does not run. A signal handler may call this."""
        if self._task is None or not self._task.cancel():
            return False
        self._is_interrupted = True
        self._loop.call_soon_threadsafe(lambda: None)  # wakes the loop
        return True

    def abandon(self) -> None:
        """Report nothing more about tasks that fail: they are ended wherever they are."""
        self._loop.set_exception_handler(lambda _loop, _context: None)

    def result(self) -> T:
        """What it returned.

        Raises:
            BaseException: What it raised; `KeyboardInterrupt` if `interrupt` cancelled it.
        """
        assert self._task is not None, "it has finished"
        if self._task.cancelled() and self._is_interrupted:
            raise KeyboardInterrupt
        return self._task.result()

    def is_over(self) -> bool:
        """Whether it has ended, is being cancelled, or will never start."""
        if self._task is None:
            self._main.close()
            return True
        return self._task.done() or bool(self._task.cancelling())


async def _end_tasks() -> None:
    leftover = asyncio.all_tasks() - {asyncio.current_task()}
    for task in leftover:
        task.cancel()
    if leftover:
        _, endless = await asyncio.wait(leftover, timeout=LEAVE_S)
        for task in endless:
            logger.warning(
                "A task did not end after it was cancelled",
                extra={"action": "loop.task_abandoned", "task": repr(task)},
            )
    # The remaining tasks are destroyed with the loop, which asyncio would report once more.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_S):
            await asyncio.get_running_loop().shutdown_asyncgens()


def exit_after(main: Callable[[], int | None]) -> NoReturn:
    """Call `main`, then end the process with its exit status; see `end_process`."""
    try:
        status = main()
    except SystemExit as error:
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
        status = 1 if isinstance(error.code, str) else error.code
    end_process(status or 0)


def end_process(status: int) -> NoReturn:
    """End the process within `LEAVE_S` seconds, regardless of threads and exit handlers.

    Otherwise the interpreter would wait for threads that are not daemons, and for every thread of
    `concurrent.futures`.
    """

    def force() -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)

    watchdog = threading.Timer(LEAVE_S, force)
    watchdog.daemon = True
    watchdog.start()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C now ends it without a traceback
    sys.exit(status)
