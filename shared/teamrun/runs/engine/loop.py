"""The event loop that the code of one run executes on.

It is a queue of callbacks and nothing else. Timers, threads, sockets and child processes raise,
because everything from outside must go through the journal. The engine drains the queue. Between
drains run code does not execute, so it is a pure function of what was delivered to it, in order.

A drain may be called inside a task of the real loop. That task is not the current one meanwhile,
and the run's loop is the running loop of the thread, because tasks of the run execute in the drain.
"""

import asyncio
import sys
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, NoReturn, TypeVar

from teamrun.errors import OutsideCall, Runaway, RunError
from teamrun.json_types import JsonObject

__all__ = ["RunLoop"]

T = TypeVar("T")

_SLICE = 2_000
"""Callbacks that one run may execute before the event loop serves the others."""

_RUNAWAY = 1_000_000
"""Callbacks in one drain after which a run fails: its code probably never awaits a call."""


class _Callback(asyncio.Handle):
    """A callback that is ready; simpler than asyncio's, because each step of run code has one."""

    __slots__ = ("args", "call", "context")

    def __init__(
        self, call: Callable[..., object], args: tuple[object, ...], context: Context
    ) -> None:
        self.call = call
        self.args = args
        self.context = context

    def cancel(self) -> None:
        """Do nothing when its turn comes."""
        self.call, self.args = _nothing, ()

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.call is _nothing


def _nothing() -> None:
    pass


class RunLoop(asyncio.AbstractEventLoop):
    """A queue of ready callbacks; see the module docstring."""

    def __init__(self) -> None:
        self._ready: deque[_Callback] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._generators: set[weakref.ref[AsyncGenerator[Any, Any]]] = set()
        self._left_behind: list[AsyncGenerator[Any, Any]] = []
        self._closed = False
        self.failure: BaseException | None = None
        """The first error of a callback that is not awaited."""

    async def settle(self) -> None:
        """Drain the queue in slices; the event loop serves other runs in between.

        Raises:
            Runaway: The code of the run does not stop.
        """
        for _ in range(_RUNAWAY // _SLICE):
            if self.drain(_SLICE):
                return
            await asyncio.sleep(0)
        raise Runaway("Team code does not stop running to await a model, tool or person.")

    def drain(self, most: int) -> bool:
        """Run up to `most` callbacks; True when the queue is empty."""
        ready = self._ready
        outer = asyncio._get_running_loop()  # the documented hook for loop authors
        task = None if outer is None else asyncio.current_task(outer)
        hooks = sys.get_asyncgen_hooks()
        if outer is not None and task is not None:
            asyncio._leave_task(outer, task)  # documented in "Extending asyncio"
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(self._keep, self._left_behind.append)
        try:
            while ready and most > 0:
                most -= 1
                next_one = ready.popleft()
                try:
                    next_one.context.run(next_one.call, *next_one.args)
                except BaseException as error:
                    # asyncio raises SystemExit and KeyboardInterrupt out of a task as well as
                    # storing them in it. They would end the event loop of the whole process.
                    self.failure = self.failure or error
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)
            if outer is not None and task is not None:
                asyncio._enter_task(outer, task)  # the counterpart
        return not ready

    def close(self) -> None:
        """Cancel every task, close every generator, and drain what they still do."""
        if self._closed:
            return
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        self.drain(100_000)
        begun = [generator for kept in self._generators if (generator := kept()) is not None]
        for generator in begun + self._left_behind:
            closing = self.create_task(_aclose(generator))
            closing.add_done_callback(_retrieve)
        self.drain(100_000)
        self._ready.clear()
        self._tasks.clear()
        self._generators.clear()
        self._left_behind.clear()

    def _keep(self, generator: AsyncGenerator[Any, Any]) -> None:
        # Weakly: each turn finishes some generators, which must not be kept until the run ends.
        self._generators.add(weakref.ref(generator, self._generators.discard))

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Queue a callback."""
        handle = _Callback(callback, args, copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Queue a callback; run code has no other threads."""
        return self.call_soon(callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        """Create a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        """Start a task on this loop."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def get_debug(self) -> bool:
        """Off: the engine has its own checks."""
        return False

    def is_running(self) -> bool:
        """True until the loop is closed."""
        return not self._closed

    def is_closed(self) -> bool:
        """Always False: callbacks may be queued until `close` has returned."""
        return False

    def time(self) -> float:
        """Always zero: the time in a run comes from its log."""
        return 0.0

    def call_exception_handler(self, context: JsonObject) -> None:
        """Keep the first failure for the engine; a task raises its own when it is awaited."""
        failure = context.get("exception")
        if self.failure is None and "never retrieved" not in context.get("message", ""):
            self.failure = failure or RunError(str(context.get("message")))

    def default_exception_handler(self, context: JsonObject) -> None:
        """The same as `call_exception_handler`."""
        self.call_exception_handler(context)

    def call_later(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: see `_refuse`."""
        _refuse("a timer")

    def call_at(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: see `_refuse`."""
        _refuse("a timer")

    def run_in_executor(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: see `_refuse`."""
        _refuse("a thread")

    async def create_connection(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: see `_refuse`."""
        _refuse("a socket")

    async def getaddrinfo(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: see `_refuse`."""
        _refuse("a name lookup")

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: see `_refuse`."""
        _refuse("a child process")


def _refuse(what: str) -> NoReturn:
    raise OutsideCall(
        f"Team code inside a run tried to use {what}. Only tools, model clients and input "
        "functions can reach outside a run; move the work into a tool."
    )


async def _aclose(generator: AsyncGenerator[Any, Any]) -> None:
    await generator.aclose()


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
