"""Equal calls at the same time that are made once: the callers share the outcome."""

import asyncio
from asyncio import AbstractEventLoop, Task
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar, cast

from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken

__all__ = ["SharedCalls"]

T = TypeVar("T")


class _Call(Generic[T]):
    """A call that is being made, in a task of its own: no caller's cancellation ends it alone."""

    def __init__(self, make: Callable[[CancellationToken], Awaitable[T]]) -> None:
        self.callers = 0
        self._token = CancellationToken()
        self._error: BaseException | None = None
        self.task: Task[T | None] = asyncio.get_running_loop().create_task(self._made(make))

    async def _made(self, make: Callable[[CancellationToken], Awaitable[T]]) -> T | None:
        try:
            return await make(self._token)
        except BaseException as error:  # of any class: a task would let sys.exit() end the loop
            self._error = error
            return None

    async def outcome(self) -> T:
        """The value for one caller; the last caller that is cancelled ends the call.

        Raises:
            BaseException: Any exception of the call.
        """
        self.callers += 1
        try:
            value = await asyncio.shield(self.task)
        finally:
            self.callers -= 1
            if not self.callers and not self.task.done():
                await self._end()
        if self._error is not None:
            raise self._error
        return cast("T", value)

    async def _end(self) -> None:
        self._token.cancel()
        self.task.cancel()
        await asyncio.wait([self.task])


class SharedCalls(Generic[T]):
    """The calls that are being made, by key. Callers in different event loops share none."""

    def __init__(self) -> None:
        self._calls: dict[tuple[AbstractEventLoop, Hashable], _Call[T]] = {}

    async def call(
        self,
        key: Hashable,
        make: Callable[[CancellationToken], Awaitable[T]],
        token: CancellationToken | None = None,
    ) -> T:
        """The outcome of the call of that key; if none is being made, make it.

        Args:
            key: Calls with the same key are equal.
            make: Makes the call. The token that it gets is cancelled when no caller waits any more.
            token: Cancels this caller alone.

        Raises:
            CancelledError: This caller was cancelled. The call goes on if others wait for it.
            BaseException: Any exception of the call; all callers get it.
        """
        place = (asyncio.get_running_loop(), key)
        call = self._calls.get(place)
        if call is None or not call.callers:  # one without callers is being ended
            call = self._calls[place] = _Call(make)
            call.task.add_done_callback(lambda _: self._forget(place, call))
        with cancelled_by(token):
            return await call.outcome()

    def _forget(self, place: tuple[AbstractEventLoop, Hashable], call: _Call[T]) -> None:
        if self._calls.get(place) is call:
            del self._calls[place]
