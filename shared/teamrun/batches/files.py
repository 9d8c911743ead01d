"""Uploaded files: the inputs of batches.

A file is a list of parts and a description. The description is written last: without it there is no
file. An upload that was interrupted leaves a marker, by which its parts are found and removed.

The record of an Idempotency-Key is the description too, and is written before it: whoever repeats
the upload completes it from there.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import NamedTuple

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
from teamrun.batches.uploads import Incoming
from teamrun.core.clock import Clock
from teamrun.core.ids import id_time, new_id
from teamrun.core.refs import is_run_id
from teamrun.errors import (
    FileNotFound,
    IdempotencyConflict,
    NotFound,
    Unavailable,
)
from teamrun.runs.log.keys import idempotency_key
from teamrun.storage.base import ObjectStore

__all__ = ["Files", "Uploaded"]

logger = logging.getLogger(__name__)

_ABANDONED = timedelta(hours=24)
"""The age at which an upload that is not complete is removed."""

_PAGE = 1_000


_SCOPE = "POST /v1/files"


class _Stored(File):
    parts: list[int]
    """The size of each part."""
    idempotency: str | None = None
    """The key of the Idempotency-Key's record."""


class Uploaded(NamedTuple):
    """A file after a request."""

    file: File
    replayed: bool
    """The Idempotency-Key had been used for it before."""


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
        return (await self.upload_once(tenant, chunks, name=name, limit=limit, key=None)).file

    async def upload_once(
        self,
        tenant: str,
        chunks: AsyncIterator[bytes],
        *,
        name: str | None,
        limit: int,
        key: str | None,
    ) -> Uploaded:
        """The same, with an Idempotency-Key: repeating the request stores one file.

        Raises:
            FileTooLarge: It has more bytes than `limit`.
            IdempotencyConflict: The key was used with another file.
            InvalidItems: It is empty.
            Unavailable: Storage does not respond.
        """
        place = key and idempotency_key(tenant, _SCOPE, key)
        if place and (first := await self._record(place)) is not None:
            repeated = Incoming(self._store, tenant, first.id, limit, stores=False)
            await repeated.read(chunks)
            return await self._repeated(tenant, first, repeated, name)
        file_id, is_recorded = new_id("file"), False
        marker = upload_marker(tenant, file_id)
        await self._store.put_new(marker, (place or "").encode())
        try:
            incoming = Incoming(self._store, tenant, file_id, limit)
            await incoming.read(chunks)
            stored = _Stored(
                id=file_id,
                name=name,
                size=sum(incoming.sizes),
                sha256=incoming.sha256,
                created_at=self._clock.now(),
                parts=incoming.sizes,
                idempotency=place or None,
            )
            data = stored.model_dump_json().encode()
            if place and not await self._store.put_new(place, data):
                return await self._overtaken(tenant, place, file_id, incoming, name)
            is_recorded = bool(place)
            await self._store.put(file_list_key(tenant, file_id), data)
        except BaseException:
            if not is_recorded:  # else the same request may have been repeated, and completed it
                with contextlib.suppress(Exception):  # the sweep does it later
                    await asyncio.shield(self._remove(tenant, file_id))
            raise
        await self._store.delete(marker)
        return Uploaded(_public(stored), replayed=False)

    async def _overtaken(
        self, tenant: str, place: str, file_id: str, incoming: Incoming, name: str | None
    ) -> Uploaded:
        """The answer if another request with the same key was first."""
        first = await self._record(place)
        if first is None or first.id == file_id:
            raise Unavailable("The upload could not be completed; repeat the request.")
        found = await self._repeated(tenant, first, incoming, name)
        await self._remove(tenant, file_id)
        return found

    async def _repeated(
        self, tenant: str, first: _Stored, incoming: Incoming, name: str | None
    ) -> Uploaded:
        if (first.sha256, first.name) != (incoming.sha256, name):
            raise IdempotencyConflict(
                "The Idempotency-Key was used with another file; use a new key.", file_id=first.id
            )
        # The process that wrote the record may have been killed before it wrote the description.
        data = first.model_dump_json().encode()
        await self._store.put_new(file_list_key(tenant, first.id), data)
        return Uploaded(_public(first), replayed=True)

    async def _record(self, place: str) -> _Stored | None:
        [data] = await self._store.get_many([place])
        return _read(data)

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
        place = (await self._stored(tenant, file_id)).idempotency
        await self._store.put_new(upload_marker(tenant, file_id), (place or "").encode())
        if place is not None:  # first: otherwise a repeated upload would complete the file again
            await self._store.delete(place)
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
                [place] = await self._store.get_many([key])
                await self._remove(tenant, file_id, (place or b"").decode() or None)
            else:
                await self._store.delete(key)

    async def _remove(self, tenant: str, file_id: str, place: str | None = None) -> None:
        """Remove the parts of a file without a description, and its record if it has one."""
        record = None if place is None else await self._record(place)
        if place is not None and record is not None and record.id == file_id:
            await self._store.delete(place)
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
    return File(**stored.model_dump(exclude={"parts", "idempotency"}))
