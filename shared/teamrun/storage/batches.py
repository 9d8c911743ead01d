"""What stores share in deleting many objects and in reading parts of one."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from teamrun.errors import StorageError, Unavailable

__all__ = ["check_range", "delete_each", "refused_deletions"]


class _Deletes(Protocol):
    def delete(self, key: str) -> Awaitable[None]: ...


async def delete_each(store: _Deletes, keys: Sequence[str], *, at_once: int = 1) -> None:
    """Delete objects one by one, with up to `at_once` requests in flight.

    Raises:
        StorageError: Some could not be removed; `data["keys"]` lists them.
    """
    failed: dict[str, StorageError] = {}

    async def attempt(key: str) -> None:
        try:
            await store.delete(key)
        except StorageError as error:
            failed[key] = error

    for start in range(0, len(keys), at_once):
        part = keys[start : start + at_once]
        if len(part) == 1:
            await attempt(part[0])
        else:
            await asyncio.gather(*map(attempt, part))
    if failed:
        raise refused_deletions(failed, of=len(keys))


def refused_deletions(failed: dict[str, StorageError], *, of: int) -> StorageError:
    """The error for objects that could not be removed; `Unavailable` if a repetition may help."""
    key, reason = next(iter(failed.items()))
    kind = Unavailable if any(isinstance(e, Unavailable) for e in failed.values()) else StorageError
    text = f"{len(failed)} of {of} objects could not be deleted; {key!r}: {reason.message}"
    error = kind(text, keys=[*failed])
    error.__cause__ = reason
    return error


def check_range(key: str, start: int, end: int | None, *, size: int) -> int:
    """The end of the range within an object of that size.

    Raises:
        StorageError: The range is invalid, or begins after the last byte.
    """
    if start < 0 or (end is not None and end < start) or (start and start >= size):
        raise StorageError(f"{key!r} has {size} bytes, and no range from {start} to {end}", key=key)
    return size if end is None else min(end, size)
