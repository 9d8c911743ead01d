"""Logs when Redis stops being usable, and when it is usable again; once each."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from teamrun.errors import DeliveryError

__all__ = ["watch_redis"]

logger = logging.getLogger(__name__)

_PAUSE = timedelta(seconds=5)


async def watch_redis(ping: Callable[[], Awaitable[None]], *, pause: timedelta = _PAUSE) -> None:
    """Ask Redis now and after each pause, until cancelled.

    A process starts without Redis and waits for it, because Redis may come up later. An address,
    password or database that is wrong looks the same, so it must be visible in the log.

    Args:
        ping: Raises `DeliveryError` if Redis cannot be used.
        pause: How long to wait between two questions.
    """
    is_away = False
    while True:
        try:
            await ping()
        except DeliveryError as error:
            if not is_away:
                is_away = True
                logger.warning(
                    "Redis is unavailable; this process waits for it",
                    extra={"action": "redis.unavailable", "error": str(error)},
                )
        else:
            if is_away:
                is_away = False
                # A warning, so that a log of warnings does not end with the outage.
                logger.warning("Redis is available again", extra={"action": "redis.available"})
        await asyncio.sleep(pause.total_seconds())
