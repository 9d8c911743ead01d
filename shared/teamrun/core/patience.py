"""Awaiting code that may ignore its own cancellation."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

__all__ = ["PATIENCE_S", "Expired", "within"]

T = TypeVar("T")

PATIENCE_S: Final = 2.0
"""How long cancelled code may take to end, in seconds."""


class Expired(TimeoutError):
    """The time limit of `within` has passed; the work itself raises a plain `TimeoutError`."""


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Await work for a limited time, and at most `PATIENCE_S` more.

    Unlike `asyncio.timeout`, this does not depend on the work to end when it is cancelled. Work
    that continues nevertheless is abandoned, and its outcome is dropped.

    Args:
        seconds: After this time the work is cancelled.
        work: Runs as a separate task. Its exception is raised here.

    Raises:
        Expired: The work was cancelled and has not returned anything.
        asyncio.CancelledError: The caller was cancelled, and so was the work.
    """
    task = asyncio.create_task(_captured(work))
    expired = False
    try:
        await asyncio.wait({task}, timeout=seconds)
        expired = not task.done()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=PATIENCE_S)
    if not task.done() or (expired and task.cancelled()):
        raise Expired
    outcome = task.result()
    if isinstance(outcome, _Raised):
        raise outcome.error
    return outcome


class _Raised:
    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


async def _captured(work: Coroutine[Any, Any, T]) -> T | _Raised:
    """The outcome of work: an exit raised inside of a task would end the event loop."""
    try:
        return await work
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return _Raised(error)
