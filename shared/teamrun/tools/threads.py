"""Threads for functions that block.

They are daemon threads, not `concurrent.futures`: the interpreter joins those when it exits, so a
tool that hangs would keep a finished process alive. A thread cannot be interrupted: a cancelled
call leaves it running, drops its result, and lets another thread replace it.
"""

import asyncio
import contextlib
import contextvars
import os
import queue
import threading
from asyncio import AbstractEventLoop, CancelledError, Future
from collections.abc import Callable
from typing import Any, TypeVar, cast

from teamrun.messages.recordable import exception_text

__all__ = ["ThreadPool", "run_in_thread"]

T = TypeVar("T")

SIZE = 32
"""Calls at a time in the pool that `run_in_thread` uses; the next ones wait."""


class _Job:
    __slots__ = ("abandoned", "call", "context", "error", "future", "loop", "started", "value")

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.context = contextvars.copy_context()
        self.loop: AbstractEventLoop = asyncio.get_running_loop()
        self.future: Future[Any] = self.loop.create_future()
        self.value: Any = None
        self.error: BaseException | None = None
        self.started = self.abandoned = False

    def execute(self) -> None:
        """Call it; the outcome waits for `deliver`."""
        try:
            self.value = self.context.run(self.call)
        except (Exception, CancelledError) as raised:
            self.error = raised
        except BaseException as raised:  # sys.exit() in a tool must not end the process
            self.error = RuntimeError(exception_text(raised))
            self.error.__cause__ = raised

    def deliver(self) -> None:
        """Hand the outcome to the loop that waits for it."""
        with contextlib.suppress(RuntimeError):  # it is closed: nothing waits any more
            self.loop.call_soon_threadsafe(self._settle, self.value, self.error)

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(value)
        elif isinstance(error, StopIteration):  # a future refuses it
            self.future.set_exception(RuntimeError(f"The function raised {error!r}."))
        else:
            self.future.set_exception(error)


class ThreadPool:
    """At most `size` calls at a time, each in a daemon thread; threads are kept for the next.

    Calls that were cancelled while they ran do not count, so a few tools that hang do not
    block the others; but there are never more than twice `size` threads.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._idle = self._waiting = self._abandoned = 0

    async def run(self, call: Callable[[], T]) -> T:
        """Call it in a thread, with a copy of the context variables, and await the result.

        Raises:
            asyncio.CancelledError: The waiting was cancelled; the thread's result is dropped.
        """
        job = _Job(call)
        self._put(job)
        try:
            return cast("T", await job.future)
        except CancelledError:
            self._abandon(job)
            raise

    def _put(self, job: _Job) -> None:
        with self._lock:
            self._jobs.put(job)
            self._waiting += 1
            needed = self._need_thread()
        if needed:
            self._start_thread()

    def _abandon(self, job: _Job) -> None:
        with self._lock:
            job.abandoned = True
            self._abandoned += job.started
            needed = self._need_thread()
        if needed:
            self._start_thread()

    def _limit(self) -> int:
        return self._size + min(self._abandoned, self._size)

    def _need_thread(self) -> bool:
        needed = self._waiting > self._idle and self._threads < self._limit()
        self._threads += needed
        self._idle += needed  # until it takes a job
        return needed

    def _start_thread(self) -> None:
        threading.Thread(target=self._work, name="teamrun-tool", daemon=True).start()

    def _work(self) -> None:
        while self._work_once():
            pass

    def _work_once(self) -> bool:
        job = self._jobs.get()
        with self._lock:
            self._idle -= 1
            self._waiting -= 1
            job.started = not job.abandoned
        if job.started:
            job.execute()
        with self._lock:
            self._abandoned -= job.started and job.abandoned
            job.started = False
            stays = self._threads <= self._limit()
            self._threads -= not stays
            self._idle += stays
        job.deliver()  # last, so that the waiting caller finds this thread idle
        return stays


_pool = ThreadPool()


async def run_in_thread(call: Callable[[], T]) -> T:
    """Call it in a thread of the process's own pool and await the result.

    Raises:
        asyncio.CancelledError: The waiting was cancelled; the thread's result is dropped.
    """
    return await _pool.run(call)


def _forget_pool() -> None:
    global _pool
    _pool = ThreadPool()  # threads do not survive a fork


if hasattr(os, "register_at_fork"):  # absent on Windows
    os.register_at_fork(after_in_child=_forget_pool)
