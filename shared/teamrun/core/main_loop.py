"""The event loop and the end of a process that executes code of its operator's.

Tools may leave anything behind: tasks that ignore their cancellation, threads that never end.
Neither may keep the process alive.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn, TypeVar

__all__ = ["LEAVE_S", "end_process", "exit_after", "run_main"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

LEAVE_S: Final = 2.0
"""Seconds that leftover tasks get to end, and after that leftover threads."""


def run_main(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, whatever tasks and threads were begun meanwhile.

    A `SystemExit` or `KeyboardInterrupt` of another task than `main` does not end the loop. After
    `main` leftover tasks are cancelled. They get `LEAVE_S` seconds to end; threads get none.

    Raises:
        BaseException: What `main` raised; `KeyboardInterrupt` after Ctrl-C in the main thread.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(main)
    runner = asyncio.Runner(loop_factory=lambda: loop)  # not closed: that would wait without limit
    try:
        while True:
            try:
                runner.run(_finished(task))
                return task.result()
            except (SystemExit, KeyboardInterrupt) as error:
                if task.done() or task.cancelling():
                    raise
                logger.error(
                    "A task or callback raised out of the event loop, which goes on",
                    exc_info=error,
                    extra={"action": "loop.stray_exit", "error": type(error).__name__},
                )
    finally:
        with contextlib.suppress(BaseException):  # the outcome of `main` is what counts
            loop.run_until_complete(_end_tasks())
        with contextlib.suppress(RuntimeError):
            loop.close()


async def _finished(task: asyncio.Task[Any]) -> None:
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:  # Ctrl-C
        task.cancel()
        await asyncio.wait({task})
        if task.cancelled():
            raise


async def _end_tasks() -> None:
    leftover = asyncio.all_tasks() - {asyncio.current_task()}
    for task in leftover:
        task.cancel()
    if leftover:
        _, endless = await asyncio.wait(leftover, timeout=LEAVE_S)
        for task in endless:
            logger.warning(
                "A task does not end although it was cancelled",
                extra={"action": "task.left_behind", "task": repr(task)},
            )
    # What is left is destroyed with the loop, which asyncio would report once more.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_S):
            await asyncio.get_running_loop().shutdown_asyncgens()


def exit_after(main: Callable[[], int | None]) -> NoReturn:
    """Call `main` and end the process with its status, however `main` ends; see `end_process`."""
    try:
        status = main()
    except SystemExit as error:
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
        status = 1 if isinstance(error.code, str) else error.code
    end_process(status or 0)


def end_process(status: int) -> NoReturn:
    """End the process within `LEAVE_S` seconds, whatever threads and exit handlers there are.

    The interpreter joins threads that are not daemons, and every thread of `concurrent.futures`.
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
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C meanwhile: at once, no traceback
    sys.exit(status)
