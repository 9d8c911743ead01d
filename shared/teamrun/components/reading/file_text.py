"""The text of a file that a person wrote: a text, or an error with its line."""

import codecs
from pathlib import Path

from teamrun.errors import DefinitionError

__all__ = ["MAX_BYTES", "read_text"]

MAX_BYTES = 4_000_000
"""The longest file that is read."""

_OTHER = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, without the byte order mark that some editors write.

    Raises:
        FileNotFoundError: The file does not exist.
        DefinitionError: The file cannot be read, is too long, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:  # not all of it: the name may be that of a device
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL character
        raise DefinitionError(f"The file {str(path)!r} cannot be read: {error}.") from error
    if len(data) > MAX_BYTES:
        raise DefinitionError(
            f"{path.name}:1: /: The file has more than {MAX_BYTES} bytes; split it up.",
            code="too_large",
        )
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DefinitionError(_not_utf8(path.name, data, error.start)) from error


def _not_utf8(name: str, data: bytes, at: int) -> str:
    line = data.count(b"\n", 0, at) + 1
    if data.startswith(_OTHER):
        return f"{name}:1: /: The file is UTF-16; save it as UTF-8."
    return f"{name}:{line}: /: The byte 0x{data[at]:02x} is not UTF-8; save the file as UTF-8."
