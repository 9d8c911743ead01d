"""An HTTP client for URLs that come from input.

Each connection is checked where it is opened: the host is looked up once, every address of it is
checked, and one of those very addresses is dialled. A name that has another address at the second
look-up (DNS rebinding) gains nothing. TLS still verifies the name. Redirects are not followed,
proxies and other settings of the environment are not used, and an answer is read up to a limit.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, cast

import httpcore2
import httpx2

from teamrun.errors import DestinationRefused
from teamrun.net.addresses import Address, read_address
from teamrun.net.destinations import Destinations, Origin

__all__ = ["Answer", "GuardedClient", "Resolve", "guarded_transport"]

_LOOK_UPS = 8
"""Names that are looked up at the same time."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks up the addresses of a host."""


class Answer(NamedTuple):
    """The answer to a request."""

    status: int
    headers: httpx2.Headers
    body: bytes
    """Up to the limit."""
    is_cut: bool
    """The answer was longer; the rest was not read."""


class GuardedClient:
    """Sends requests to URLs that come from input.

    Args:
        destinations: Decides which hosts are allowed.
        resolve: Looks up a name; the default asks the system.
        verify: Settings of TLS; the default verifies certificates by the usual authorities.
    """

    def __init__(
        self,
        destinations: Destinations,
        *,
        resolve: Resolve | None = None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._destinations = destinations
        self._client = httpx2.AsyncClient(
            transport=guarded_transport(destinations, resolve=resolve, verify=verify),
            follow_redirects=False,
            trust_env=False,
        )

    async def send(
        self,
        method: str,
        url: str,
        *,
        within: timedelta,
        most_bytes: int,
        headers: dict[str, str] | None = None,
        content: bytes = b"",
    ) -> Answer:
        """Send a request, and read the answer.

        Args:
            method: The HTTP method.
            url: The URL from input.
            within: The time for all of it: look-up, connection, request and answer.
            most_bytes: How much of the answer is read.
            headers: Headers of the request.
            content: The body of the request.

        Raises:
            DestinationRefused: The URL is not allowed.
            TimeoutError: It took longer.
            httpx2.RequestError: The host did not answer, or the answer is not HTTP.
        """
        self._destinations.check_url(url)
        # Compressed answers are not accepted: few bytes could become very many.
        sent = {"accept-encoding": "identity", **(headers or {})}
        async with asyncio.timeout(within.total_seconds()):
            async with self._client.stream(
                method, url, headers=sent, content=content, timeout=None
            ) as response:
                body, is_cut = await _read(response, most_bytes)
        return Answer(response.status_code, response.headers, body, is_cut)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def guarded_transport(
    destinations: Destinations,
    *,
    resolve: Resolve | None = None,
    verify: ssl.SSLContext | None = None,
) -> httpx2.AsyncBaseTransport:
    """A transport that connects to allowed addresses only; for a client of another library.

    It does not check URLs as such: see `Destinations.check_url`.
    """
    names = _Names()
    pool = httpcore2.AsyncConnectionPool(
        ssl_context=verify or httpx2.create_ssl_context(trust_env=False),
        max_connections=None,
        max_keepalive_connections=20,
        keepalive_expiry=30,
        network_backend=_CheckingBackend(destinations, resolve or names),
    )
    return _Transport(pool, names)


async def _read(response: httpx2.Response, most: int) -> tuple[bytes, bool]:
    parts, size = list[bytes](), 0
    async for part in response.aiter_raw():
        parts.append(part)
        size += len(part)
        if size > most:
            return b"".join(parts)[:most], True
    return b"".join(parts), False


class _Names:
    """Looks up names in threads of its own.

    The system may take long to say that a name does not answer. The default threads of the event
    loop also read and write files, and all work would wait.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="names")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def close(self) -> None:
        """Drop the look-ups that wait."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _CheckingBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections to allowed addresses only."""

    def __init__(self, destinations: Destinations, resolve: Resolve) -> None:
        self._destinations = destinations
        self._resolve = resolve
        # The name is typed as a placeholder that is used if anyio is missing.
        self._network = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Look up the host, check all its addresses, and connect to the first that answers."""
        last: httpcore2.ConnectError | None = None
        for address in await self._addresses(host, port):
            try:
                return await self._network.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except httpcore2.ConnectError as error:
                last = error
        assert last is not None, "an empty answer is refused"
        raise last

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        """Refused: a URL from input never names a socket of this machine."""
        raise DestinationRefused("A socket of this machine is not a destination.")

    async def sleep(self, seconds: float) -> None:
        """Pause between attempts to connect."""
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            texts = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:  # a label of the name may be too long
            raise httpcore2.ConnectError(f"The name {host} was not found: {error}") from error
        addresses = [address for text in texts if (address := read_address(text)) is not None]
        origin = Origin("https", host.lower().strip("[]").removesuffix("."), port)
        self._destinations.check_addresses(origin, addresses)
        return addresses


class _Transport(httpx2.AsyncBaseTransport):
    """Passes requests to a pool with our own backend.

    `httpx2.AsyncHTTPTransport` has no argument for a backend.
    """

    def __init__(self, pool: httpcore2.AsyncConnectionPool, names: _Names) -> None:
        self._pool = pool
        self._names = names

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        url = request.url
        target = httpcore2.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        async with _as_httpx(request):
            response = await self._pool.handle_async_request(
                httpcore2.Request(
                    method=request.method,
                    url=target,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        body = _Body(response, request)
        return httpx2.Response(response.status, headers=response.headers, stream=body)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
        self._names.close()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: httpcore2.Response, request: httpx2.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with _as_httpx(self._request):
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._response.aclose()


@asynccontextmanager
async def _as_httpx(request: httpx2.Request) -> AsyncGenerator[None]:
    """Raise the errors of the lower library as those of the client, which have the same names."""
    try:
        yield
    except (
        httpcore2.NetworkError,
        httpcore2.ProtocolError,
        httpcore2.TimeoutException,
        httpcore2.UnsupportedProtocol,
    ) as error:
        kind = getattr(httpx2, type(error).__name__, httpx2.TransportError)
        raise kind(str(error), request=request) from error
