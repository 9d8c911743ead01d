"""Streams that go on for as long as their source does, and end when the client leaves.

`EventStream` is the response: it pumps chunks from a generator, sends a comment when the generator
is silent, and closes the generator as soon as the client has left or the server is about to stop.

If the platform passes a response on only when it is complete (`TEAMRUN_BUFFERED`), an event stream
is a long poll: the response has the events that there are, or the first that come, and ends. The
client continues after the last event, as it does after an interruption.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from teamrun.errors import TeamrunError
from teamrun_api.context import Api, time_left
from teamrun_api.disconnect import departure, end_all, while_present

__all__ = ["PING", "EventStream", "Quiet", "retry_frame"]

logger = logging.getLogger(__name__)

PING = b": ping\n\n"

RETRY_MS = 2000
"""How long a client waits before it connects again."""

BUFFERED_RETRY_MS = 100
"""The same if each response ends after the first events."""

_SILENCE_S = 0.25
"""A buffered response ends when no further chunk follows its events for so long."""

_GATHER_S = 1.0
"""It ends so long after its first events although more of them come."""

_MOST_BYTES = 1024 * 1024
"""A buffered response ends when it has so many. A function of AWS may return 6 MB."""


_BURST = 4
"""Number of chunks sent before yielding to the loop. Only then the server learns that the client
has disconnected, and asyncio warns of each write after the fifth to a lost connection."""


class Quiet(bytes):
    """A chunk without news: a buffered response does not end because of it."""


class EventStream(Response):
    """A response whose body is generated."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        api: Api,
        media_type: str = "text/event-stream",
        headers: Mapping[str, str] | None = None,
        ping: bytes | None = PING,
    ) -> None:
        """Make the response.

        Args:
            chunks: The body; it is closed whatever happens.
            api: Knows how often to ping and when the server stops.
            media_type: The Content-Type.
            headers: More headers.
            ping: The chunk to send when there are no events; None for formats without comments.
        """
        super().__init__(
            media_type=media_type,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})},
        )
        del self.headers["content-length"]
        self._chunks = chunks
        self._api = api
        self._ping = ping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the body until its end, the client's or the server's."""
        self._api.metrics.streams += 1
        try:
            if self._api.settings.buffered and self._ping is not None:
                await self._answer(scope, receive, send)
            else:
                await self._stream(receive, send)
        finally:
            self._api.metrics.streams -= 1
            await self._chunks.aclose()

    async def _stream(self, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        pumping = asyncio.create_task(self._pump(send))
        pinging = asyncio.create_task(self._ping_forever(send))
        leaving = asyncio.create_task(departure(receive))
        closing = asyncio.create_task(self._api.closing.wait())
        try:
            await asyncio.wait({pumping, leaving, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left = leaving.done()
            await end_all(pumping, pinging, leaving, closing)
        _report(pumping)
        if not left:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what there is, or what comes first, as one whole."""
        pieces: list[bytes] = []
        within_s = min(self._api.settings.wait_limit, time_left(scope)).total_seconds()
        try:
            await while_present(receive, self._api.closing, self._gather(pieces, within_s))
        except TeamrunError:
            if all(isinstance(piece, Quiet) for piece in pieces):
                raise  # the response has not begun, so it can be the error
        body = b"".join(pieces)
        await Response(body, self.status_code, self.headers)(scope, receive, send)

    async def _gather(self, pieces: list[bytes], within_s: float) -> None:
        now = asyncio.get_running_loop().time
        end, size, has_news = now() + within_s, 0, False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end) as limit:
                async for chunk in self._chunks:
                    pieces.append(chunk)
                    size += len(chunk)
                    if size >= _MOST_BYTES:
                        return
                    if not has_news and not isinstance(chunk, Quiet):
                        has_news, end = True, min(end, now() + _GATHER_S)
                    if has_news:
                        limit.reschedule(min(end, now() + _SILENCE_S))

    async def _pump(self, send: Send) -> None:
        sent = 0
        async for chunk in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            sent += 1
            if sent % _BURST == 0:
                await asyncio.sleep(0)

    async def _ping_forever(self, send: Send) -> None:
        while self._ping is not None:
            await asyncio.sleep(self._api.settings.ping_seconds)
            await send({"type": "http.response.body", "body": self._ping, "more_body": True})


def retry_frame(api: Api) -> Quiet:
    """Tells the client when to connect again after a cut."""
    retry_ms = BUFFERED_RETRY_MS if api.settings.buffered else RETRY_MS
    return Quiet(f"retry: {retry_ms}\n\n".encode())


def _report(pumping: "asyncio.Task[Any]") -> None:
    # The headers have been sent, so an error can only end the stream; the client reconnects from
    # the last event it has seen, and then receives the error.
    error = None if pumping.cancelled() else pumping.exception()
    if isinstance(error, TeamrunError):
        data = {"action": "stream.interrupted", "code": error.code}
        logger.warning("An event stream was interrupted by an error", extra=data)
    elif error is not None:
        logger.error("An event stream failed", exc_info=error, extra={"action": "stream.failed"})
