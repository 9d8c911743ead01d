"""The ways to reach a server, as transports of the SDK."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from teamrun.tools.mcp.params import McpServerParams, SseServerParams, StdioServerParams
from teamrun.tools.mcp.process import Stderr, run_server

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

__all__ = ["open_transport"]


@asynccontextmanager
async def open_transport(
    params: McpServerParams, *, server: str, stderr: Stderr, ended: Callable[[], None]
) -> "AsyncGenerator[TransportStreams]":
    """Connect to a server.

    Args:
        params: How it is reached.
        server: Its name, for logs.
        stderr: Takes the standard error of a process.
        ended: Called when the server has closed the connection.

    Raises:
        OSError: The process cannot be started.
        httpx2.HTTPError: The address does not answer.
        DestinationRefused: The server refers to another address.
    """
    if isinstance(params, StdioServerParams):
        opened = run_server(params, stderr)
    else:
        # Imported late: a process needs no client of HTTP.
        from teamrun.tools.mcp import http

        is_sse = isinstance(params, SseServerParams)
        opened = http.connect_sse(params) if is_sse else http.connect_streamable_http(params)
    async with opened as (read, write):
        yield _Watched(read, ended), write  # pyright: ignore[reportReturnType] - it has what a session uses


class _Watched:
    """A stream of messages that reports its end."""

    def __init__(self, inner: Any, ended: Callable[[], None]) -> None:
        self._inner = inner
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def receive(self) -> Any:
        """The next message."""
        try:
            return await self._inner.receive()
        except BaseException:
            self._ended()
            raise

    def __aiter__(self) -> "_Watched":
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._inner.__anext__()
        except BaseException:
            self._ended()
            raise

    async def __aenter__(self) -> "_Watched":
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *reason: Any) -> Any:
        return await self._inner.__aexit__(*reason)
