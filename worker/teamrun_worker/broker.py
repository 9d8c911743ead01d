"""Celery's connection to Redis, made from the same address as all other connections.

kombu parses URLs differently and does not verify certificates by default. It also treats a server
that refuses writes (a replica after a failover, full memory, a failed save) as a program error,
which ends the worker. Here such a server counts as unavailable, and the worker waits for it.
"""

import logging
from functools import partial
from typing import Any, cast

from kombu.transport import redis as kombu_redis
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ResponseError

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.redis.address import RedisAddress
from teamrun_worker.screening import fault_in_item

__all__ = ["Transport", "transport_options"]

logger = logging.getLogger(__name__)

_KINDS = {"tcp": Connection, "tls": SSLConnection, "unix": UnixDomainSocketConnection}
_TCP_ONLY = ("socket_connect_timeout", "socket_keepalive", "socket_keepalive_options")
_PROBE = "probe:worker"
_PROBE_LIFE_S = 60


def transport_options(address: RedisAddress, *, prefix: str) -> JsonMapping:
    """The options of `Transport`, for `broker_transport_options`.

    Args:
        address: The server.
        prefix: The prefix of every key, including kombu's own.
    """
    return {
        "address": address,
        "global_keyprefix": prefix,
        "queue_order_strategy": "priority",  # in the order of `task_queues`, not in turn
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 5,  # with 15, a dead connection was only detected after 32 s
    }


class _Client(kombu_redis.PrefixedStrictRedis):
    """A client that drops what kombu and Celery cannot handle, before kombu parses it.

    BRPOP has removed the item from its list, and nothing has recorded it as unacknowledged yet.
    An item that is dropped here can therefore not come back.
    """

    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        inherited: Any = super()
        reply = inherited.parse_response(connection, command_name, **options)
        if command_name != "BRPOP" or not reply:
            return reply
        key, item = reply
        if (part := fault_in_item(item)) is None:
            return reply
        queue = key.decode(errors="replace") if isinstance(key, bytes) else key
        logger.warning(
            "A message of the queue is invalid and was dropped; the reaper sends runs that wait",
            extra={
                "action": "worker.message_invalid",
                "part": part,
                "queue": queue,
                "size_bytes": len(item),
            },
        )
        return None  # as if the list were empty


class Channel(kombu_redis.Channel):
    """A channel that connects to the address and starts with a write."""

    def __init__(self, connection: Any, *arguments: Any, **options: Any) -> None:
        self._address: RedisAddress = connection.client.transport_options["address"]
        self.connection_class = _KINDS[self._address.kind]
        super().__init__(connection, *arguments, **options)
        # A server that responds to PING may still refuse every BRPOP. An error here makes kombu
        # wait and try again.
        try:
            self.client.set(_PROBE, 1, ex=_PROBE_LIFE_S)
        except BaseException:
            cast("Any", self)._disconnect_pools()
            raise

    def _get_client(self) -> Any:
        return partial(_Client, global_keyprefix=self.global_keyprefix)

    def _connparams(self, asynchronous: bool = False) -> JsonObject:
        inherited: Any = super()
        parameters: JsonObject = inherited._connparams(asynchronous=asynchronous)
        dropped = ("host", "port", *(_TCP_ONLY if self._address.kind == "unix" else ()))
        for name in dropped:
            parameters.pop(name, None)
        return parameters | self._address.options()


class Transport(kombu_redis.Transport):
    """kombu's Redis transport over `Channel`."""

    Channel = Channel
    can_parse_url = True
    """kombu does not parse the URL, which is only for logs and contains no credentials."""

    connection_errors = (*kombu_redis.Transport.connection_errors, ResponseError)

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:
        """The URL for logs."""
        return uri
