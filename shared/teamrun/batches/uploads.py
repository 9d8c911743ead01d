"""Reads a file that arrives, and stores it a part at a time."""

import hashlib
from collections.abc import AsyncIterator

from teamrun.batches.keys import part_key
from teamrun.errors import FileTooLarge, InvalidItems
from teamrun.json_types import JsonObject
from teamrun.storage.base import ObjectStore

__all__ = ["Incoming"]

_PART_BYTES = 8_000_000


class Incoming:
    """A file that arrives.

    Args:
        store: The store.
        tenant: Whose file it is.
        file_id: The file.
        limit: Maximum size in bytes.
        stores: Whether its parts are stored; otherwise only its digest is computed.
    """

    def __init__(
        self, store: ObjectStore, tenant: str, file_id: str, limit: int, *, stores: bool = True
    ) -> None:
        self._store = store
        self._tenant = tenant
        self._file_id = file_id
        self._limit = limit
        self._stores = stores
        self._digest = hashlib.sha256()
        self.sizes: list[int] = []
        """The size of each part."""

    @property
    def sha256(self) -> str:
        """Of the content so far, in hexadecimal."""
        return self._digest.hexdigest()

    async def read(self, chunks: AsyncIterator[bytes]) -> None:
        """Read the whole content.

        Raises:
            FileTooLarge: It has more bytes than the limit.
            InvalidItems: It is empty.
            Unavailable: Storage does not respond.
        """
        async for part in _parts(chunks):
            if sum(self.sizes) + len(part) > self._limit:
                raise FileTooLarge(
                    f"The file has more than {self._limit} bytes; divide it, or have the operator "
                    "raise TEAMRUN_FILE_LIMIT_BYTES.",
                    limit=self._limit,
                )
            self._digest.update(part)
            if self._stores:
                key = part_key(self._tenant, self._file_id, len(self.sizes))
                await self._store.put(key, part)
            self.sizes.append(len(part))
        if not self.sizes:
            text = "The file is empty; send its content as the body of the request."
            problem: JsonObject = {"line": 1, "code": "empty_file", "detail": text}
            raise InvalidItems(text, problems=[problem])


async def _parts(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The content in parts of one size; the last one may be smaller."""
    part = bytearray()
    async for chunk in chunks:
        part += chunk
        while len(part) >= _PART_BYTES:
            yield bytes(part[:_PART_BYTES])
            del part[:_PART_BYTES]
    if part:
        yield bytes(part)
