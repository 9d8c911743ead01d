"""The parts of a call that are the same for every model server that is called over HTTP."""

import asyncio
import contextlib
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Generic, Protocol, TypeVar

import httpx2

from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.models.http_errors import mapped_errors

__all__ = ["Body", "PerLoop", "texts_of", "timeouts"]

T = TypeVar("T")

_CONNECT_SECONDS = 10.0
_DRAIN_SECONDS = 0.1


def timeouts(seconds: float) -> httpx2.Timeout:
    """`seconds` of silence are the limit; for opening a connection it is at most ten."""
    return httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


class PerLoop(Generic[T]):
    """One client for each event loop, since connections belong to the loop that opened them.

    Args:
        make: Makes a client for the running loop.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, T] = (
            weakref.WeakKeyDictionary()
        )

    def get(self) -> T:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        client = self._made.get(loop)
        if client is None:
            client = self._made[loop] = self._make()
        return client

    def pop(self) -> T | None:
        """The client of the running loop, if there is one, which the caller closes."""
        return self._made.pop(asyncio.get_running_loop(), None)


class Body(Protocol):
    """Reads the body of a streamed answer."""

    @property
    def chunks(self) -> int:
        """How many parts of the answer have come; what only keeps the connection open is none."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the end of the answer has come."""
        ...

    def feed(self, piece: bytes) -> Iterator[str]:
        """The text that the piece adds to the answer."""
        ...

    def close(self) -> Iterator[str]:
        """The text that is left after the last piece."""
        ...


async def texts_of(
    response: httpx2.Response, body: Body, token: CancellationToken | None, *, seconds: float
) -> AsyncGenerator[str, None]:
    """The text of a streamed answer as it arrives.

    Args:
        response: The response, of which nothing has been read.
        body: Reads it.
        token: Ends the call.
        seconds: The longest time between two parts of the answer.

    Raises:
        ModelError: The stream broke off, or the body raised it.
    """
    pieces = response.aiter_bytes()
    chunks, left = 0, seconds
    while not body.ended:
        # The HTTP client bounds the silence of the server. Comments and blank lines keep a
        # connection open, and are no part of the answer.
        with mapped_errors(), cancelled_by(token):
            begin = time.monotonic()
            async with asyncio.timeout(left):
                piece = await anext(pieces, None)
            left -= time.monotonic() - begin
        with mapped_errors():
            for text in body.close() if piece is None else body.feed(piece):
                yield text
        if piece is None:
            return
        if body.chunks > chunks:
            chunks, left = body.chunks, seconds
    await _drain(pieces)


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    """Read the rest after the end of an answer, so that the connection can be reused."""
    with contextlib.suppress(TimeoutError, httpx2.RequestError, httpx2.StreamError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in pieces:
                pass
