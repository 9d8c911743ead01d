"""Copies of the entries of a thread's log, 64 in one object, for processes that read all of it.

    t/{tenant}/threads/{h2}/{thread_id}/pages/{k:06d}.jsonl   entries 64 k to 64 k + 63, one a line

A page never changes, as its entries do not. It is only written if all of them are readable. One
that is missing or damaged has no effect: then its entries are read.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from teamrun.errors import StorageError
from teamrun.storage.base import ObjectStore
from teamrun.storage.versions import version_key
from teamrun.threads.records import ThreadEntry, entry_folder, page_key

__all__ = ["PAGE", "ThreadPages"]

PAGE: Final = 64
"""The number of entries of a page."""

_TOGETHER: Final = 16
"""How many pages are read, or written, together at most."""


class ThreadPages:
    """Reads and writes pages."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def read(self, tenant: str, thread_id: str) -> list[list[ThreadEntry] | None]:
        """The entries of the pages, None for one that is missing between others.

        Raises:
            StorageError: Storage does not respond.
        """
        pages: list[list[ThreadEntry] | None] = []
        count = 2
        while True:
            numbers = range(len(pages), len(pages) + count)
            keys = [page_key(tenant, thread_id, k) for k in numbers]
            stored = await self._store.get_many(keys)
            found = [
                None if data is None else _read(data.split(b"\n"), k)
                for k, data in zip(numbers, stored, strict=True)
            ]
            pages += found
            if found[-1] is None:
                break
            count = min(2 * count, _TOGETHER)
        while pages and pages[-1] is None:
            pages.pop()
        return pages

    async def write(self, tenant: str, thread_id: str, pages: Sequence[int]) -> None:
        """Store pages whose entries exist, some of them; one that cannot be stored is left out."""
        await asyncio.gather(*(self._write(tenant, thread_id, k) for k in pages[:_TOGETHER]))

    async def _write(self, tenant: str, thread_id: str, k: int) -> None:
        folder = entry_folder(tenant, thread_id)
        keys = [version_key(folder, n) for n in range(k * PAGE, (k + 1) * PAGE)]
        with contextlib.suppress(StorageError):
            lines = [data for data in await self._store.get_many(keys) if data is not None]
            if _read(lines, k) is not None:
                await self._store.put_new(page_key(tenant, thread_id, k), b"\n".join(lines))


def _read(lines: Sequence[bytes], k: int) -> list[ThreadEntry] | None:
    """The entries of a page; None if one is missing, damaged or of a newer release."""
    try:
        entries = [ThreadEntry.model_validate_json(line) for line in lines]
    except ValueError:
        return None
    places = [(entry.n, entry.body.kind == "created") for entry in entries]
    expected = [(n, n == 0) for n in range(k * PAGE, (k + 1) * PAGE)]
    return entries if places == expected else None
