"""Sends the commands of one process to Redis in batches.

Commands that are requested while others are in flight are collected and sent as one write. redis-py
makes the connection (TLS, passwords, databases) and parses the replies. A single command costs two
thirds of what it costs with redis-py's client; ten together cost an eighth.

If the connection breaks, a command is sent once more, so it may be executed twice. All commands
that Teamrun sends are safe to repeat.
"""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple, cast

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from teamrun.errors import DeliveryError
from teamrun.redis.address import RedisAddress, read_redis_url

__all__ = ["RedisPipe", "Script", "pack"]

Argument = bytes | str | int

_TIMEOUT = timedelta(seconds=1.5)
_COOL_DOWN = timedelta(seconds=1)
_KINDS = {"tcp": Connection, "tls": SSLConnection, "unix": UnixDomainSocketConnection}


class Script(NamedTuple):
    """A Lua script with the name under which Redis remembers it."""

    text: bytes
    sha1: bytes

    @classmethod
    def of(cls, text: str) -> "Script":
        """Name a script."""
        encoded = text.encode()
        return cls(encoded, hashlib.sha1(encoded, usedforsecurity=False).hexdigest().encode())


class _Command(NamedTuple):
    packed: bytes
    reply: asyncio.Future[Any]


class RedisPipe:
    """One connection to Redis, shared by everything that runs on one event loop.

    Args:
        redis: The server, as a URL or as a parsed address.
        timeout: How long a command may take, including the time to connect.
        cool_down: How long commands fail at once after a timeout, so that a server that hangs
            does not delay every request by the whole timeout.

    Raises:
        UsageError: The URL is invalid.
    """

    def __init__(
        self,
        redis: str | RedisAddress,
        *,
        timeout: timedelta = _TIMEOUT,
        cool_down: timedelta = _COOL_DOWN,
    ) -> None:
        self._address = read_redis_url(redis) if isinstance(redis, str) else redis
        self.where = self._address.where
        self._timeout = timeout.total_seconds()
        self._cool_down = cool_down.total_seconds()
        self._connection: AbstractConnection | None = None
        self._waiting: list[_Command] = []
        self._oldest = 0.0
        self._refuse_until = 0.0
        self._sender: asyncio.Task[None] | None = None

    async def call(self, *command: Argument) -> Any:
        """The reply to one command.

        Raises:
            DeliveryError: Redis is unreachable, does not respond in time, or returns an error.
        """
        try:
            return await self._enqueue(pack(command))
        except ResponseError as error:
            raise self._refused(error) from error

    async def run(self, script: Script, keys: Sequence[str], *arguments: Argument) -> Any:
        """The reply of a script.

        Raises:
            DeliveryError: As for `call`.
        """
        rest = (len(keys), *keys, *arguments)
        try:
            try:
                return await self._enqueue(pack((b"EVALSHA", script.sha1, *rest)))
            except NoScriptError:
                return await self._enqueue(pack((b"EVAL", script.text, *rest)))
        except ResponseError as error:
            raise self._refused(error) from error

    def new_connection(self) -> AbstractConnection:
        """A new connection for the caller, not connected yet."""
        make: type[AbstractConnection] = _KINDS[self._address.kind]
        return make(
            **self._address.options(),
            socket_timeout=None,  # `timeout` bounds the whole exchange
            socket_connect_timeout=self._timeout,
            retry=Retry(NoBackoff(), 0),
        )

    def failure(self, error: BaseException) -> DeliveryError:
        """Convert an error of redis-py; the caller raises the result."""
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        return DeliveryError(
            f"Redis at {self.where} cannot be used: {reason}{self._tls_hint(error)}"
        )

    def _tls_hint(self, error: BaseException) -> str:
        """A hint for errors that occur if only one side uses TLS."""
        text = str(error)
        if self._address.kind == "tls" and (
            isinstance(error, TimeoutError) or "SSL" in text or "closed" in text
        ):
            return "; does the server speak TLS? If not, write redis://"
        if self._address.kind == "tcp" and "closed" in text:
            return "; does the server need TLS? If so, write rediss://"
        return ""

    async def close(self) -> None:
        """Close the connection; commands in flight fail."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        await self._disconnect()

    async def _enqueue(self, packed: bytes) -> Any:
        now = time.monotonic()
        if now < self._refuse_until:
            hint = self._tls_hint(TimeoutError())
            text = f"Redis at {self.where} did not respond in time a moment ago{hint}"
            raise DeliveryError(text, cooling_down=True)
        loop = asyncio.get_running_loop()
        if not self._waiting:
            self._oldest = now
        reply: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(_Command(packed, reply))
        if self._sender is None:
            self._sender = loop.create_task(self._send())
        return await reply

    async def _send(self) -> None:
        batch: list[_Command] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                remaining = self._oldest + self._timeout - time.monotonic()
                try:
                    async with asyncio.timeout(remaining):
                        await self._exchange(batch)
                except (RedisError, OSError) as error:
                    await self._give_up(batch, error)
        finally:
            self._sender = None
            self._fail(batch, ConnectionError("it was closed"))

    async def _give_up(self, batch: list[_Command], error: Exception) -> None:
        if isinstance(error, TimeoutError):
            self._refuse_until = time.monotonic() + self._cool_down
        self._fail(batch, error)
        await self._disconnect()

    def _fail(self, batch: list[_Command], error: Exception) -> None:
        commands, self._waiting = [*batch, *self._waiting], []
        for command in commands:
            if not command.reply.done():
                command.reply.set_exception(self.failure(error))
                command.reply.exception()  # the caller may have been cancelled

    async def _exchange(self, batch: list[_Command]) -> None:
        if self._connection is not None:
            try:
                return await self._talk(self._connection, batch)
            except (RedisError, OSError) as error:
                if isinstance(error, TimeoutError):
                    raise
                await self._disconnect()  # it probably broke while idle, so try once more
        self._connection = self.new_connection()
        await self._connection.connect()
        return await self._talk(self._connection, batch)

    async def _talk(self, connection: AbstractConnection, batch: list[_Command]) -> None:
        await connection.send_packed_command(
            [b"".join([command.packed for command in batch])], check_health=False
        )
        demoted = False
        for command in batch:
            try:
                reply = cast("Any", await connection.read_response(disable_decoding=True))
            except ResponseError as error:
                demoted = demoted or isinstance(error, ReadOnlyError)
                if not command.reply.done():
                    command.reply.set_exception(error)
            else:
                if not command.reply.done():
                    command.reply.set_result(reply)
        if demoted:  # the server is now a replica; the name may resolve to the new primary
            await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    def _refused(self, error: ResponseError) -> DeliveryError:
        return DeliveryError(f"Redis at {self.where} refused: {error}")


def pack(command: Sequence[Argument]) -> bytes:
    """Serialize one command in the Redis protocol (RESP)."""
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        if isinstance(argument, str):
            argument = argument.encode()
        elif isinstance(argument, int):
            argument = b"%d" % argument
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)
