"""A token with which a caller cancels work that it started."""

import threading
from asyncio import Future
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["CancellationToken"]

T = TypeVar("T")


class CancellationToken:
    """Cancels everything linked to it, once; later links are cancelled at once. Thread-safe."""

    __slots__ = ("_callbacks", "_cancelled", "_lock")

    def __init__(self) -> None:
        self._cancelled = False
        self._callbacks: list[Callable[[], Any]] = []
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Cancel everything that is linked now or later."""
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
        """Call `callback` on cancellation, or at once if the token is already cancelled."""
        with self._lock:
            if not self._cancelled:
                self._callbacks.append(callback)
                return
        callback()

    def remove_callback(self, callback: Callable[[], Any]) -> None:
        """Remove a callback, so that a long-lived token does not keep finished work."""
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def link_future(self, future: Future[T]) -> Future[T]:
        """Cancel `future` with this token, and return it."""
        self.add_callback(future.cancel)
        return future
