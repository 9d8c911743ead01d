"""The wait that a response requests before another attempt."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

__all__ = ["retry_after"]


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """The wait that a response requests, in seconds; `None` if it requests no reasonable one.

    Reads `retry-after-ms`, then `Retry-After` as seconds or as a date (RFC 9110, 10.2.3).
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        seconds = _number(headers.get(name))
        if seconds is not None:
            return seconds / unit
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        return max((date - now).total_seconds(), 0.0)
    except (TypeError, ValueError, ArithmeticError, LookupError):
        return None  # no date, one without a time zone, or one that is too far away


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    # A year is longer than any policy waits; infinity and NaN would break the arithmetic.
    return min(number, 31_536_000.0) if number >= 0 else None
