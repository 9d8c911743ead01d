"""Makes the shared state from a setting."""

from teamrun.core.optional import require
from teamrun.live.base import Live
from teamrun.live.memory import MemoryLive
from teamrun.redis.address import RedisAddress

__all__ = ["open_live"]


def open_live(redis: str | RedisAddress | None, *, prefix: str = "teamrun:") -> Live:
    """Shared state in that Redis, or in this process if there is none.

    Args:
        redis: The server, as a URL or already read.
        prefix: The namespace: put before every key and channel.

    Raises:
        UsageError: The URL is invalid.
        MissingPackage: redis-py is not installed.
    """
    if redis is None:
        return MemoryLive()
    require("redis", extra="redis", needed_by="RedisLive", lowest=(8,))
    from teamrun.live.redis import RedisLive

    return RedisLive(redis, prefix=prefix)
