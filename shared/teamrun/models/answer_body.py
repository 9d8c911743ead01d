"""The body of a model's answer over HTTP, taken in pieces: events, or one whole answer.

The first character of the body decides which of the two it is, not the request or the headers:
some servers stream when they should not, and some send a whole answer when a stream is requested.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from teamrun.core.sse import Event, EventReader
from teamrun.errors import ModelError
from teamrun.json_types import JsonObject
from teamrun.messages.llm import CreateResult
from teamrun.models.error_bodies import read_error, tidy
from teamrun.models.http_errors import in_band_error
from teamrun.models.unreadable import unreadable_by

__all__ = ["Answer", "AnswerBody"]

_BLANK = b"\xef\xbb\xbf \t\r\n"
_WHOLE = b'{[<"'
"""First characters of a whole answer, or of a web page; no line of an event begins with them."""
_DONE = "[DONE]"
_TEXT_BYTES = 8_192
"""Number of characters kept of a body that is neither, for an error's message."""


class Answer(Protocol):
    """Puts the chunks of an answer together; each provider has its own."""

    ended: bool
    """Whether the server has marked the end of the answer."""
    secrets: Sequence[str]
    """Values to remove from an error's message."""

    @property
    def complete(self) -> bool:
        """Whether the reason why the model stopped has come."""
        ...

    def add(self, chunk: JsonObject, /) -> Iterable[str]:
        """Take a chunk, or a whole answer; returns the text that it adds.

        Raises:
            ModelError: It is an error of the server, or cannot be read.
        """
        ...

    def add_other(self, body: object, /) -> None:
        """Take an item that is no chunk: a ping, or perhaps the reason for a missing answer."""
        ...

    def close(self) -> Iterable[str]:
        """The text that is left when no more chunks come."""
        ...

    def result(self) -> CreateResult:
        """The whole outcome, after the last chunk.

        Raises:
            ModelError: The answer broke off, or there was none.
        """
        ...


@dataclass(slots=True)
class AnswerBody:
    """Parses the bytes and passes the chunks in them to `answer`."""

    answer: Answer
    chunks: int = 0
    """How many events have come; comments and blank lines between them are none."""
    _events: EventReader = field(default_factory=EventReader)
    _held: bytearray = field(default_factory=bytearray)
    """The received part of a whole answer; of a stream, the text before its first event."""
    _streamed: bool | None = None
    """`None` until the first character has come."""

    @property
    def ended(self) -> bool:
        """Whether the end of the answer has come."""
        return self.answer.ended

    def read(self, body: bytes) -> None:
        """Take the whole body.

        Raises:
            ModelError: As for `feed`.
        """
        for _ in (*self.feed(body), *self.close()):
            pass

    def feed(self, piece: bytes) -> Iterator[str]:
        """The text that the piece adds to the answer.

        Raises:
            ModelError: It is an error of the server, or cannot be read.
        """
        if not (self._streamed and (self.chunks or len(self._held) > _TEXT_BYTES)):
            self._held += piece
        if self._streamed is None:
            first = self._held.lstrip(_BLANK)[:1]
            if not first:
                return
            self._streamed = first not in _WHOLE
            piece = bytes(self._held)
        if self._streamed:
            yield from self._take(self._events.feed(piece))

    def close(self) -> Iterator[str]:
        """The text that is left after the last piece.

        Raises:
            ModelError: As for `feed`.
        """
        if self._streamed:
            yield from self._take(self._events.close())
        if not self.chunks:  # not a stream either: a text
            yield from self._take_whole()
        yield from self.answer.close()

    def _take(self, events: list[Event]) -> Iterator[str]:
        for event in events:
            self.chunks += 1
            yield from self._take_data(event.name, event.data)

    def _take_data(self, name: str, data: str) -> Iterator[str]:
        if self.answer.ended:
            return
        if data.startswith(_DONE):
            self.answer.ended = True
            yield from self.answer.close()
        elif name == "error":
            raise in_band_error(read_error(data), self.answer.secrets)
        else:
            yield from self._take_json(name, data)

    def _take_json(self, name: str, data: str) -> Iterator[str]:
        try:
            value: object = json.loads(data)
        except (ValueError, RecursionError) as error:
            if "\n" in data:  # several events without a blank line between them
                for line in data.split("\n"):
                    yield from self._take_data(name, line)
                return
            if data.startswith(("{", "[")):
                raise unreadable_by(error) from error
            value = data
        yield from self._add(value)

    def _add(self, value: object) -> Iterator[str]:
        match value:
            case dict():
                yield from self.answer.add(cast(JsonObject, value))
            case list():
                for item in cast(list[object], value):
                    yield from self._add(item)
            case _:
                self.answer.add_other(value)

    def _take_whole(self) -> Iterator[str]:
        text = self._held.decode("utf-8-sig", "replace")
        try:
            value: object = json.loads(text)
        except (ValueError, RecursionError) as error:
            words = tidy(read_error(text).words, self.answer.secrets) or "nothing"
            raise ModelError(
                f"The model's server did not answer with JSON but with: {words}",
                retryable=True,
                unreadable=True,
            ) from error
        yield from self._add(value)
        self.answer.ended = True
