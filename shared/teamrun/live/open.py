"""Opens the live state that a setting names."""

import logging
from typing import TYPE_CHECKING

from teamrun.core.optional import require
from teamrun.live.base import Live
from teamrun.live.memory import MemoryLive

if TYPE_CHECKING:
    from teamrun.redis.address import RedisAddress

__all__ = ["open_live"]

logger = logging.getLogger(__name__)


def open_live(
    redis: "str | RedisAddress | None", *, prefix: str = "teamrun:", is_alone: bool = True
) -> Live:
    """Shared state in that Redis, or in this process if there is none.

    Every process calls this once, at start, so a certificate that is not verified is logged here.

    Args:
        redis: The server, as a URL or as a parsed address.
        prefix: The namespace, a prefix of every key and channel.
        is_alone: Whether this process is the whole deployment, so that state in it is shared.

    Raises:
        UsageError: The URL is invalid.
        MissingPackage: redis-py is not installed.
    """
    if redis is None:
        return MemoryLive(is_shared=is_alone)
    require("redis", extra="redis", needed_by="RedisLive", lowest=(8,))
    from teamrun.live.redis import RedisLive
    from teamrun.redis.address import read_redis_url

    address = read_redis_url(redis) if isinstance(redis, str) else redis
    if not address.verified:
        logger.warning(
            "The certificate of the Redis server is not fully verified; remove ssl_cert_reqs and "
            "ssl_check_hostname from TEAMRUN_REDIS_URL and set ssl_ca_certs to the CA file",
            extra={"action": "redis.unverified", "address": address.where},
        )
    return RedisLive(address, prefix=prefix)
