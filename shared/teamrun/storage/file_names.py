"""Keys as paths below a folder, and back again.

Lower-case letters, digits and `_ = - .` stand for themselves; every other byte of the UTF-8 form
becomes `%xx`. So a name is the same on file systems that fold case or normalize Unicode, no key
leads out of the folder, and names that begin with a dot stay free for the store itself.
"""

import re

__all__ = ["key_to_path", "name_to_segment"]

_PLAIN = r"[a-z0-9_=-](?:[a-z0-9._=-]*[a-z0-9_=-])?"
_PLAIN_KEY = re.compile(rf"{_PLAIN}(?:/{_PLAIN})*")
_PLAIN_NAME = re.compile(_PLAIN)
_UNSAFE = re.compile(rb"[^a-z0-9._=-]|^\.|\.\Z")
_ESCAPE = re.compile(rb"%([0-9a-f]{2})")


def key_to_path(key: str) -> str:
    """The relative path of a key that `check_key` has passed."""
    if _PLAIN_KEY.fullmatch(key):
        return key
    return "/".join(_segment_to_name(segment) for segment in key.split("/"))


def name_to_segment(name: str) -> str | None:
    """What the name of a file or folder stands for; None where it is not one of ours."""
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
