"""Reads server-sent events (WHATWG HTML, section 9.2.6), of model servers and of this API.

`close` returns an event that the stream's end cuts off from its blank line; the standard drops it.
Bytes that are not UTF-8 are replaced.
"""

from dataclasses import dataclass, field

__all__ = ["Event", "EventReader"]

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event that has data; comments and retry times have none."""

    name: str
    data: str
    event_id: str | None = None
    """The `id` of this event; None if it has none."""


@dataclass(slots=True)
class EventReader:
    """Takes the bytes of a stream in pieces of any size; gives the events in them."""

    _rest: bytearray = field(default_factory=bytearray)
    """The beginning of a line whose end has not come."""
    _after_cr: bool = False
    """Whether a line feed that follows is the second half of a line's end."""
    _begun: bool = False
    _name: str = ""
    _id: str | None = None
    _data: list[str] = field(default_factory=list[str])
    retry_ms: int | None = None
    """The newest reconnection time, which the stream sends as `retry`."""

    def feed(self, piece: bytes) -> list[Event]:
        """The events that end within the piece."""
        if piece and self._after_cr:
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        if not piece:
            return []
        self._after_cr = piece.endswith(b"\r")
        self._rest += piece
        if b"\n" not in piece and b"\r" not in piece:  # one long line is not split again and again
            return []
        lines = self._rest.splitlines(keepends=True)
        self._rest = bytearray() if lines[-1].endswith((b"\n", b"\r")) else lines.pop()
        return [event for line in lines if (event := self._line(line.rstrip(b"\r\n")))]

    def close(self) -> list[Event]:
        """The event that was incomplete when the stream ended."""
        events = [self._line(self._rest), self._line(b"")]
        self._rest = bytearray()
        return [event for event in events if event]

    def _line(self, line: bytes | bytearray) -> Event | None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"data":
            self._data.append(text)
        elif name == b"event":
            self._name = text
        elif name == b"id" and "\0" not in text:
            self._id = text
        elif name == b"retry" and text.isascii() and text.isdigit():
            self.retry_ms = int(text[:9])
        return None

    def _dispatch(self) -> Event | None:
        data, name, event_id = "\n".join(self._data), self._name, self._id
        self._data, self._name, self._id = [], "", None
        return Event(name, data, event_id) if data else None
