"""The lines of an uploaded file, with flat memory: from chunks of bytes to numbered lines."""

import codecs
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from teamrun.errors import InvalidItems

__all__ = ["MAX_LINE_BYTES", "Line", "numbered_lines", "refused_file"]

MAX_LINE_BYTES = 4 * 1024 * 1024
"""Maximum length of a line."""

_HEAD_BYTES = 4

_TOGETHER = 1_000

_REFUSED: Final[Mapping[bytes, tuple[str, str]]] = {
    b"\x1f\x8b": ("compressed_file", "gzip; upload the file uncompressed"),
    b"PK\x03\x04": ("compressed_file", "a ZIP archive or a spreadsheet; save it as JSONL or CSV"),
    b"(\xb5/\xfd": ("compressed_file", "Zstandard; upload the file uncompressed"),
    codecs.BOM_UTF32_LE: ("wrong_encoding", "UTF-32; save the file as UTF-8"),
    codecs.BOM_UTF16_LE: ("wrong_encoding", "UTF-16; save the file as UTF-8"),
    codecs.BOM_UTF16_BE: ("wrong_encoding", "UTF-16; save the file as UTF-8"),
}
"""What a file must not begin with."""


class Line(NamedTuple):
    """A line without its end."""

    number: int
    """From 1; empty lines count."""
    data: bytes | None
    """None if the line is longer than `MAX_LINE_BYTES`."""


async def numbered_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[Line]]:
    """The lines of a file, some at a time.

    Raises:
        InvalidItems: The file is compressed, or is text of another encoding than UTF-8.
    """
    head, number, rest = b"", 0, _Rest()
    async for chunk in _without_mark(chunks):
        lines = (head + chunk).split(b"\n")
        head = rest.bounded(lines.pop())
        complete = [rest.whole(line) for line in lines]
        for start in range(0, len(complete), _TOGETHER):
            yield [*_numbered(complete[start : start + _TOGETHER], number + start + 1)]
        number += len(complete)
    last = rest.whole(head)
    if last != b"":  # else the file ends with a line break
        yield [*_numbered([last], number + 1)]


class _Rest:
    """Bounds the beginning of a line whose end has not arrived."""

    def __init__(self) -> None:
        self._is_too_long = False

    def bounded(self, head: bytes) -> bytes:
        if len(head) > MAX_LINE_BYTES:
            self._is_too_long = True
        return b"" if self._is_too_long else head

    def whole(self, line: bytes) -> bytes | None:
        is_too_long, self._is_too_long = self._is_too_long, False
        return None if is_too_long or len(line) > MAX_LINE_BYTES else line.removesuffix(b"\r")


def _numbered(lines: Iterable[bytes | None], first: int) -> Iterator[Line]:
    return (Line(number, data) for number, data in enumerate(lines, first))


async def _without_mark(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks without a byte order mark at the beginning."""
    head: bytes | None = b""
    async for chunk in chunks:
        if head is None:
            yield chunk
            continue
        head += chunk
        if len(head) >= _HEAD_BYTES:
            yield _checked(head)
            head = None
    if head:
        yield _checked(head)


def _checked(head: bytes) -> bytes:
    for mark, (code, what) in _REFUSED.items():
        if head.startswith(mark):
            raise refused_file(code, f"The file is {what}.")
    if b"\x00" in head[:_HEAD_BYTES]:
        raise refused_file(
            "wrong_encoding", "The file is binary, or UTF-16 without a mark; save it as UTF-8."
        )
    return head.removeprefix(codecs.BOM_UTF8)


def refused_file(code: str, detail: str, *, line: int = 1) -> InvalidItems:
    """The error of a file that cannot be read as a whole."""
    return InvalidItems(detail, problems=[{"line": line, "code": code, "detail": detail}])
