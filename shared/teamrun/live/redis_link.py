"""One connection to Redis in the subscribed state."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from teamrun.errors import DeliveryError
from teamrun.redis.pipe import pack

__all__ = ["RedisLink"]

_CONFIRMATION = timedelta(seconds=2)


class RedisLink:
    """Reads until the connection breaks or is silent for too long; it is not reopened.

    Args:
        connection: An open connection, used for nothing else.
        deliver: Called with the channel and the message.
        lost: Called once, when the connection is lost.
        silence: The interval of pings; the server must have responded by the next one.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        *,
        deliver: Callable[[str, bytes], None],
        lost: Callable[["RedisLink"], None],
        silence: timedelta,
    ) -> None:
        self._connection = connection
        self._deliver = deliver
        self._lost = lost
        self._silence = silence
        self._ended = False
        self._has_replied = False
        self._channels: dict[str, asyncio.Future[None]] = {}
        self._confirmations: deque[asyncio.Future[None]] = deque()
        self._outgoing: list[bytes] = []
        self._writer: asyncio.Task[None] | None = None
        self._reader = asyncio.create_task(self._read())
        self._watch = asyncio.create_task(self._stay_alive())

    async def subscribe(self, channel: str) -> None:
        """Return when Redis has confirmed the subscription.

        Raises:
            DeliveryError: The connection is lost, or Redis does not confirm the subscription.
        """
        if self._ended:
            raise _LOST
        confirmation = self._channels.get(channel)
        if confirmation is None:
            confirmation = self._channels[channel] = self._ask(b"SUBSCRIBE", channel)
        try:
            async with asyncio.timeout(_CONFIRMATION.total_seconds()):
                await asyncio.shield(confirmation)
        except TimeoutError as error:
            self._end()
            raise DeliveryError("Redis did not confirm a subscription") from error

    def unsubscribe(self, channel: str) -> None:
        """Unsubscribe from a channel, without waiting."""
        if not self._ended and self._channels.pop(channel, None) is not None:
            self._ask(b"UNSUBSCRIBE", channel)

    async def close(self) -> None:
        """Close the connection."""
        self._end()
        tasks = [task for task in (self._reader, self._watch, self._writer) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connection.disconnect(nowait=True)

    def _ask(self, verb: bytes, channel: str) -> asyncio.Future[None]:
        confirmation: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._confirmations.append(confirmation)
        self._write(pack((verb, channel)))
        return confirmation

    def _write(self, packed: bytes) -> None:
        self._outgoing.append(packed)
        if self._writer is None:
            self._writer = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._outgoing and not self._ended:
                packed, self._outgoing = self._outgoing, []
                await self._connection.send_packed_command(packed, check_health=False)
        except (RedisError, OSError):
            self._end()
        finally:
            self._writer = None

    async def _read(self) -> None:
        try:
            while True:
                reply = cast(
                    "Any",
                    await self._connection.read_response(disable_decoding=True, timeout=math.inf),
                )
                self._has_replied = True
                if isinstance(reply, list):
                    self._take(cast("list[Any]", reply))
        except (RedisError, OSError):
            self._end()

    def _take(self, reply: list[Any]) -> None:
        if reply[0] == b"message":
            self._deliver(reply[1].decode(), reply[2])
        elif reply[0] in {b"subscribe", b"unsubscribe"}:  # in the order of the commands
            confirmation = self._confirmations.popleft()
            if not confirmation.done():
                confirmation.set_result(None)

    async def _stay_alive(self) -> None:
        while True:
            self._has_replied = False
            self._write(pack((b"PING",)))
            await asyncio.sleep(self._silence.total_seconds())
            if not self._has_replied:
                self._end()
                return

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._reader.cancel()  # reading ends with the connection
        self._watch.cancel()
        while self._confirmations:
            confirmation = self._confirmations.popleft()
            if not confirmation.done():
                confirmation.set_exception(_LOST)
                confirmation.exception()  # most are not awaited
        self._lost(self)


_LOST = DeliveryError("the connection to Redis is lost")
