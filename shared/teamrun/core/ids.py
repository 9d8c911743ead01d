"""Ids that sort by the time at which they were made."""

import hashlib
import os
import time
from datetime import UTC, datetime

__all__ = ["derived_id", "id_time", "new_id"]


def new_id(kind: str) -> str:
    """A new id: `{kind}_` and a UUIDv7 (RFC 9562) in hexadecimal."""
    tail = int.from_bytes(os.urandom(10), "big")
    return _id(kind, time.time_ns() // 1_000_000, tail)


def derived_id(kind: str, at: datetime, *parts: object) -> str:
    """The id that always results from these parts, with `at` as its time."""
    text = "/".join(str(part) for part in parts)
    digest = hashlib.sha256(text.encode()).digest()
    return _id(kind, int(at.timestamp() * 1000), int.from_bytes(digest[:10], "big"))


def _id(kind: str, ms: int, tail: int) -> str:
    rand_a, rand_b = tail >> 68, tail & ((1 << 62) - 1)
    value = (ms & ((1 << 48) - 1)) << 80 | 7 << 76 | rand_a << 64 | 2 << 62 | rand_b
    return f"{kind}_{value:032x}"


def id_time(text: str) -> datetime:
    """When the id was made, to the millisecond; `datetime.min` for a text of another form."""
    try:
        ms = int(text.rpartition("_")[2][:12], 16)
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.min.replace(tzinfo=UTC)
