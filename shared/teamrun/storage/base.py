"""The seam to object storage.

Above it: the run log and everything derived from it. Below it: `memory.py`, `file.py` and
`bucket.py` (S3 and Azure Blob); `open.py` makes one from a URL.
All safety depends on one primitive: `put_new`, put-if-absent (RFC 9110 `If-None-Match: *`).
"""

from typing import Protocol, runtime_checkable

__all__ = ["ObjectStore"]


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

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Keys below the folder `prefix`, greater than `after`, sorted by their UTF-8.

        `prefix` ends in `/`, or is empty.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove the object; does nothing if it does not exist."""
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
