"""Sends hints to Celery workers over Redis, without Celery.

A message names up to 50 runs. It is what Celery's own `apply_async` writes (message protocol 2, in
the envelope of kombu's Redis transport), pushed to the list with the queue's name. `apply_async`
would block the event loop for about 400 microseconds. This takes a tenth of that, and shares one
write with other commands that are sent to Redis at the same time.
"""

import json
import os
import platform
import re
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from teamrun.core.optional import require
from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import MAX_REFS_PER_MESSAGE, RUN_QUEUES, Queue
from teamrun.redis.address import RedisAddress

if TYPE_CHECKING:
    from teamrun.redis.pipe import RedisPipe

__all__ = ["OLD_QUEUE", "TASK", "CeleryDispatcher", "encode_message"]

OLD_QUEUE = "teamrun"
"""The only queue of releases before the named ones. Workers still consume it for one release, so
that messages that were waiting during an upgrade are executed."""

TASK = "teamrun.execute"
"""The name of the task; each argument is the `str` of a `RunRef`."""

_MESSAGES_PER_COMMAND = 100
"""A command of 5,000 runs has about 300 KB; Redis executes nothing else meanwhile."""

_EMBED = '{"callbacks":null,"errbacks":null,"chain":null,"chord":null}'


class CeleryDispatcher:
    """Implements `Dispatcher` by pushing Celery messages to Redis.

    Args:
        redis: The server, or a pipe that the caller closes.
        prefix: The namespace: put before the names of the lists.

    Raises:
        MissingPackage: redis-py is not installed.
        UsageError: The URL is invalid.
    """

    def __init__(self, redis: "str | RedisAddress | RedisPipe", *, prefix: str = "") -> None:
        self._own_pipe = isinstance(redis, str | RedisAddress)
        self._pipe = _open(redis) if isinstance(redis, str | RedisAddress) else redis
        self._prefix = prefix

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        """Ask workers to execute the runs.

        Args:
            refs: The runs; one message names up to 50 of them.
            queue: The queue to send them on.
            first: Put them before the messages that wait.

        Raises:
            DeliveryError: Redis did not accept the messages within 2 seconds.
        """
        starts = range(0, len(refs), MAX_REFS_PER_MESSAGE)
        # Workers take from the right end of a list.
        command, ordered = (b"RPUSH", starts[::-1]) if first else (b"LPUSH", starts)
        for place in range(0, len(ordered), _MESSAGES_PER_COMMAND):
            messages = [
                encode_message(refs[start : start + MAX_REFS_PER_MESSAGE], queue=queue)
                for start in ordered[place : place + _MESSAGES_PER_COMMAND]
            ]
            await self._pipe.call(command, f"{self._prefix}{queue}", *messages)

    async def depths(self) -> dict[str, int]:
        """The number of messages that wait for a worker, by queue.

        Raises:
            DeliveryError: Redis does not respond.
        """
        names = (*RUN_QUEUES, OLD_QUEUE)
        counts = [int(await self._pipe.call(b"LLEN", f"{self._prefix}{name}")) for name in names]
        depths = {str(name): count for name, count in zip(names, counts, strict=True)}
        if not depths[OLD_QUEUE]:
            del depths[OLD_QUEUE]
        return depths

    async def close(self) -> None:
        """Close the connection."""
        if self._own_pipe:
            await self._pipe.close()


def encode_message(refs: Sequence[RunRef], *, queue: str = Queue.INTERACTIVE) -> bytes:
    """One message as kombu's Redis transport stores it."""
    texts = [json.dumps(str(ref)) for ref in refs]
    body = f"[[{','.join(texts)}],{{}},{_EMBED}]"
    more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
    parts = {
        "body": b64encode(body.encode()).decode("ascii"),
        "text": texts[0][1:-1] + more,
        "id": os.urandom(16).hex(),
        "tag": os.urandom(16).hex(),
    }
    return (_template(queue) % parts).encode()


@lru_cache(maxsize=8)
def _template(queue: str) -> str:
    # Formatting a template takes 3 microseconds; serializing the message each time took 15.
    message = {
        "body": "<body>",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": TASK,
            "id": "<id>",
            "root_id": "<id>",
            "parent_id": None,
            "group": None,
            "shadow": None,
            "eta": None,
            "expires": None,
            "retries": 0,
            "timelimit": [None, None],
            "argsrepr": "('<text>',)",
            "kwargsrepr": "{}",
            "origin": f"teamrun@{platform.node()}",
            "ignore_result": True,
        },
        "properties": {
            "correlation_id": "<id>",
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": "<tag>",
        },
    }
    template = json.dumps(message, separators=(",", ":")).replace("%", "%%")
    return re.sub("<(body|id|tag|text)>", r"%(\1)s", template)


def _open(redis: str | RedisAddress) -> "RedisPipe":
    require("redis", extra="redis", needed_by="CeleryDispatcher", lowest=(8,))
    from teamrun.redis.pipe import RedisPipe

    return RedisPipe(redis)
