"""Makes the shared state from a setting."""

from teamrun.core.optional import require
from teamrun.live.base import Live
from teamrun.live.memory import MemoryLive

__all__ = ["open_live"]


def open_live(redis_url: str | None) -> Live:
    """Shared state in that Redis, or in this process where there is none.

    Raises:
        UsageError: The URL is none of redis-py's.
        MissingPackage: redis-py is not installed.
    """
    if redis_url is None:
        return MemoryLive()
    require("redis", extra="redis", needed_by="RedisLive", lowest=(8,))
    from teamrun.live.redis import RedisLive

    return RedisLive(redis_url)
