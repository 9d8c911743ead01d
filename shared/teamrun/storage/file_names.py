"""Converts keys to paths below a folder, and back.

Lower-case letters, digits and `_ = - .` are kept; every other byte of the UTF-8 form becomes `%xx`.
Names are therefore the same on file systems that fold case or normalize Unicode. No key leads out
of the folder, and names that start with a dot are reserved for the store.
"""

import re

__all__ = ["key_to_path", "name_to_segment"]

_PLAIN = r"[a-z0-9_=-](?:[a-z0-9._=-]*[a-z0-9_=-])?"
_PLAIN_KEY = re.compile(rf"{_PLAIN}(?:/{_PLAIN})*")
_PLAIN_NAME = re.compile(_PLAIN)
_UNSAFE = re.compile(rb"[^a-z0-9._=-]|^\.|\.\Z")
_ESCAPE = re.compile(rb"%([0-9a-f]{2})")


def key_to_path(key: str) -> str:
    """The relative path of a key that `check_key` has accepted."""
    if _PLAIN_KEY.fullmatch(key):
        return key
    return "/".join(_segment_to_name(segment) for segment in key.split("/"))


def name_to_segment(name: str) -> str | None:
    """The segment of a key that a file or folder name encodes; None for a foreign name."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    try:
        segment = _ESCAPE.sub(_byte, name.encode()).decode()
    except UnicodeError:
        return None
    return segment if segment and _segment_to_name(segment) == name else None


def _segment_to_name(segment: str) -> str:
    return _UNSAFE.sub(_escape, segment.encode()).decode("ascii")


def _escape(match: re.Match[bytes]) -> bytes:
    return b"%%%02x" % match[0][0]


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),))
