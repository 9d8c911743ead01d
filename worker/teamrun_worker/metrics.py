"""`GET /metrics` of a worker, for Prometheus."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from teamrun.core.exposition import CONTENT_TYPE, MetricLines, head, sample
from teamrun.dispatch.base import Dispatcher, QueueDepth
from teamrun.errors import DeliveryError, UsageError
from teamrun.version import VERSION

__all__ = ["listen", "rendered"]

logger = logging.getLogger(__name__)

_PATIENCE_S = 5.0
"""How long a client may take to send its request headers."""


async def rendered(runs: MetricLines, dispatcher: Dispatcher) -> str:
    """All metrics of a worker; the queue depth is left out while the queue is unreachable."""
    lines = [
        *head("teamrun_build_info", "gauge", "The running version."),
        sample("teamrun_build_info", 1, {"version": VERSION}),
        *runs(),
        *await _queue_lines(dispatcher),
    ]
    return "\n".join(lines) + "\n"


async def _queue_lines(dispatcher: Dispatcher) -> list[str]:
    if not isinstance(dispatcher, QueueDepth):
        return []
    name = "teamrun_queue_messages"
    try:
        depths = await dispatcher.depths()
    except DeliveryError:
        return []
    samples = [sample(name, count, {"queue": queue}) for queue, count in sorted(depths.items())]
    return [*head(name, "gauge", "Messages waiting in a queue."), *samples]


async def listen(render: Callable[[], Awaitable[str]], *, host: str, port: int) -> asyncio.Server:
    """Serve `GET /metrics` until the server is closed.

    Args:
        render: Returns the text.
        host: The address to bind to.
        port: The port; 0 selects a free one.

    Raises:
        UsageError: The address cannot be bound.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _response(request, render))
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


async def _response(request: bytes, render: Callable[[], Awaitable[str]]) -> bytes:
    method, _, rest = request.partition(b" ")
    if rest.partition(b" ")[0].partition(b"?")[0] != b"/metrics":
        return _written("404 Not Found", "Only /metrics is served here.\n")
    if method != b"GET":
        return _written("405 Method Not Allowed", "Use GET.\n", "Allow: GET\r\n")
    return _written("200 OK", await render())


def _written(status: str, text: str, header: str = "") -> bytes:
    body = text.encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\n{header}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
