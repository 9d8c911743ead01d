"""The syntax of keys; it is the same for every store, so that data can move between them."""

import re

from teamrun.errors import InvalidKey

__all__ = ["MAX_KEY_BYTES", "check_key", "check_prefix"]

MAX_KEY_BYTES = 900
"""Maximum length in UTF-8; S3 allows 1,024 including the prefix in the bucket."""

_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f-\x9f\ud800-\udfff]+"
_KEY = rf"{_SEGMENT}(?:/{_SEGMENT})*"  # compiled at first use, as few keys need it


def check_key(key: str) -> None:
    """Check a key.

    Raises:
        InvalidKey: A segment is empty, `.` or `..`, or contains a control character, or the key
            is too long.
    """
    if not _is_plain(key) and re.fullmatch(_KEY, key) is None:
        raise InvalidKey(
            f"{key!r} is not a valid key: it must be segments joined by '/', none of them empty, "
            "'.' or '..', without control characters"
        )
    if len(key) * 4 > MAX_KEY_BYTES and len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidKey(
            f"{key[:80]!r}... is not a valid key: it has more than {MAX_KEY_BYTES} bytes of UTF-8"
        )


def _is_plain(key: str) -> bool:
    """Whether a key is valid for certain: most are, and the expression takes five times as long."""
    return (
        key != ""
        and key.isascii()
        and key.isprintable()
        and not key.startswith((".", "/"))
        and not key.endswith("/")
        and "//" not in key
        and "/." not in key
    )


def check_prefix(prefix: str) -> None:
    """Check a prefix: it must be empty, or a key followed by `/`.

    Raises:
        InvalidKey: The prefix is invalid.
    """
    if not prefix:
        return
    if not prefix.endswith("/"):
        raise InvalidKey(f"{prefix!r} is not a valid prefix: use {prefix + '/'!r}")
    check_key(prefix[:-1])
