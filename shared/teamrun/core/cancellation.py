"""A token with which a caller cancels work that it started."""

from asyncio import Future
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["CancellationToken"]

T = TypeVar("T")


class CancellationToken:
    """Cancels everything linked to it, once; later links are cancelled at once. Thread-safe."""

    # Without a lock, which each model and tool call would take twice: the operations of a list are
    # atomic, so that each callback is either removed or called, and called by one thread.
    __slots__ = ("_callbacks", "_cancelled")

    def __init__(self) -> None:
        self._cancelled = False
        self._callbacks: list[Callable[[], Any]] = []

    def cancel(self) -> None:
        """Cancel everything that is linked now or later."""
        self._cancelled = True
        self._call_all()

    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def add_callback(self, callback: Callable[[], Any]) -> None:
        """Call `callback` on cancellation, or at once if the token is already cancelled."""
        self._callbacks.append(callback)
        if self._cancelled:
            self._call_all()

    def remove_callback(self, callback: Callable[[], Any]) -> None:
        """Remove a callback, so that a long-lived token does not keep finished work."""
        try:
            self._callbacks.remove(callback)
        except ValueError:
            return  # it was called

    def _call_all(self) -> None:
        while self._callbacks:
            try:
                callback = self._callbacks.pop(0)
            except IndexError:  # another thread has called the last one
                return
            callback()

    def link_future(self, future: Future[T]) -> Future[T]:
        """Cancel `future` with this token, and return it."""
        self.add_callback(future.cancel)
        return future
