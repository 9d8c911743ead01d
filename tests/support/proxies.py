"""Proxies between a process and a server: one that falls silent, one that reports false errors.

`SilentProxy` (TCP) keeps connections open and passes nothing on, as a firewall does that has
forgotten them. `FaultyProxy` (HTTP) answers some requests with errors, some late, and some not at
although the server has executed the request.
"""

import asyncio
import contextlib
import random
import ssl
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["FaultyProxy", "Rates", "SilentProxy", "TlsProxy", "TunnelProxy"]


class _Listener:
    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.serve(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class SilentProxy(_Listener):
    """Passes on to a unix socket, until its present connections are silenced."""

    def __init__(self, target: Path) -> None:
        super().__init__()
        self._target = target
        self._silence = asyncio.Event()

    @property
    def url(self) -> str:
        """As redis-py takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def silence(self) -> None:
        """Pass nothing on any more over the connections there are; new ones work."""
        self._silence.set()
        self._silence = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silence = self._silence
        upstream, downstream = await asyncio.open_unix_connection(str(self._target))
        pumps = [
            asyncio.create_task(_pump(reader, downstream)),
            asyncio.create_task(_pump(upstream, writer)),
        ]
        silenced = asyncio.create_task(silence.wait())
        try:
            await asyncio.wait([*pumps, silenced], return_when=asyncio.FIRST_COMPLETED)
            if silence.is_set():
                for pump in pumps:
                    pump.cancel()
                await asyncio.Event().wait()  # both ends stay open
        finally:
            for task in (*pumps, silenced):
                task.cancel()
            downstream.close()


class TlsProxy(_Listener):
    """TLS in front of a unix socket; `received` is what clients sent once they trusted it."""

    def __init__(self, target: Path, tls: ssl.SSLContext) -> None:
        super().__init__(tls=tls)
        self._target = target
        self.received = bytearray()

    @property
    def url(self) -> str:
        """As Teamrun takes it."""
        return f"rediss://127.0.0.1:{self.port}/0"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_unix_connection(str(self._target))
        back = asyncio.create_task(_pump(upstream, writer))
        try:
            while data := await reader.read(65536):
                self.received += data
                downstream.write(data)
                await downstream.drain()
        finally:
            back.cancel()
            downstream.close()


class TunnelProxy(_Listener):
    """An HTTP proxy that opens tunnels (`CONNECT`); `opened` counts them."""

    opened = 0

    @property
    def url(self) -> str:
        """As `HTTPS_PROXY` takes it."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        upstream, downstream = await asyncio.open_connection(host, int(port))
        self.opened += 1
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pumps = [
            asyncio.create_task(_pump(reader, downstream)),
            asyncio.create_task(_pump(upstream, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            downstream.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@dataclass(frozen=True)
class Rates:
    """The share of requests that fail, and how."""

    error: float = 0.0
    """Answered 500 or 503 without contacting the server."""
    slow: float = 0.0
    """Answered half a second late."""
    lost: float = 0.0
    """Carried out; the connection ends without an answer."""
    down: bool = False
    """Every connection is refused at once."""


class FaultyProxy(_Listener):
    """Passes HTTP/1.1 requests on to a server, one connection for each; faults by a seed."""

    def __init__(self, endpoint: str, rates: Rates, *, seed: int = 1) -> None:
        super().__init__()
        host, _, port = endpoint.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self.rates = rates
        self._random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        """The outcome of the requests."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await _request(reader):
            if self.rates.down:
                self.counts["down"] += 1
                return
            fault = self._fault()
            self.counts[fault] += 1
            if fault == "error":
                writer.write(self._error())
                await writer.drain()
                continue
            reply = await self._forward(request)
            if fault == "lost":
                return
            if fault == "slow":
                await asyncio.sleep(0.5)
            writer.write(reply)
            await writer.drain()

    def _fault(self) -> str:
        drawn = self._random.random()
        for name in ("error", "slow", "lost"):
            drawn -= getattr(self.rates, name)
            if drawn < 0:
                return name
        return "passed"

    def _error(self) -> bytes:
        status = self._random.choice(("500 Internal Server Error", "503 Slow Down"))
        return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._target)
        try:
            head, sign, body = request.partition(b"\r\n\r\n")
            writer.write(head + b"\r\nConnection: close" + sign + body)
            await writer.drain()
            reply = await reader.read()
        finally:
            writer.close()
        head, sign, body = reply.partition(b"\r\n\r\n")
        lines = [
            line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")
        ]
        return b"\r\n".join(lines) + sign + body


async def _request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + await reader.readexactly(length)
