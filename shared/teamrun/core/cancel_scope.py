"""A part of a task that a `CancellationToken` can end, leaving the task itself uncancelled."""

import asyncio
from types import TracebackType
from typing import Any

from teamrun.core.cancellation import CancellationToken

__all__ = ["cancelled_by"]


class cancelled_by:
    """Inside the block, `token.cancel()` raises `CancelledError` at the await under way.

    Like `asyncio.timeout`: no task is made, and the task around goes on where the error is
    caught. The token may be cancelled from any thread. `None` does nothing.
    """

    __slots__ = ("_active", "_fired", "_loop", "_task", "_token")

    def __init__(self, token: CancellationToken | None) -> None:
        self._token = token
        self._active = False
        self._fired = False

    def __enter__(self) -> None:
        if self._token is None:
            return
        if self._token.is_cancelled():
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None  # a coroutine that awaits runs in a task
        self._task: asyncio.Task[Any] = task
        self._loop = asyncio.get_running_loop()
        self._active = True
        self._token.add_callback(self._ask)

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
        if self._fired:
            self._task.uncancel()

    def _ask(self) -> None:
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._active:  # the block may have been left since the token asked
            self._fired = True
            self._task.cancel()
