"""A token through which a caller ends work that it started."""

import asyncio
import threading
from asyncio import CancelledError, Future
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

__all__ = ["CancelScope", "CancellationToken"]

T = TypeVar("T")


class CancellationToken:
    """Cancels once; what is linked afterwards is cancelled at once. Safe to use across threads."""

    __slots__ = ("_callbacks", "_cancelled", "_lock")

    def __init__(self) -> None:
        self._cancelled = False
        self._callbacks: list[Callable[[], Any]] = []
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Cancel everything linked so far and from now on."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def add_callback(self, callback: Callable[[], Any]) -> None:
        """Call `callback` when cancelled, now if that was already."""
        with self._lock:
            if not self._cancelled:
                self._callbacks.append(callback)
                return
        callback()

    def remove_callback(self, callback: Callable[[], Any]) -> None:
        """Forget a callback, so that a token that lives long does not collect finished work."""
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def link_future(self, future: Future[T]) -> Future[T]:
        """Cancel `future` with this token, and return it."""
        self.add_callback(future.cancel)
        return future


class CancelScope:
    """`with CancelScope(token): await ...` ends with `CancelledError` when the token is cancelled.

    What is awaited inside is cancelled as `Task.cancel` does it, so that no task has to be
    made for it. A scope must not stay open across a `yield`: the cancel would reach the code
    that iterates.
    """

    __slots__ = ("_fired", "_loop", "_open", "_requested", "_task", "_token")

    def __init__(self, token: CancellationToken | None) -> None:
        self._token = token
        self._fired = self._requested = self._open = False

    def __enter__(self) -> None:
        token = self._token
        if token is None:
            return
        if token.is_cancelled():
            raise CancelledError
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._open = True
        token.add_callback(self._on_cancel)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is None:
            return
        self._open = False
        self._token.remove_callback(self._on_cancel)
        if self._requested and self._task is not None:
            self._task.uncancel()
        if self._fired and (kind is None or issubclass(kind, Exception)):
            raise CancelledError from error

    def _on_cancel(self) -> None:
        self._fired = True
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:  # another thread
            here = False
        if here:
            self._interrupt()
        else:
            self._loop.call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        # What cancels its own token needs no interruption: __exit__ raises.
        if self._open and self._task is not None and asyncio.current_task() is not self._task:
            self._requested = True
            self._task.cancel()
