"""A part of a task that a `CancellationToken` can end, leaving the task itself uncancelled."""

import asyncio
from asyncio import CancelledError
from types import TracebackType

from teamrun.core.cancellation import CancellationToken

__all__ = ["cancelled_by"]


class cancelled_by:
    """Inside the block, `token.cancel()` raises `CancelledError` at the await under way.

    Like `asyncio.timeout`: no task is made, and the task around goes on where the error is
    caught. The token may be cancelled from any thread. The block ends with the error even if
    what it awaits swallows it or fails because of it. A block must not be left open across a
    `yield`, or the error would reach the code that iterates. `None` does nothing.
    """

    __slots__ = ("_active", "_fired", "_loop", "_requested", "_task", "_token")

    def __init__(self, token: CancellationToken | None) -> None:
        self._token = token
        self._active = self._fired = self._requested = False

    def __enter__(self) -> None:
        token = self._token
        if token is None:
            return
        if token.is_cancelled():
            raise CancelledError
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._active = True
        token.add_callback(self._ask)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._token is None:
            return
        self._active = False
        self._token.remove_callback(self._ask)
        if self._requested and self._task is not None:
            self._task.uncancel()
        if self._fired and (kind is None or issubclass(kind, Exception)):
            raise CancelledError from error

    def _ask(self) -> None:
        self._fired = True
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:  # a thread without a loop
            here = False
        if here:
            self._cancel()
        else:
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        # The block may have been left since another thread asked. And who cancels the token
        # from inside needs no interruption: the end of the block raises.
        task = self._task
        if self._active and task is not None and asyncio.current_task() is not task:
            self._requested = True
            task.cancel()
