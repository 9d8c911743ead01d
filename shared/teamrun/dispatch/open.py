"""Opens the queue that a setting names."""

from teamrun.dispatch.base import Dispatcher
from teamrun.dispatch.persistent import PersistentDispatcher
from teamrun.redis.address import RedisAddress, read_redis_url

__all__ = ["open_dispatcher"]


def open_dispatcher(
    queue: str | RedisAddress | None, *, prefix: str, setting: str = "queue_url"
) -> Dispatcher | None:
    """A queue for Celery workers in that Redis; None if there is none.

    Args:
        queue: The server, as a URL or as a parsed address.
        prefix: The namespace, which the queue's name starts with.
        setting: The name of the setting that the URL comes from, for the error.

    Raises:
        UsageError: The URL is invalid.
        MissingPackage: Celery is not installed.
    """
    if queue is None:
        return None
    from teamrun.dispatch.celery import CeleryDispatcher

    address = read_redis_url(queue, setting=setting) if isinstance(queue, str) else queue
    return PersistentDispatcher(CeleryDispatcher(address, prefix=prefix))
