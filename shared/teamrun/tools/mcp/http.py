"""A server behind an address.

It gets the operator's headers; no request goes to another address, whatever the server answers.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2

from teamrun.errors import DestinationRefused
from teamrun.net.client import guarded_transport
from teamrun.net.destinations import DEFAULT_PORTS, Destinations
from teamrun.tools.mcp.params import SseServerParams, StreamableHttpServerParams
from teamrun.tools.mcp.process import MOST_BYTES

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

__all__ = ["client_for", "connect_sse", "connect_streamable_http"]


@asynccontextmanager
async def connect_sse(params: SseServerParams) -> "AsyncGenerator[TransportStreams]":
    """Connect with the older transport.

    Raises:
        httpx2.HTTPError: The address does not answer.
        DestinationRefused: The server refers to another address.
    """
    from mcp.client.sse import sse_client

    def client(
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        return client_for(params.url, headers, timeout)

    async with sse_client(
        params.url,
        headers=params.headers,
        timeout=params.timeout,
        sse_read_timeout=params.sse_read_timeout,
        httpx_client_factory=client,
    ) as streams:
        yield streams


@asynccontextmanager
async def connect_streamable_http(
    params: StreamableHttpServerParams,
) -> "AsyncGenerator[TransportStreams]":
    """Connect with the streamable HTTP transport; requests fail if the address does not answer."""
    from mcp.client.streamable_http import streamable_http_client

    timeout = httpx2.Timeout(params.timeout, read=params.sse_read_timeout)
    async with (
        client_for(params.url, params.headers, timeout) as client,
        streamable_http_client(
            params.url,
            http_client=client,
            terminate_on_close=params.terminate_on_close,
            max_sse_event_size=MOST_BYTES,
        ) as streams,
    ):
        yield streams


def client_for(
    url: str, headers: dict[str, str] | None, timeout: httpx2.Timeout | None
) -> httpx2.AsyncClient:
    """A client that reaches the host and port of the address only.

    The one who registered the address allowed it by that; all else is refused.
    """
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise DestinationRefused("The URL must have the form https://host/path.")
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 443)
    host = (parts.hostname or "").lower()
    entry = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    destinations = Destinations([entry])
    origin = destinations.check_url(url)
    transport = _Bound(guarded_transport(destinations), (origin.host, origin.port))
    return httpx2.AsyncClient(
        transport=transport, headers=headers, timeout=timeout, trust_env=False
    )


class _Bound(httpx2.AsyncBaseTransport):
    """Refuses every request to another host or port, and cuts answers that are too long."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, place: tuple[str, int]) -> None:
        self._inner = inner
        self._place = place

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        url = request.url
        place = url.host.lower(), url.port or DEFAULT_PORTS.get(url.scheme, 0)
        if place != self._place:
            raise DestinationRefused(
                f"The server refers to the address {url.host}:{place[1]}, and only"
                f" {self._place[0]}:{self._place[1]} is registered."
            )
        # Compressed answers are not accepted: few bytes could become very many.
        request.headers["accept-encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Limited(response.stream, request)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class _Limited(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, request: httpx2.Request) -> None:
        self._inner = inner
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._inner:
            size += len(part)
            if size > MOST_BYTES:
                text = f"The answer has more than {MOST_BYTES:,} bytes."
                raise httpx2.ReadError(text, request=self._request)
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
