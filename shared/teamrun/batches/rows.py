"""The rows of a CSV file with a header, and the task that a template makes of a row."""

import csv
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NamedTuple

from teamrun.batches.lines import MAX_LINE_BYTES, Line, refused_file
from teamrun.batches.records import Joiner, Record, delimiter_of
from teamrun.components.reading.problems import did_you_mean, listed
from teamrun.errors import InvalidItems

__all__ = ["Row", "Template", "rows"]

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

_MOST_COLUMNS = 16_384
"""As in spreadsheets."""

_SHOWN = 80

csv.field_size_limit(MAX_LINE_BYTES)  # the module has this for the process; 128 KiB by default


class Row(NamedTuple):
    """A record of a CSV file."""

    number: int
    """The number of its first line, from 1."""
    last: int
    """The number of its last line."""
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

    def size(self, values: Mapping[str, str]) -> int:
        """The number of characters of the task of a row."""
        return sum(
            len(before) + (0 if name is None else len(values[name])) for before, name in self._parts
        )

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
    joiner, delimiter = Joiner(), ","
    async for lines in batches:
        records = [record for line in lines if (record := joiner.add(line)) is not None]
        if header is None and records:
            first = records.pop(0)
            delimiter = delimiter_of(first.data or b"")
            joiner.divide_at(delimiter)
            header = _header(first, delimiter)
            check(header)
        if header is not None and records:
            yield [_row(record, header, delimiter) for record in records]
    last = joiner.rest()
    if header is None:
        if last is None:
            raise refused_file("empty_file", "The file is empty; its first line names the columns.")
        _header(last, delimiter)
    elif last is not None:
        yield [_row(last, header, delimiter)]


def _row(record: Record, header: Sequence[str], delimiter: str) -> Row:
    place = record.first, record.last
    try:
        values = _values(record, delimiter)
    except ValueError as error:
        return Row(*place, None, str(error))
    if len(values) != len(header):
        fault = f"the row has {_values_of(len(values))}, but the header has {len(header)}"
        return Row(*place, None, fault)
    return Row(*place, dict(zip(header, values, strict=True)))


def _values_of(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _header(record: Record, delimiter: str) -> list[str]:
    """The names of the columns.

    Raises:
        InvalidItems: They are invalid.
    """
    try:
        names = [name.strip() for name in _values(record, delimiter)]
    except ValueError as error:
        detail = f"In the header, {error}."
        raise refused_file("invalid_header", detail, line=record.first) from None
    detail, seen = "", set[str]()
    if len(names) > _MOST_COLUMNS:
        detail = f"The header has {len(names)} columns; a file has at most {_MOST_COLUMNS}."
    for name in names:
        if not name:
            detail = detail or "A column has no name."
        elif name in seen:
            detail = detail or f"Two columns are named {name[:_SHOWN]!r}."
        seen.add(name)
    if detail:
        raise refused_file("invalid_header", detail, line=record.first)
    return names


def _values(record: Record, delimiter: str) -> list[str]:
    """The values of a record.

    Raises:
        ValueError: It is invalid; the text says why.
    """
    if record.is_open:
        raise ValueError(
            "a quote is open at the end of the file; close it, or write a quote in a quoted value "
            "twice"
        )
    if record.data is None:
        raise ValueError(_too_large(record))
    try:
        text = record.data.decode()
    except UnicodeDecodeError:
        raise ValueError("the text is not UTF-8; save the file as CSV UTF-8") from None
    try:
        [values] = csv.reader([text], delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise ValueError(
            f"the line is not CSV: {error}; write a quote in a quoted value twice"
        ) from None
    return values


def _too_large(record: Record) -> str:
    if record.first == record.last:
        return f"the line has more than {MAX_LINE_BYTES} bytes"
    return (
        f"the row has more than {MAX_LINE_BYTES} bytes, because a quote that is open at the end of "
        "this line is not closed earlier; close it, or write a quote in a quoted value twice"
    )
