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
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from teamrun.core.optional import require
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Waiting
from teamrun.dispatch.queues import MAX_REFS_PER_MESSAGE, RUN_QUEUES, Queue
from teamrun.errors import DeliveryError
from teamrun.redis.address import RedisAddress

if TYPE_CHECKING:
    from teamrun.redis.pipe import RedisPipe, Script

__all__ = ["OLD_QUEUE", "TASK", "CeleryDispatcher", "encode_message", "lists_of", "refs_in"]

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

    async def take(self, most: int, *, queues: Sequence[Queue] = RUN_QUEUES) -> list[Waiting]:
        """The next messages that name runs, at most so many, those of the first queue first.

        A message that was not sent by this module is put back: Celery handles it.

        Raises:
            DeliveryError: Redis does not respond.
        """
        names = lists_of(queues)
        keys = [f"{self._prefix}{name}" for name in names]
        found = await self._pipe.run(_take(), keys, most)
        taken: list[Waiting] = []
        odd: dict[str, list[bytes]] = {}
        for place, item in zip(found[::2], found[1::2], strict=True):
            name = names[int(place) - 1]
            if refs := refs_in(item):
                queue = Queue.INTERACTIVE if name == OLD_QUEUE else Queue(name)
                taken.append(Waiting(queue, refs))
            else:
                odd.setdefault(name, []).insert(0, item)
        for name, items in odd.items():
            with suppress(DeliveryError):  # the others have been taken, and are executed
                await self._pipe.call(b"RPUSH", f"{self._prefix}{name}", *items)
        return taken

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


def refs_in(item: bytes) -> list[RunRef]:
    """The runs that a message of `encode_message` names; none if it is any other item."""
    try:
        message = json.loads(item)
        headers = message["headers"]
        if headers["task"] != TASK or headers["eta"] or headers["expires"]:
            return []
        arguments, options, _ = json.loads(b64decode(message["body"], validate=True))
        return [] if options else [RunRef.parse(text) for text in arguments]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def lists_of(queues: Sequence[Queue]) -> list[str]:
    """The names of the lists of queues, in the order in which a worker takes their messages."""
    names: list[str] = []
    for queue in Queue:
        if queue in queues:
            names.append(str(queue))
        if queue is Queue.INTERACTIVE and queue in queues:
            names.append(OLD_QUEUE)
    return names


@cache
def _take() -> "Script":
    from teamrun.redis.pipe import Script

    return Script.of("""
        local found, left = {}, tonumber(ARGV[1])
        for place, key in ipairs(KEYS) do
            local items = left > 0 and redis.call('RPOP', key, left) or {}
            for _, item in ipairs(items) do
                found[#found + 1] = place
                found[#found + 1] = item
            end
            left = left - #items
        end
        return found
    """)


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
