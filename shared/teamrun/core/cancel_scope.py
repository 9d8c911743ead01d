"""A part of a task that a `CancellationToken` can end, leaving the task itself uncancelled."""

import asyncio
from asyncio import CancelledError, current_task, get_running_loop
from types import TracebackType
from typing import Any

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import RunError

__all__ = ["cancelled_by", "is_failure_of_work"]


def is_failure_of_work(
    error: BaseException,
    token: CancellationToken | None,
    *,
    caller: "asyncio.Task[Any] | None" = None,
) -> bool:
    """Whether an exception is a failure of the awaited work itself.

    Ctrl-C is not, nor is a cancellation of the current task or of the token. A `CancelledError`
    without such a cancellation is a failure: the work awaited a task that was cancelled. asyncio
    raises Ctrl-C alone and never in a group, so a group with it is raised by the work. A
    `GeneratorExit` that closes the caller is raised while the caller's task does not run.

    Args:
        error: The exception.
        token: Cancels the work.
        caller: The task that awaited the work; None if it is not known.
    """
    match error:
        case asyncio.CancelledError():
            return not _is_cancelled(token)
        case BaseExceptionGroup():
            cancelled, _ = error.split(asyncio.CancelledError)
            return cancelled is None or not _is_cancelled(token)
        case GeneratorExit():
            return caller is not None and _present_task() is caller
        case _:
            return not isinstance(error, KeyboardInterrupt)


def _present_task() -> "asyncio.Task[Any] | None":
    try:
        return current_task()
    except RuntimeError:  # no loop runs
        return None


def _is_cancelled(token: CancellationToken | None) -> bool:
    task = _present_task()
    by_task = task is None or task.cancelling() > 0
    return by_task or (token is not None and token.is_cancelled())


class cancelled_by:
    """Inside the block, `token.cancel()` raises `CancelledError` at the current await.

    Like `asyncio.timeout`, it creates no task, and the surrounding task continues after the error
    is caught. The token may be cancelled from any thread. The block ends with the error even if
    the awaited work suppresses it or fails because of it. Do not `yield` inside the block, or the
    error would reach the code that iterates.

    Args:
        token: Ends the block; None never does.
        work: The name of the awaited work, for the error if the work is cancelled from inside,
            which is a failure of the work. None lets the `CancelledError` pass.

    Raises:
        RunError: The work was cancelled from inside.
    """

    __slots__ = ("_active", "_fired", "_loop", "_requested", "_task", "_token", "_work")

    def __init__(self, token: CancellationToken | None, work: str | None = None) -> None:
        self._token = token
        self._work = work
        self._active = self._fired = self._requested = False

    def __enter__(self) -> None:
        token = self._token
        if token is None:
            return
        if token.is_cancelled():
            raise CancelledError
        self._loop = loop = get_running_loop()
        self._task = current_task(loop)
        self._active = True
        token.add_callback(self._ask)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._token is not None:
            self._active = False
            self._token.remove_callback(self._ask)
            if self._requested and self._task is not None:
                self._task.uncancel()
            if self._fired and (kind is None or issubclass(kind, Exception)):
                raise CancelledError from error
        if self._work and isinstance(error, CancelledError):
            self._refuse(error)

    def _refuse(self, error: CancelledError) -> None:
        if is_failure_of_work(error, self._token):
            raise RunError(f"{self._work} was cancelled from inside, not by its caller.") from error

    def _ask(self) -> None:
        self._fired = True
        try:
            here = get_running_loop() is self._loop
        except RuntimeError:  # a thread without a loop
            here = False
        if here:
            self._cancel()
        else:
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        # The block may have ended since another thread cancelled the token. Code that cancels the
        # token from inside the block is not interrupted, because the end of the block raises.
        task = self._task
        if self._active and task is not None and current_task() is not task:
            self._requested = True
            task.cancel()
