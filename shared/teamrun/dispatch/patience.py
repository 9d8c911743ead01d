"""Repeats requests to the queues of a cloud for as long as a sender may wait."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import repeat
from typing import TypeVar

from teamrun.errors import DeliveryError

__all__ = ["PATIENCE_S", "persist"]

T = TypeVar("T")

PATIENCE_S = 2.0
"""How long `Dispatcher.send` may take."""

_PAUSES_S = (0.1, 0.2, 0.4)
"""The pauses between attempts; the last one is repeated."""


async def persist(attempt: Callable[[], Awaitable[T]], *, silence: str) -> T:
    """Repeat an attempt until it succeeds, fails permanently, or has taken 2 seconds.

    Args:
        attempt: Raises `DeliveryError`; `data["retryable"]` says that another attempt may succeed.
        silence: The error if no attempt has ended by then: what to check.

    Raises:
        DeliveryError: It failed.
    """
    newest: DeliveryError | None = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            for pause in _pauses():
                try:
                    return await attempt()
                except DeliveryError as error:
                    if not error.data.get("retryable"):
                        raise
                    newest = error
                await asyncio.sleep(pause)
    except TimeoutError:
        pass
    raise newest or DeliveryError(silence, retryable=True)


def _pauses() -> Iterator[float]:
    yield from _PAUSES_S
    yield from repeat(_PAUSES_S[-1])
