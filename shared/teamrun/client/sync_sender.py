"""Sends calls, in the thread of the caller."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
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

__all__ = ["ItemStream", "Pager", "Sender"]

T = TypeVar("T")

Perform = Callable[[Step], Any]


class Sender:
    """Sends calls over one HTTP client.

    Args:
        http: The HTTP client.
        exchange: The API and the times.
        policy: When a request is sent again.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        http: httpx2.Client,
        exchange: Exchange,
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = http
        self._exchange = exchange
        self._policy = policy
        self._sleep = sleep

    def perform(self, call: Call) -> Any:
        """The value of a call; of a list or a stream, what yields its items."""
        match call:
            case Request():
                return self._value(call)
            case Pause():
                return self._sleep(call.seconds)
            case Blocking():
                return call.work()
            case Paged():
                return Pager[Any](self, call)
            case Streamed():
                return ItemStream[Any](self.follow(EventReading[Any](call, self._policy)))
            case Lines():
                return ItemStream[Any](self.follow(LineReading[Any](call, self._policy)))
            case Polled():
                return ItemStream[Any](self.poll(call))
            case Download():
                return self._download(call)
            case _:  # a journey
                return _drive(call, self.perform)

    def reply(
        self, request: Request[Any], once: Callable[[Request[Any]], Reply] | None = None
    ) -> Reply:
        """The answer to a request, which is retried as the policy says.

        Args:
            request: The request.
            once: Makes one attempt; by default it reads the whole answer.

        Raises:
            TeamrunError: The server reports an error, or there is no answer.
        """
        attempt = once or self._once

        def perform(step: Step) -> Any:
            return attempt(step) if isinstance(step, Request) else self.perform(step)

        return _drive(attempts(request, self._policy), perform)

    def follow(self, reading: Reading[T]) -> Generator[T, None, None]:
        """The items of a document to its end; an interrupted one is resumed."""
        while not reading.has_ended:
            reason: TeamrunError | None = None
            try:
                with self._open(reading.request(), silence=SILENCE_S) as response:
                    reading.opened(response.status_code, response.headers)
                    if reading.has_ended:
                        return
                    for piece in response.iter_bytes():
                        yield from reading.take(piece)
                        if reading.has_ended:
                            return
                    yield from reading.closed()
            except TeamrunError as error:
                reason = error
            if not reading.has_ended:
                self._sleep(reading.interrupted(reason))

    def poll(self, call: Polled[T]) -> Generator[T, None, None]:
        """The states of a resource to its last one."""
        state = self._value(call.first)
        yield state
        while (request := call.following(state)) is not None:
            self._sleep(call.interval)
            news = self._value(request)
            if news is not None:
                state = news
                yield state

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _value(self, request: Request[T]) -> T:
        return request.value(self.reply(request))

    def _once(self, request: Request[Any]) -> Reply:
        with self._open(request) as response:
            return reply_of(response, response.read())

    def _download(self, call: Download) -> Path:
        with Draft(call.target, replace=call.replace) as draft:
            self.reply(call.request, partial(self._save, draft))
            draft.finish()
        return call.target

    def _save(self, draft: Draft, request: Request[Any]) -> Reply:
        asked = replace(request, headers={**request.headers, **draft.rest})
        with self._open(asked) as response:
            if draft.begin(response.status_code, response.headers):
                for piece in response.iter_bytes(PIECE_BYTES):
                    draft.write(piece)
            draft.check()
            return reply_of(response, b"")

    @contextmanager
    def _open(
        self, request: Request[Any], *, silence: float | None = None
    ) -> Generator[httpx2.Response]:
        """The answer to one attempt, whose body has not been read."""
        arguments = self._exchange.arguments(request, silence=silence)
        try:
            built = self._http.build_request(**arguments, content=_content(request.body))
            response = self._http.send(built, stream=True, follow_redirects=False)
            try:
                self._exchange.has_answered = True
                if not is_success(request, response.status_code):
                    raise error_of(reply_of(response, response.read()))
                yield response
            finally:
                response.close()
        except httpx2.HTTPError as error:
            raise self._exchange.failure(error) from error


class Pager(Generic[T]):
    """A list: iterating it reads its pages one after the other."""

    def __init__(self, sender: Sender, call: Paged[T]) -> None:
        self._sender = sender
        self._call = call

    def page(self) -> Page[T]:
        """The first page alone."""
        return self._sender.perform(self._call.first)

    def pages(self) -> Iterator[Page[T]]:
        """The pages; one may be empty although there are more."""
        request: Request[Page[T]] | None = self._call.first
        while request is not None:
            page: Page[T] = self._sender.perform(request)
            yield page
            request = self._call.following(page)

    def __iter__(self) -> Iterator[T]:
        """All items."""
        for page in self.pages():
            yield from page.data


class ItemStream(Generic[T]):
    """Items as they arrive, to the end. Leaving a `with` block closes the connection."""

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[T]:
        """The stream itself."""
        return self

    def __next__(self) -> T:
        """The next item."""
        return next(self._items)

    def close(self) -> None:
        """Close the connection before the end of the stream."""
        self._items.close()

    def __enter__(self) -> Self:
        """The stream itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()


def _drive(steps: Generator[Step, Any, T], perform: Perform) -> T:
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
            value = perform(step)
        except TeamrunError as caught:
            error = caught


def _content(body: bytes | Upload | None) -> bytes | Iterator[bytes] | None:
    return _pieces(body.path) if isinstance(body, Upload) else body


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
