"""Many HTTP requests at once without the cost that grows with their number.

The connection pool of `httpx2` looks at every connection whenever a request begins or ends:
with a thousand in flight that is two thirds of the CPU of a call (3.4 of 5.2 ms measured).
Here requests are spread over small pools, the first that has room; one that has been empty for a
while is closed.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from os import environ
from pathlib import Path
from threading import get_ident
from urllib.request import getproxies

import httpx2

__all__ = ["SpreadTransport", "http_client"]

_PER_POOL = 16
_IDLE = timedelta(seconds=30)
_LIMITS = httpx2.Limits(
    max_connections=None, max_keepalive_connections=None, keepalive_expiry=_IDLE.total_seconds()
)


def http_client() -> httpx2.AsyncClient:
    """The client that a worker needs; proxies of the environment are used as ever.

    It follows redirects; `redirects.guarded` keeps those of model calls on the same server.
    """
    file, folder = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    verify = _tls_context(get_ident(), file, folder, _version(file), _version(folder))
    if "all" in getproxies():  # it would need the place of ours
        return httpx2.AsyncClient(verify=verify, limits=_LIMITS, follow_redirects=True)
    spread = SpreadTransport(lambda: httpx2.AsyncHTTPTransport(verify=verify, limits=_LIMITS))
    # A proxy for https:// is more specific than all:// and takes precedence over ours.
    return httpx2.AsyncClient(verify=verify, mounts={"all://": spread}, follow_redirects=True)


@lru_cache(maxsize=8)
def _tls_context(*_: object) -> ssl.SSLContext:
    """One per thread and version of the certificates: reading these stops the loop for 20 ms."""
    return httpx2.create_ssl_context()


def _version(path: str | None) -> int | None:
    """When a file or folder was last changed, so that replaced certificates are read again."""
    try:
        return None if path is None else Path(path).stat().st_mtime_ns
    except OSError:
        return None


@dataclass(slots=True, eq=False)
class _Pool:
    transport: httpx2.AsyncBaseTransport
    busy: int = 0
    idle_since: float = 0


class SpreadTransport(httpx2.AsyncBaseTransport):
    """Sends each request by the first pool that has room.

    Args:
        make: Makes another pool.
        per_pool: How many requests one pool has in flight at most.
        idle: How long the last pool stays after it has become empty.
    """

    def __init__(
        self,
        make: Callable[[], httpx2.AsyncBaseTransport],
        *,
        per_pool: int = _PER_POOL,
        idle: timedelta = _IDLE,
    ) -> None:
        self._make = make
        self._per_pool = per_pool
        self._idle_seconds = idle.total_seconds()
        self._pools: list[_Pool] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request; its place is free again when the response is closed."""
        pool = self._roomy()
        pool.busy += 1
        try:
            await self._retire()
            response = await pool.transport.handle_async_request(request)
        except BaseException:
            self._left(pool)
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Watched(response.stream, lambda: self._left(pool))
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, []
        for pool in pools:
            await pool.transport.aclose()

    def _roomy(self) -> _Pool:
        for pool in self._pools:
            if pool.busy < self._per_pool:
                return pool
        self._pools.append(_Pool(self._make()))
        return self._pools[-1]

    def _left(self, pool: _Pool) -> None:
        pool.busy -= 1
        if not pool.busy:
            pool.idle_since = asyncio.get_running_loop().time()

    async def _retire(self) -> None:
        last = self._pools[-1]
        now = asyncio.get_running_loop().time()
        if not last.busy and now - last.idle_since > self._idle_seconds:
            self._pools.pop()
            await last.transport.aclose()


class _Watched(httpx2.AsyncByteStream):
    """A response body that reports once that it is closed."""

    def __init__(self, stream: httpx2.AsyncByteStream, closed: Callable[[], None]) -> None:
        self._stream = stream
        self._closed: Callable[[], None] | None = closed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            closed, self._closed = self._closed, None
            if closed is not None:
                closed()
