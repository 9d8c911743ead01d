"""An event stream over all its connections: where it is resumed, and when it is given up."""

from typing import Generic, TypeVar

from teamrun.client.building import nothing
from teamrun.client.errors import APIConnectionError, InvalidAnswerError
from teamrun.client.requests import Request, Streamed
from teamrun.client.retries import RetryPolicy
from teamrun.core.sse import EventReader
from teamrun.errors import TeamrunError

__all__ = ["Resumption"]

T = TypeVar("T")

END = "end"
"""The name of the event after which nothing follows."""


class Resumption(Generic[T]):
    """The state of one stream; it does no input or output.

    A sender opens `request()`, calls `opened` with the status, passes the bytes to `take`, and
    calls `interrupted` when the connection has ended, until `has_ended`.
    """

    def __init__(self, stream: Streamed[T], policy: RetryPolicy) -> None:
        self._stream = stream
        self._policy = policy
        self._last = stream.after
        self._failures = 0
        self._reader = EventReader()
        self.has_ended = False
        """Whether the server has sent everything."""

    def request(self) -> Request[None]:
        """The request for what follows the last event that has arrived."""
        last = {"Last-Event-ID": self._last} if self._last else {}
        return Request(
            method="GET",
            path=self._stream.path,
            read=nothing,
            query=self._stream.query,
            headers={"Accept": "text/event-stream", "Cache-Control": "no-store", **last},
        )

    def opened(self, status: int) -> None:
        """Begin to read a connection; status 204 means that nothing is left."""
        self._reader = EventReader()  # what the last connection left incomplete is sent again
        self.has_ended = status == 204

    def take(self, piece: bytes) -> list[T]:
        """The items that end in this piece of the body.

        Raises:
            InvalidAnswerError: An event is not of the expected form.
        """
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
                raise InvalidAnswerError(
                    f"An event of {self._stream.path} cannot be read: {error}"
                ) from error
        return items

    def interrupted(self, error: TeamrunError | None) -> float:
        """The seconds to wait before the stream is opened again.

        Args:
            error: The reason; None if the server closed the connection before the end.

        Raises:
            TeamrunError: The error is final, or the stream was interrupted too often.
        """
        reason = error or APIConnectionError(
            f"The server closed the stream {self._stream.path} before its end."
        )
        delay = self._policy.delay(reason, self._failures)
        if delay is None or self._failures >= self._policy.max_reconnects:
            raise reason
        self._failures += 1
        return delay
