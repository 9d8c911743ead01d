"""What followers of a run receive, serialized once for all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic_core import from_json, to_json

from teamrun.json_types import JsonObject
from teamrun.runs.log.archive import events_of
from teamrun.runs.log.entries import DELETED
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.reader import not_found
from teamrun.runs.log.status import TERMINAL

__all__ = ["DELTA", "News", "Piece", "frame", "news_in", "text_news"]

DELTA: Final = "message.delta"
"""The type of streamed text."""

_DATA = b"\ndata: "


@dataclass(frozen=True, slots=True)
class Piece:
    """One event, or one piece of streamed text."""

    type: str
    seq: int | None
    """The sequence number of the event; None for streamed text."""
    frame: bytes
    """The event as one frame of `text/event-stream`."""

    @property
    def json(self) -> bytes:
        """The event as clients see it."""
        return self.frame[self.frame.index(_DATA) + len(_DATA) : -2]


@dataclass(frozen=True, slots=True)
class News:
    """What one entry of a log, or one piece of streamed text, adds for followers."""

    n: int | None
    """The number of the entry; None for streamed text."""
    pieces: Sequence[Piece]
    status: str | None = None
    """The final status of the run if this is its last entry."""

    @property
    def size(self) -> int:
        """The number of bytes of its frames."""
        return sum(len(piece.frame) for piece in self.pieces)

    def after(self, seq: int) -> "News":
        """The same without the events up to `seq`."""
        if not self.pieces or self.pieces[0].seq is None or self.pieces[0].seq > seq:
            return self
        later = [piece for piece in self.pieces if piece.seq is None or piece.seq > seq]
        return News(self.n, later, self.status)


def frame(data: bytes, *, event: str, event_id: str | None = None) -> bytes:
    """One frame of `text/event-stream` (WHATWG HTML, 9.2); `data` is JSON on one line."""
    head = f"event: {event}" if event_id is None else f"id: {event_id}\nevent: {event}"
    return b"%b%b%b\n\n" % (head.encode(), _DATA, data)


def news_in(log: RunLog, documents: Iterable[JsonObject]) -> list[News]:
    """The news in entries of a log.

    Raises:
        RunNotFound: The run is being deleted.
        UnreadableEntry: The last entry is damaged.
    """
    return [_in_entry(log, document) for document in documents]


def text_news(message: bytes) -> News | None:
    """The news in a live message with streamed text; None if it is a message of another kind."""
    try:
        kind = from_json(message)["type"]
    except (ValueError, KeyError, TypeError):
        return None
    return News(None, (Piece(DELTA, None, frame(message, event=DELTA)),)) if kind == DELTA else None


def _in_entry(log: RunLog, document: JsonObject) -> News:
    status = _final_status(log, document) if document["kind"] == "end" else None
    pieces = [_piece(event) for event in events_of(log.ref, [document])]
    return News(document["n"], pieces, status)


def _final_status(log: RunLog, document: JsonObject) -> str:
    try:
        status, code = document["body"]["status"], document["body"].get("stop_code")
    except (KeyError, TypeError, AttributeError) as error:
        raise log.unreadable(document["n"]) from error
    if code == DELETED:
        raise not_found(log.ref)
    if status not in TERMINAL:
        raise log.unreadable(document["n"])
    return status


def _piece(event: JsonObject) -> Piece:
    kind, seq = event["type"], event["seq"]
    return Piece(kind, seq, frame(to_json(event), event=kind, event_id=event["id"]))
