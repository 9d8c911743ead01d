"""Work that emits items while it continues: a coroutine, to be awaited or to be read as a stream.

A chain of async generators that pass on each other's items costs several times as much: each item
passes through all of them, and the event loop registers each generator. A coroutine awaits
`emit(item)` instead, however deep it is in calls. The caller decides what that does: `Emissions`
suspends the work until the next item is requested, as a generator does at `yield`; a caller that
only needs the outcome takes note of the item and returns at once.

The work runs in the task of its caller. It must not emit inside `cancelled_by` or
`asyncio.timeout`, for the same reasons for which a generator must not yield there.
"""

import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import aclosing
from typing import Any, Generic, TypeAlias, TypeVar

__all__ = ["Emissions", "Emit", "ignore", "streamed"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Emit: TypeAlias = Callable[[ItemT], Awaitable[None]]
"""Takes an item of work; the work continues when it returns."""


async def ignore(item: object) -> None:
    """Drop an item, for callers that only need the outcome."""


class Emissions(Generic[ItemT, ResultT]):
    """The items of work, on request.

    Args:
        work: A function that returns the coroutine, given the `Emit` that it shall use.
    """

    __slots__ = ("_is_suspended", "_work", "result")

    result: ResultT
    """What the work returned; set when `next` has returned None."""

    def __init__(self, work: Callable[[Emit[ItemT]], Coroutine[Any, Any, ResultT]]) -> None:
        self._work = work(_suspend)
        self._is_suspended = False

    def next(self) -> Awaitable[ItemT | None]:
        """Continue the work until it emits an item; None if it has ended.

        Raises:
            Exception: Any exception of the work.
        """
        return self._advance(self._work.send, None)

    async def aclose(self) -> None:
        """End work that emitted an item and is not continued: an exception is raised there.

        Raises:
            RuntimeError: The work has emitted another item instead of ending.
        """
        if not self._is_suspended:
            self._work.close()  # it has not begun, or has ended
            return
        try:
            item = await self._advance(self._work.throw, _Left())
        except _Left:
            return
        if item is not None:
            raise RuntimeError("The work emitted an item after it was closed.")

    @types.coroutine
    def _advance(
        self, proceed: Callable[[Any], Any], value: Any
    ) -> Generator[Any, Any, ItemT | None]:
        self._is_suspended = False
        try:
            signal = proceed(value)
            while type(signal) is not _Emitted:  # a future, for the event loop
                try:
                    value = yield signal
                except BaseException as error:
                    signal = self._work.throw(error)
                else:
                    signal = self._work.send(value)
        except StopIteration as end:
            self.result = end.value
            return None
        self._is_suspended = True
        return signal.item


async def streamed(
    work: Callable[[Emit[ItemT]], Coroutine[Any, Any, ResultT]],
) -> AsyncGenerator[ItemT | ResultT, None]:
    """The items of work, then its result."""
    emissions = Emissions[ItemT, ResultT](work)
    async with aclosing(emissions):
        while (item := await emissions.next()) is not None:
            yield item
    yield emissions.result


class _Left(BaseException):
    """The caller does not request more items.

    Not `GeneratorExit`: Python closes inner coroutines for it, which could not await then.
    """


class _Emitted:
    __slots__ = ("item",)

    def __init__(self, item: Any) -> None:
        self.item = item


@types.coroutine
def _suspend(item: Any) -> Generator[_Emitted, None, None]:
    yield _Emitted(item)
