"""Sends calls, in an asyncio event loop."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx2

from teamrun.client.downloads import Draft
from teamrun.client.exchange import PIECE_BYTES, SILENCE_S, Exchange, is_success, reply_of
from teamrun.client.problems import error_of
from teamrun.client.readings import EventReading, LineReading, Reading
from teamrun.client.requests import (
    Blocking,
    Call,
    Download,
    Lines,
    Page,
    Paged,
    Pause,
    Polled,
    Reply,
    Request,
    Step,
    Streamed,
    Upload,
)
from teamrun.client.retries import RetryPolicy, attempts
from teamrun.errors import TeamrunError

__all__ = ["AsyncItemStream", "AsyncPager", "AsyncSender"]

T = TypeVar("T")

Perform = Callable[[Step], Awaitable[Any]]


class AsyncSender:
    """Sends calls over one HTTP client; the counterpart of `Sender`."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        exchange: Exchange,
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._exchange = exchange
        self._policy = policy
        self._sleep = sleep

    def perform(self, call: Call) -> Any:
        """The awaitable value of a call; of a list or a stream, what yields its items."""
        match call:
            case Request():
                return self._value(call)
            case Pause():
                return self._sleep(call.seconds)
            case Blocking():
                return asyncio.to_thread(call.work)
            case Paged():
                return AsyncPager[Any](self, call)
            case Streamed():
                return AsyncItemStream[Any](self.follow(EventReading[Any](call, self._policy)))
            case Lines():
                return AsyncItemStream[Any](self.follow(LineReading[Any](call, self._policy)))
            case Polled():
                return AsyncItemStream[Any](self.poll(call))
            case Download():
                return self._download(call)
            case _:  # a journey
                return _drive(call, self.perform)

    async def reply(
        self,
        request: Request[Any],
        once: Callable[[Request[Any]], Awaitable[Reply]] | None = None,
    ) -> Reply:
        """The answer to a request, which is retried as the policy says.

        Args:
            request: The request.
            once: Makes one attempt; by default it reads the whole answer.

        Raises:
            TeamrunError: The server reports an error, or there is no answer.
        """
        attempt = once or self._once

        def perform(step: Step) -> Awaitable[Any]:
            return attempt(step) if isinstance(step, Request) else self.perform(step)

        return await _drive(attempts(request, self._policy), perform)

    async def follow(self, reading: Reading[T]) -> AsyncGenerator[T, None]:
        """The items of a document to its end; an interrupted one is resumed."""
        while not reading.has_ended:
            reason: TeamrunError | None = None
            try:
                async with self._open(reading.request(), silence=SILENCE_S) as response:
                    reading.opened(response.status_code, response.headers)
                    if reading.has_ended:
                        return
                    async for piece in response.aiter_bytes():
                        for item in reading.take(piece):
                            yield item
                        if reading.has_ended:
                            return
                    for item in reading.closed():
                        yield item
            except TeamrunError as error:
                reason = error
            if not reading.has_ended:
                await self._sleep(reading.interrupted(reason))

    async def poll(self, call: Polled[T]) -> AsyncGenerator[T, None]:
        """The states of a resource to its last one."""
        state = await self._value(call.first)
        yield state
        while (request := call.following(state)) is not None:
            await self._sleep(call.interval)
            news = await self._value(request)
            if news is not None:
                state = news
                yield state

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _value(self, request: Request[T]) -> T:
        return request.value(await self.reply(request))

    async def _once(self, request: Request[Any]) -> Reply:
        async with self._open(request) as response:
            return reply_of(response, await response.aread())

    async def _download(self, call: Download) -> Path:
        with Draft(call.target, replace=call.replace) as draft:
            await self.reply(call.request, partial(self._save, draft))
            draft.finish()
        return call.target

    async def _save(self, draft: Draft, request: Request[Any]) -> Reply:
        asked = replace(request, headers={**request.headers, **draft.rest})
        async with self._open(asked) as response:
            if draft.begin(response.status_code, response.headers):
                async for piece in response.aiter_bytes(PIECE_BYTES):
                    await asyncio.to_thread(draft.write, piece)
            draft.check()
            return reply_of(response, b"")

    @asynccontextmanager
    async def _open(
        self, request: Request[Any], *, silence: float | None = None
    ) -> AsyncGenerator[httpx2.Response]:
        """The answer to one attempt, whose body has not been read."""
        arguments = self._exchange.arguments(request, silence=silence)
        try:
            built = self._http.build_request(**arguments, content=_content(request.body))
            response = await self._http.send(built, stream=True, follow_redirects=False)
            try:
                self._exchange.has_answered = True
                if not is_success(request, response.status_code):
                    raise error_of(reply_of(response, await response.aread()))
                yield response
            finally:
                await response.aclose()
        except httpx2.HTTPError as error:
            raise self._exchange.failure(error) from error


class AsyncPager(Generic[T]):
    """A list: iterating it with `async for` reads its pages one after the other."""

    def __init__(self, sender: AsyncSender, call: Paged[T]) -> None:
        self._sender = sender
        self._call = call

    async def page(self) -> Page[T]:
        """The first page alone."""
        return await self._sender.perform(self._call.first)

    async def pages(self) -> AsyncIterator[Page[T]]:
        """The pages; one may be empty although there are more."""
        request: Request[Page[T]] | None = self._call.first
        while request is not None:
            page: Page[T] = await self._sender.perform(request)
            yield page
            request = self._call.following(page)

    async def __aiter__(self) -> AsyncIterator[T]:
        """All items."""
        async for page in self.pages():
            for item in page.data:
                yield item


class AsyncItemStream(Generic[T]):
    """Items as they arrive, to the end. Leaving an `async with` block closes the connection."""

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[T]:
        """The stream itself."""
        return self

    async def __anext__(self) -> T:
        """The next item."""
        return await anext(self._items)

    async def aclose(self) -> None:
        """Close the connection before the end of the stream."""
        await self._items.aclose()

    async def __aenter__(self) -> Self:
        """The stream itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        await self.aclose()


async def _drive(steps: Generator[Step, Any, T], perform: Perform) -> T:
    """Perform the steps of a journey; its value."""
    value: Any = None
    error: TeamrunError | None = None
    while True:
        try:
            step = steps.send(value) if error is None else steps.throw(error)
        except StopIteration as done:
            return done.value
        value = error = None
        try:
            value = await perform(step)
        except TeamrunError as caught:
            error = caught


def _content(body: bytes | Upload | None) -> bytes | AsyncIterator[bytes] | None:
    return _pieces(body.path) if isinstance(body, Upload) else body


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece
