"""The rows of a CSV file (RFC 4180), and the task that a template makes of a row."""

import csv
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NamedTuple

from teamrun.batches.lines import MAX_LINE_BYTES, Line, refused_file
from teamrun.components.reading.problems import did_you_mean, listed
from teamrun.errors import InvalidItems

__all__ = ["Row", "Template", "rows"]

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

csv.field_size_limit(MAX_LINE_BYTES)  # the module has this for the process; 128 KiB by default


class Row(NamedTuple):
    """A record of a CSV file."""

    number: int
    """The number of its first line, from 1."""
    values: dict[str, str] | None
    """By the names of the columns; None if the row is invalid."""
    fault: str = ""
    """Why it is invalid."""


class Template:
    """The text of a task with the names of columns in braces.

    Args:
        text: The text; None for the column `input`, if the request has no template.

    Raises:
        InvalidItems: A brace has no partner; write `{{` or `}}` for the character itself.
    """

    def __init__(self, text: str | None) -> None:
        self._is_given = text is not None
        text = "{input}" if text is None else text
        self._parts: list[tuple[str, str | None]] = []
        self.columns: list[str] = []
        """The columns that the template names."""
        end = 0
        for found in _PLACE.finditer(text):
            before, name = text[end : found.start()], found[1]
            if name is not None:
                self.columns.append(name)
            elif found[0] in "{}":
                raise InvalidItems(
                    f"input_template: the brace at character {found.start() + 1} has no partner; "
                    "write it twice for the character itself.",
                    problems=[_template_problem("unpaired_brace", "A brace has no partner.")],
                )
            else:
                before += found[0][0]
            self._parts.append((before, name))
            end = found.end()
        self._parts.append((text[end:], None))

    def check(self, columns: Sequence[str]) -> None:
        """Refuse a template that names other columns than the file has.

        Raises:
            InvalidItems: There is one.
        """
        for name in self.columns:
            if name not in columns:
                why = (
                    ", which `input_template` names"
                    if self._is_given
                    else "; without a template it has the tasks"
                )
                detail = (
                    f"The file has no column {name!r}{why}."
                    f"{did_you_mean(name, columns)} Its columns are {listed(columns)}."
                )
                raise InvalidItems(detail, problems=[_template_problem("unknown_column", detail)])

    def filled(self, values: Mapping[str, str]) -> str:
        """The task of a row."""
        return "".join(
            before + ("" if name is None else values[name]) for before, name in self._parts
        )


def _template_problem(code: str, detail: str) -> dict[str, object]:
    return {"line": 1, "code": code, "detail": detail}


async def rows(
    batches: AsyncIterator[list[Line]], check: Callable[[Sequence[str]], None]
) -> AsyncIterator[list[Row]]:
    """The records after the header; a quoted value may contain line breaks.

    Args:
        batches: The lines of the file.
        check: Called with the names of the columns.

    Raises:
        InvalidItems: The header is missing or invalid.
    """
    header: Sequence[str] | None = None
    joiner, delimiter = _Joiner(), ","
    async for lines in batches:
        records = [record for line in lines for record in joiner.add(line)]
        if header is None and records:
            first = records.pop(0)
            delimiter = _delimiter_of(first.data or b"")
            header = _header(first, delimiter)
            check(header)
        if header is not None and records:
            yield [_row(record, header, delimiter) for record in records]
    if header is None:
        if joiner.rest() is None:
            raise refused_file("empty_file", "The file is empty; its first line names the columns.")
        raise refused_file("invalid_header", "The first line is not complete: a quote is open.")
    if (last := joiner.rest()) is not None:
        yield [Row(last.number, None, "a quote is open at the end of the file")]


class _Joiner:
    """Joins the lines of a record: it is complete when it has an even number of quotes."""

    def __init__(self) -> None:
        self._first = 0
        self._parts: list[bytes] = []
        self._is_open = False

    def add(self, line: Line) -> list[Line]:
        data = line.data
        if data is not None and not self._is_open and not data.strip():
            return []
        if data is None:  # too long; whatever was open ends here
            number = self._first if self._is_open else line.number
            self._parts, self._is_open = [], False
            return [Line(number, None)]
        self._is_open ^= data.count(b'"') % 2 == 1
        if not self._parts:
            self._first = line.number
        self._parts.append(data)
        if self._is_open:
            return []
        whole, self._parts = b"\n".join(self._parts), []
        return [Line(self._first, whole)]

    def rest(self) -> Line | None:
        return Line(self._first, b"\n".join(self._parts)) if self._parts else None


def _delimiter_of(header: bytes) -> str:
    """A comma; if the header has none, a semicolon or a tab, as some spreadsheets write."""
    found = (mark for mark in (b",", b";", b"\t") if mark in header)
    return next(found, b",").decode()


def _row(record: Line, header: Sequence[str], delimiter: str) -> Row:
    try:
        values = _values(record, delimiter)
    except ValueError as error:
        return Row(record.number, None, str(error))
    if len(values) != len(header):
        fault = f"the row has {_values_of(len(values))}, but the header has {len(header)}"
        return Row(record.number, None, fault)
    return Row(record.number, dict(zip(header, values, strict=True)))


def _values_of(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _header(record: Line, delimiter: str) -> list[str]:
    try:
        names = [name.strip() for name in _values(record, delimiter)]
    except ValueError as error:
        detail = f"In the header, {error}."
        raise refused_file("invalid_header", detail, line=record.number) from None
    for name in names:
        if not name or names.count(name) > 1:
            detail = f"Two columns are named {name!r}." if name else "A column has no name."
            raise refused_file("invalid_header", detail, line=record.number)
    return names


def _values(record: Line, delimiter: str) -> list[str]:
    """The values of a record.

    Raises:
        ValueError: It is invalid; the text says why.
    """
    if record.data is None:
        raise ValueError("the line is too long")
    try:
        text = record.data.decode()
    except UnicodeDecodeError:
        raise ValueError("the line is not UTF-8; save the file as CSV UTF-8") from None
    try:
        [values] = csv.reader([text], delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise ValueError(f"the line is not CSV: {error}") from None
    return values
