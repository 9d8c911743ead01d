"""The seam to object storage.

Above it: the run log and everything derived from it. Below it: `memory.py`, `file.py` and
`bucket.py` (S3 and Azure Blob); `open.py` makes one from a URL.
All safety depends on one primitive: `put_new`, put-if-absent (RFC 9110 `If-None-Match: *`).
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

__all__ = ["CHUNK_BYTES", "ObjectStat", "ObjectStore"]

CHUNK_BYTES = 1 << 20
"""Maximum length of a chunk of `stream`."""


class ObjectStat(NamedTuple):
    """What a store knows about an object without reading it."""

    key: str
    size: int
    """In bytes."""
    modified: datetime
    """When the object was written, in UTC; S3 and Azure round it down to a second."""


@runtime_checkable
class ObjectStore(Protocol):
    """Objects, which are bytes under keys.

    A key is one or more segments joined by `/`; no segment is empty, `.` or `..`, and no key is
    also the folder of another one.

    Every method raises `Unavailable` if storage cannot be reached, or if its response was lost so
    that the outcome is unknown. The caller may repeat the call.
    """

    async def put_new(self, key: str, data: bytes) -> bool:
        """Create the object; returns False and changes nothing if it already exists."""
        ...

    async def put(self, key: str, data: bytes) -> None:
        """Create or replace the object, whole or not at all. For derived objects only."""
        ...

    async def get(self, key: str) -> bytes:
        """The bytes of the object.

        Raises:
            NotFound: The object does not exist.
        """
        ...

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The objects in the order of `keys`, read together; None for a missing one."""
        ...

    def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of the object from `start` to before `end`, in chunks, with flat memory.

        An `end` after the last byte counts as the end of the object. Do not replace the object
        meanwhile.

        Raises:
            NotFound: The object does not exist.
            StorageError: `start` is after the last byte, and not 0.
        """
        ...

    async def stats(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectStat]:
        """What `list` returns, with sizes and modification times.

        In a bucket this costs the same as `list`; in a folder, one call to the system per object.
        """
        ...

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Keys below the folder `prefix`, greater than `after`, sorted by their UTF-8.

        `prefix` ends in `/`, or is empty.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove the object; does nothing if it does not exist."""
        ...

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Remove the objects together, in any order; missing ones are ignored.

        Raises:
            StorageError: Some could not be removed; `data["keys"]` lists them. All others have been
                removed.
        """
        ...

    async def check(self) -> None:
        """Check that storage responds and honours put-if-absent; for readiness probes.

        Raises:
            Unavailable: Storage does not respond.
            UnusableStore: It ignores the condition.
        """
        ...

    async def close(self) -> None:
        """Release connections and threads."""
        ...
