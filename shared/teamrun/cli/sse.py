"""Reads server-sent events from the lines of a response (WHATWG HTML, section 9.2)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["ServerSentEvent", "parse"]


class ServerSentEvent(NamedTuple):
    """One message of a stream."""

    event: str
    data: str
    event_id: str | None


def parse(lines: Iterable[str]) -> Iterator[ServerSentEvent]:
    """The messages of the stream; an incomplete last one is dropped, as the standard requires."""
    kind, data, event_id = "message", list[str](), None
    for line in lines:
        if not line:
            if data:
                yield ServerSentEvent(kind, "\n".join(data), event_id)
            kind, data, event_id = "message", [], None
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            kind = value
        elif field == "id":
            event_id = value
