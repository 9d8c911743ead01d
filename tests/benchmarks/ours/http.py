"""A bare HTTP client for measurements: it costs little beside the server that it measures."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Client", "Stream", "answer_of"]


class Client(asyncio.Protocol):
    """One connection, on which requests follow each other."""

    def __init__(self) -> None:
        self._data = b""
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int) -> "Client":
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if len(body) >= length and self._answered is not None:
            self._data = body[length:]
            self._answered.set_result((int(head[9:12]), body[:length]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("the server closed"))

    async def request(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        assert self._transport is not None
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(content)}"]
        lines += ["Content-Type: application/json"] if content else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + content)
        return await self._answered

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def answer_of(reply: tuple[int, bytes]) -> Any:
    """The parsed body of an answer that must be a success."""
    status, body = reply
    if status >= 400:
        raise RuntimeError(f"{status}: {body[:200]!r}")
    return json.loads(body)


class Stream(asyncio.Protocol):
    """One stream of events; counts them, and ends when the server's does."""

    def __init__(self, path: str, heard: Callable[[int, float], None] | None = None) -> None:
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
        )
        self._heard = heard
        self.events = 0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        self.events += data.count(b"\nevent: ")
        if self._heard is not None:
            self._heard(self.events, time.perf_counter())
        if b"event: end\n" in data:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    @classmethod
    async def open(
        cls, port: int, path: str, heard: Callable[[int, float], None] | None = None
    ) -> "Stream":
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(lambda: cls(path, heard), "127.0.0.1", port)
        return stream
