"""A minimal HTTP server for the pages of a worker: metrics and probes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from teamrun.core.exposition import CONTENT_TYPE
from teamrun.errors import UsageError

__all__ = ["Answer", "Page", "listen"]

logger = logging.getLogger(__name__)

_PATIENCE_S = 5.0
"""How long a client may take to send its request headers."""


class Answer(NamedTuple):
    """A response."""

    status: str
    """Status code and reason."""
    text: str


Page = Callable[[], Awaitable[Answer]]
"""Makes the response to `GET`."""


async def listen(pages: Mapping[str, Page], *, host: str, port: int) -> asyncio.Server:
    """Serve `GET` of each path until the server is closed.

    Args:
        pages: The pages by path.
        host: The address to bind to.
        port: The port; 0 selects a free one.

    Raises:
        UsageError: The address cannot be bound.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _response(request, pages))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has disconnected or does not speak HTTP
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, host, port, limit=8192)
    except OSError as error:
        raise UsageError(
            f"The metrics of this worker cannot be served on {host} port {port}: "
            f"{error.strerror}. Set TEAMRUN_METRICS_PORT to a free port."
        ) from error
    bound = server.sockets[0].getsockname()[1]
    data = {"action": "worker.metrics_ready", "url": f"http://{host}:{bound}/metrics"}
    logger.info("Metrics are available", extra=data)
    return server


async def _response(request: bytes, pages: Mapping[str, Page]) -> bytes:
    method, _, rest = request.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0].decode("ascii", "replace")
    if path not in pages:
        served = ", ".join(pages)
        return _written(Answer("404 Not Found", f"Only these paths are served here: {served}\n"))
    if method != b"GET":
        return _written(Answer("405 Method Not Allowed", "Use GET.\n"), "Allow: GET\r\n")
    return _written(await pages[path]())


def _written(answer: Answer, header: str = "") -> bytes:
    body = answer.text.encode()
    return (
        f"HTTP/1.1 {answer.status}\r\nContent-Type: {CONTENT_TYPE}\r\n{header}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
