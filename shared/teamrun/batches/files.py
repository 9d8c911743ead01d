"""Uploaded files: the inputs of batches.

A file is a list of parts and a description. The description is written last: without it there is no
file. An upload that was interrupted leaves a marker, by which its parts are found and removed.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta

from pydantic import ValidationError

from teamrun.batches.keys import (
    UPLOADS,
    file_folder,
    file_list_folder,
    file_list_key,
    hour_of_uploads,
    part_key,
    upload_marker,
)
from teamrun.batches.pages import page_of
from teamrun.batches.resources import File, FilePage
from teamrun.core.clock import Clock
from teamrun.core.ids import id_time, new_id
from teamrun.core.refs import is_run_id
from teamrun.errors import FileNotFound, FileTooLarge, InvalidItems, NotFound
from teamrun.json_types import JsonObject
from teamrun.storage.base import ObjectStore

__all__ = ["Files"]

logger = logging.getLogger(__name__)

_PART_BYTES = 8_000_000

_ABANDONED = timedelta(hours=24)
"""The age at which an upload that is not complete is removed."""

_PAGE = 1_000


class _Stored(File):
    parts: list[int]
    """The size of each part."""


class Files:
    """The files of all tenants; each method takes a tenant and only accesses its files."""

    def __init__(self, *, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def upload(
        self, tenant: str, chunks: AsyncIterator[bytes], *, name: str | None, limit: int
    ) -> File:
        """Store a file, a part at a time; it exists when this returns.

        Args:
            tenant: Whose file it is.
            chunks: The content.
            name: The client's name for it.
            limit: Maximum size in bytes.

        Raises:
            FileTooLarge: It has more bytes than `limit`.
            InvalidItems: It is empty.
            Unavailable: Storage does not respond.
        """
        file_id, digest, sizes = new_id("file"), hashlib.sha256(), list[int]()
        marker = upload_marker(tenant, file_id)
        await self._store.put_new(marker, b"")
        try:
            async for part in _parts(chunks):
                if sum(sizes) + len(part) > limit:
                    raise FileTooLarge(
                        f"The file has more than {limit} bytes; divide it, or have the operator "
                        "raise TEAMRUN_FILE_LIMIT_BYTES.",
                        limit=limit,
                    )
                digest.update(part)
                await self._store.put(part_key(tenant, file_id, len(sizes)), part)
                sizes.append(len(part))
            if not sizes:
                text = "The file is empty; send its content as the body of the request."
                problem: JsonObject = {"line": 1, "code": "empty_file", "detail": text}
                raise InvalidItems(text, problems=[problem])
            stored = _Stored(
                id=file_id,
                name=name,
                size=sum(sizes),
                sha256=digest.hexdigest(),
                created_at=self._clock.now(),
                parts=sizes,
            )
            await self._store.put(file_list_key(tenant, file_id), stored.model_dump_json().encode())
        except BaseException:
            with contextlib.suppress(Exception):  # the sweep does it later
                await asyncio.shield(self._remove(tenant, file_id))
            raise
        await self._store.delete(marker)
        return _public(stored)

    async def get(self, tenant: str, file_id: str) -> File:
        """The description of a file.

        Raises:
            FileNotFound: The tenant has no such file.
        """
        return _public(await self._stored(tenant, file_id))

    async def content(
        self, tenant: str, file_id: str, *, start: int = 0
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of a file from `start` on, in chunks, with flat memory.

        Raises:
            FileNotFound: The tenant has no such file.
            StorageError: A part is missing.
        """
        stored = await self._stored(tenant, file_id)
        for number, size in enumerate(stored.parts):
            if start < size:
                key = part_key(tenant, file_id, number)
                async with contextlib.aclosing(self._store.stream(key, start=start)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            start = max(0, start - size)

    async def list(self, tenant: str, *, limit: int, after: str | None) -> FilePage:
        """A page of files, newest first.

        Raises:
            UsageError: `after` is not a cursor.
        """
        page = await page_of(self._store, file_list_folder(tenant), limit=limit, after=after)
        found = await self._store.get_many(page.keys)
        files = [_public(stored) for data in found if (stored := _read(data)) is not None]
        return FilePage(data=files, next_cursor=page.next_cursor, has_more=page.has_more)

    async def delete(self, tenant: str, file_id: str) -> None:
        """Delete a file; batches that were made of it keep their items.

        Raises:
            FileNotFound: The tenant has no such file.
        """
        await self._stored(tenant, file_id)
        await self._store.put_new(upload_marker(tenant, file_id), b"")
        await self._store.delete(file_list_key(tenant, file_id))
        await self._remove(tenant, file_id)

    async def sweep(self) -> None:
        """Remove the parts of uploads and deletions that were interrupted a day ago.

        Raises:
            StorageError: Storage cannot be read.
        """
        last = hour_of_uploads(self._clock.now() - _ABANDONED)
        for key in await self._store.list(UPLOADS, limit=_PAGE):
            tenant, _, file_id = key.rpartition("/")[2].partition(".")
            if key >= last:
                return
            if not (tenant and is_run_id(file_id)):
                continue
            if await self._store.get_many([file_list_key(tenant, file_id)]) == [None]:
                await self._remove(tenant, file_id)
            else:
                await self._store.delete(key)

    async def _remove(self, tenant: str, file_id: str) -> None:
        folder = file_folder(tenant, file_id)
        while keys := await self._store.list(folder, limit=_PAGE):
            await self._store.delete_many(keys)
        await self._store.delete(upload_marker(tenant, file_id))

    async def _stored(self, tenant: str, file_id: str) -> _Stored:
        with contextlib.suppress(NotFound):
            if is_run_id(file_id) and id_time(file_id).year > 1:
                stored = _read(await self._store.get(file_list_key(tenant, file_id)))
                if stored is not None:
                    return stored
        raise FileNotFound(f"File {file_id[:80]!r} does not exist.", file_id=file_id[:80])


def _read(data: bytes | None) -> _Stored | None:
    with contextlib.suppress(ValidationError):
        return None if data is None else _Stored.model_validate_json(data)
    return None


def _public(stored: _Stored) -> File:
    return File(**stored.model_dump(exclude={"parts"}))


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
