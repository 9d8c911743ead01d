"""Opens the queue that a setting names."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from teamrun.dispatch.address import QueueAddress, read_queue_url, scheme_of
from teamrun.dispatch.base import Dispatcher

if TYPE_CHECKING:
    from teamrun.redis.address import RedisAddress

__all__ = ["open_dispatcher"]

_CLOUDS: Final[Mapping[str, str]] = {
    "sqs": "teamrun.dispatch.sqs:SqsDispatcher",
    "azq": "teamrun.dispatch.azure_queue:AzureQueueDispatcher",
}
"""The dispatcher of each scheme of `address.read_queue_url`, as `module:name`."""


def open_dispatcher(
    queue: "str | RedisAddress | None", *, prefix: str, setting: str = "queue_url"
) -> Dispatcher | None:
    """The queue of a deployment; None if there is none.

    Args:
        queue: Of Celery workers: their Redis, as a URL or as a parsed address. Of functions in a
            cloud: a URL as `read_queue_url` takes it.
        prefix: The namespace, which the names of queues in Redis start with.
        setting: The name of the setting that the URL comes from, for the error.

    Raises:
        UsageError: The URL is invalid.
        MissingPackage: The package of the queue is not installed.
    """
    if queue is None:
        return None
    if isinstance(queue, str) and scheme_of(queue) in _CLOUDS:
        return _in_cloud(read_queue_url(queue, setting=setting))
    from teamrun.dispatch.celery import CeleryDispatcher
    from teamrun.dispatch.persistent import PersistentDispatcher
    from teamrun.redis.address import read_redis_url

    address = read_redis_url(queue, setting=setting) if isinstance(queue, str) else queue
    return PersistentDispatcher(CeleryDispatcher(address, prefix=prefix))


def _in_cloud(address: QueueAddress) -> Dispatcher:
    module, _, name = _CLOUDS[address.scheme].partition(":")
    opens = cast("Callable[[QueueAddress], Dispatcher]", getattr(import_module(module), name))
    return opens(address)
