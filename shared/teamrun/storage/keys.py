"""What a key may look like; the same for every store, so that data can move between them."""

import re

from teamrun.errors import StorageError

__all__ = ["MAX_KEY_BYTES", "check_key", "check_prefix"]

MAX_KEY_BYTES = 900
"""UTF-8; S3 takes 1,024 with the prefix of the bucket."""

_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f-\x9f\ud800-\udfff]+"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


def check_key(key: str) -> None:
    """Refuse what is no key.

    Raises:
        StorageError: A segment is empty, `.` or `..`, holds a control character, or the whole is
            too long.
    """
    if _KEY.fullmatch(key) is None:
        raise StorageError(
            f"{key!r} is no key: segments joined by '/', none of them empty, '.' or '..', "
            "and no control characters"
        )
    if len(key) * 4 > MAX_KEY_BYTES and len(key.encode()) > MAX_KEY_BYTES:
        raise StorageError(f"{key[:80]!r}... is no key: more than {MAX_KEY_BYTES} bytes of UTF-8")


def check_prefix(prefix: str) -> None:
    """Refuse what is no folder of keys: empty, or a key and a final `/`.

    Raises:
        StorageError: It is neither.
    """
    if not prefix:
        return
    if not prefix.endswith("/"):
        raise StorageError(f"{prefix!r} is no folder of keys: write {prefix + '/'!r}")
    check_key(prefix[:-1])
