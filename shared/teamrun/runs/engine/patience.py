"""Waiting for storage: a run continues when it responds again, and does not fail meanwhile."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from teamrun.core.refs import RunRef
from teamrun.errors import Unavailable

__all__ = ["until_stored"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 5.0
"""Seconds between attempts."""


async def until_stored(
    act: Callable[[], Awaitable[T]], *, ref: RunRef, sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Try something until storage responds.

    Args:
        act: What to try; it may be repeated.
        ref: The run that waits for it.
        sleep: Waits for some seconds.
    """
    delay = _FIRST_DELAY
    while True:
        try:
            return await act()
        except Unavailable as error:
            logger.warning(
                "Storage does not respond; the run waits for it",
                extra={
                    "action": "storage.retried",
                    **ref.log_fields(),
                    "delay_s": delay,
                    "error": error.message,
                },
            )
        await sleep(delay)
        delay = min(delay * 2, _LONGEST_DELAY)
