"""Subscriptions of one process over one connection.

A thousand readers of one run cost Redis one subscription and one message each time; the message is
delivered to the readers in process. If the connection is lost, every iteration ends. Readers then
subscribe again and read the log, because silence may mean that messages were lost.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from redis.exceptions import RedisError

from teamrun.live.fanout import Fanout, Reader
from teamrun.live.redis_link import RedisLink
from teamrun.redis.pipe import RedisPipe

__all__ = ["RedisTopics"]

_TIMEOUT_S = 1.5
_SILENCE = timedelta(seconds=15)


class RedisTopics:
    """Subscribes to channels of Redis.

    Args:
        pipe: Makes the connections.
        prefix: The prefix of the channel names.
        silence: The interval in which the server must give a sign of life.
    """

    def __init__(self, pipe: RedisPipe, *, prefix: str, silence: timedelta = _SILENCE) -> None:
        self._pipe = pipe
        self._prefix = prefix
        self._silence = silence
        self._fanout = Fanout()
        self._link: RedisLink | None = None
        self._opening: asyncio.Task[RedisLink] | None = None

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncGenerator[Reader, None]:
        """The messages published while the context is entered; Redis has confirmed it by then.

        Raises:
            DeliveryError: Redis cannot be reached.
        """
        link = await self._open()
        reader = self._fanout.join(topic)
        try:
            await link.subscribe(self._prefix + topic)
            yield reader
        finally:
            if self._fanout.leave(topic, reader):
                link.unsubscribe(self._prefix + topic)

    async def close(self) -> None:
        """End every subscription and close the connection."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        self._fanout.end()

    async def _open(self) -> RedisLink:
        if self._link is not None:
            return self._link
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
        return await asyncio.shield(self._opening)

    async def _connect(self) -> RedisLink:
        connection = self._pipe.new_connection()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await connection.connect()
        except (RedisError, OSError) as error:
            await connection.disconnect(nowait=True)
            raise self._pipe.failure(error) from error
        finally:
            self._opening = None
        self._link = RedisLink(
            connection, deliver=self._deliver, lost=self._lost, silence=self._silence
        )
        return self._link

    def _deliver(self, channel: str, message: bytes) -> None:
        self._fanout.deliver(channel.removeprefix(self._prefix), message)

    def _lost(self, link: RedisLink) -> None:
        if link is self._link:
            self._link = None
            self._fanout.end()
