"""The records of a CSV file (RFC 4180): from numbered lines, with flat memory."""

import re
from typing import NamedTuple

from teamrun.batches.lines import MAX_LINE_BYTES, Line

__all__ = ["Joiner", "Record", "delimiter_of"]

_DELIMITERS = b",;\t"
"""The header decides; some spreadsheets write semicolons or tabs."""

_QUOTED = re.compile(rb'"[^"]*(?:"|\Z)')


class Record(NamedTuple):
    """The lines of one record."""

    first: int
    """The number of its first line."""
    last: int
    """The number of its last line."""
    data: bytes | None
    """None if it has more than `MAX_LINE_BYTES`."""
    is_open: bool = False
    """Whether a quoted value has no end."""


class Joiner:
    """Joins the lines of a record: a quoted value can contain line breaks.

    A quote opens a value only at its beginning, so `5" disk` is a value of one line. A record that
    gets too large is no longer kept, but is followed to its end.
    """

    def __init__(self) -> None:
        self._opening = _opening_after(_DELIMITERS)
        self._parts: list[bytes] = []
        self._size = 0
        self._first = self._last = 0
        self._is_open = False

    def divide_at(self, delimiter: str) -> None:
        """Note the delimiter, once the header is known."""
        self._opening = _opening_after(delimiter.encode())

    def add(self, line: Line) -> Record | None:
        """Add a line; returns the record that is complete with it. Blank lines are skipped."""
        number, data = line
        if not self._is_open:
            if data is not None and not data.strip():
                return None
            self._first, self._size = number, 0
        self._last = number
        if data is None:  # its quotes are unknown, so whatever was open ends here
            self._parts.clear()
            self._is_open = False
            return Record(self._first, number, None)
        self._keep(data)
        self._is_open = self._ends_open(data)
        return None if self._is_open else self._taken()

    def rest(self) -> Record | None:
        """The record that has no end when the file ends."""
        return self._taken() if self._is_open else None

    def _keep(self, data: bytes) -> None:
        self._size += len(data) + 1
        if self._size > MAX_LINE_BYTES:
            self._parts.clear()
        else:
            self._parts.append(data)

    def _taken(self) -> Record:
        whole = b"\n".join(self._parts) if self._size <= MAX_LINE_BYTES else None
        self._parts.clear()
        return Record(self._first, self._last, whole, self._is_open)

    def _ends_open(self, data: bytes) -> bool:
        """Whether a quoted value continues on the next line."""
        is_open, place = self._is_open, 0
        while True:
            if not is_open:
                found = self._opening.search(data, place)
                if found is None:
                    return False
                is_open, place = True, found.end()
            quote = data.find(b'"', place)
            if quote < 0:
                return True
            place = quote + 1
            if data[place : place + 1] == b'"':  # two are the character itself
                place += 1
            else:
                is_open = False


def _opening_after(delimiters: bytes) -> re.Pattern[bytes]:
    return re.compile(rb'(?:\A|[%s])"' % re.escape(delimiters))


def delimiter_of(header: bytes) -> str:
    """A comma; if there is none outside of quotes, a semicolon or a tab."""
    plain = _QUOTED.sub(b"", header)
    found = (bytes([mark]) for mark in _DELIMITERS if mark in plain)
    return next(found, b",").decode()
