"""Documents that are read while they arrive, over several connections if one breaks.

A reading has the state of one document and does no input or output. `EventReading` is a stream of
server-sent events, which is resumed after the last event; `LineReading` is a document of lines,
which is resumed at the byte after the last one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from teamrun.client.building import nothing
from teamrun.client.errors import APIConnectionError, InvalidAnswerError
from teamrun.client.exchange import is_complete
from teamrun.client.requests import Lines, Request, Streamed
from teamrun.client.retries import RetryPolicy
from teamrun.core.sse import EventReader
from teamrun.errors import TeamrunError

__all__ = ["EventReading", "LineReading", "Reading"]

T = TypeVar("T")

END = "end"
"""The name of the event after which nothing follows."""


class Reading(ABC, Generic[T]):
    """The state of a document that is read.

    A sender opens `request()`, calls `opened` with the head of the answer, passes the bytes of its
    body to `take`, calls `closed` after the last one, and `interrupted` if the document has not
    ended, until `has_ended`.
    """

    def __init__(self, path: str, policy: RetryPolicy) -> None:
        self._path = path
        self._policy = policy
        self._failures = 0
        self.has_ended = False
        """Whether everything has arrived."""

    @abstractmethod
    def request(self) -> Request[None]:
        """The request for what is missing."""

    @abstractmethod
    def opened(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin to read a connection."""

    @abstractmethod
    def take(self, piece: bytes) -> list[T]:
        """The items that end in this piece of the body.

        Raises:
            InvalidAnswerError: An item is not of the expected form.
        """

    @abstractmethod
    def closed(self) -> list[T]:
        """The items that the end of a complete body ends."""

    def interrupted(self, error: TeamrunError | None) -> float:
        """The seconds to wait before the document is opened again.

        Args:
            error: The reason; None if the server closed the connection before the end.

        Raises:
            TeamrunError: The error is final, or there were too many in succession.
        """
        reason = error or APIConnectionError(f"The server closed {self._path} before its end.")
        delay = self._policy.delay(reason, self._failures)
        if delay is None or self._failures >= self._policy.max_reconnects:
            raise reason
        self._failures += 1
        return delay

    def _unreadable(self, error: ValueError) -> InvalidAnswerError:
        return InvalidAnswerError(f"A part of {self._path} cannot be read: {error}")


class EventReading(Reading[T]):
    """A stream of server-sent events."""

    def __init__(self, stream: Streamed[T], policy: RetryPolicy) -> None:
        super().__init__(stream.path, policy)
        self._stream = stream
        self._last = stream.after
        self._reader = EventReader()

    def request(self) -> Request[None]:
        """The request for what follows the last event that has arrived."""
        last = {"Last-Event-ID": self._last} if self._last else {}
        return Request(
            method="GET",
            path=self._path,
            read=nothing,
            query=self._stream.query,
            headers={"Accept": "text/event-stream", "Cache-Control": "no-store", **last},
        )

    def opened(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin to read a connection; status 204 means that nothing is left."""
        self._reader = EventReader()  # what the last connection left incomplete is sent again
        self.has_ended = status == 204

    def take(self, piece: bytes) -> list[T]:
        """The items of the events that end in this piece."""
        items: list[T] = []
        for event in self._reader.feed(piece):
            self._failures = 0
            self._last = event.event_id or self._last
            if event.name == END:
                self.has_ended = True
                break
            try:
                items.append(self._stream.read(event))
            except ValueError as error:
                raise self._unreadable(error) from error
        return items

    def closed(self) -> list[T]:
        """Nothing: only the event `end` ends a stream."""
        return []

    def interrupted(self, error: TeamrunError | None) -> float:
        """The seconds to wait before the stream is opened again; see `Reading`.

        A response that names a reconnection time and ends without an error has not failed: it is
        one of a server whose platform cannot stream (`ServerState.streaming`), or which restarts.
        """
        retry_ms = self._reader.retry_ms
        if error is None and retry_ms is not None:
            self._failures = 0
            return min(retry_ms / 1000, self._policy.max_delay)
        return super().interrupted(error)


class LineReading(Reading[T]):
    """A document of lines."""

    def __init__(self, lines: Lines[T], policy: RetryPolicy) -> None:
        super().__init__(lines.path, policy)
        self._lines = lines
        self._tag: str | None = None
        self._taken = 0
        """The number of bytes in the lines that have been taken."""
        self._skip = 0
        self._rest = bytearray()

    def request(self) -> Request[None]:
        """The request for the bytes after the last whole line."""
        rest: dict[str, str] = {}
        if self._taken and self._tag:
            rest = {"Range": f"bytes={self._taken}-", "If-Range": self._tag}
        headers = {"Accept": "application/x-ndjson", **rest}
        return Request(method="GET", path=self._path, read=nothing, headers=headers)

    def opened(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin to read a connection, unless nothing is left (416).

        Raises:
            InvalidAnswerError: The document has changed since its beginning was read.
        """
        if is_complete(status, headers, self._taken):
            self.has_ended = True
            return
        tag = headers.get("etag") if status != 416 else None
        if self._taken and (tag is None or tag != self._tag):
            raise InvalidAnswerError(f"{self._path} changed while it was read; read it again.")
        self._tag = tag
        self._rest.clear()
        self._skip = 0 if status == 206 else self._taken

    def take(self, piece: bytes) -> list[T]:
        """The items of the lines that end in this piece."""
        skipped = min(self._skip, len(piece))
        self._skip -= skipped
        self._rest += piece[skipped:]
        if b"\n" not in piece:
            return []
        whole, _, rest = self._rest.rpartition(b"\n")
        self._rest = rest
        self._taken += len(whole) + 1
        self._failures = 0
        return self._items(whole)

    def closed(self) -> list[T]:
        """The item of a last line without an end."""
        self.has_ended = True
        return self._items(self._rest)

    def _items(self, data: bytes | bytearray) -> list[T]:
        try:
            return [self._lines.read(bytes(line)) for line in data.split(b"\n") if line.strip()]
        except ValueError as error:
            raise self._unreadable(error) from error
