"""The event loop and the end of a process that executes code of its operator's.

Tools may leave anything behind: tasks that ignore their cancellation, threads that never end.
Neither may keep the process alive.
"""

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any, Final, NoReturn, TypeVar

__all__ = ["LEAVE_S", "end_process", "run_main"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_INTERRUPTED: Final = 130
"""The exit status after Ctrl-C: 128 + SIGINT."""

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


def end_process(status: int) -> NoReturn:
    """End the process, also if threads are left that the interpreter would wait for."""
    deadline = time.monotonic() + LEAVE_S
    try:
        for thread in _awaited_threads():
            thread.join(max(0.0, deadline - time.monotonic()))
    except KeyboardInterrupt:
        status = _INTERRUPTED
    if not _awaited_threads():
        sys.exit(status)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    logging.shutdown()
    os._exit(status)


def _awaited_threads() -> list[threading.Thread]:
    own = (threading.current_thread(), threading.main_thread())
    return [each for each in threading.enumerate() if not each.daemon and each not in own]
