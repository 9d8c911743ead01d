"""A store in a folder, which `teamrun serve` uses on one machine.

It always survives `kill -9`; with `fsync` it also survives a power failure. Without `fsync`, a
small put takes about 30 microseconds and runs on the event loop; a thread would cost ten times as
much.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from teamrun.errors import NotFound, StorageError, Unavailable, UnusableStore
from teamrun.storage.base import CHUNK_BYTES, ObjectStat
from teamrun.storage.batches import check_range, refused_deletions
from teamrun.storage.disk import Disk, Link, map_os_error
from teamrun.storage.folder_list import FolderList
from teamrun.storage.keys import check_key, check_prefix

if TYPE_CHECKING:
    from teamrun.storage.batch_writer import BatchWriter

__all__ = ["FileStore"]

T = TypeVar("T")

_INLINE_BYTES = 262_144
"""Larger bodies are written and read in a thread."""
_READS_PER_TICK = 64


class FileStore:
    """Implements `ObjectStore` with one file per object.

    A key may not also be a folder of other keys here. Files are readable for the user and group of
    the process.

    Args:
        root: The folder.
        fsync: Survive a power failure; each put waits for the disk.
        make: Make the folder if it is missing; without it nothing is written until the first put.
        link: Gives a complete file its name; a parameter for tests.

    Raises:
        NotFound: The folder does not exist, and `make` is false.
        StorageError: The folder cannot be used.
        UnusableStore: Its file system has no hard links.
    """

    def __init__(
        self, root: Path | str, *, fsync: bool = False, make: bool = True, link: Link = os.link
    ) -> None:
        self._disk = Disk(str(root), sync=fsync, make=make, link=link)
        self._lists = FolderList(self._disk.root)
        self._writer = _batch_writer(self._disk) if fsync else None

    @property
    def root(self) -> Path:
        """The folder, with symbolic links resolved."""
        return Path(self._disk.root)

    async def put_new(self, key: str, data: bytes) -> bool:
        """Create the object; returns False and changes nothing if it already exists."""
        check_key(key)
        path = self._disk.path(key)
        if self._writer is not None:
            return await self._writer.create(path, data)
        return await _act(lambda: self._disk.create(path, data), key, len(data))

    async def put(self, key: str, data: bytes) -> None:
        """Create or replace the object, whole or not at all."""
        check_key(key)
        path = self._disk.path(key)
        if self._writer is not None:
            await self._writer.replace(path, data)
        else:
            await _act(lambda: self._disk.replace(path, data), key, len(data))

    async def get(self, key: str) -> bytes:
        """The bytes of the object.

        Raises:
            NotFound: The object does not exist.
        """
        data = await self._read(key)
        if data is None:
            raise NotFound(f"no object under {key!r}", key=key)
        return data

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The objects in the order of `keys`; None for a missing one."""
        found: list[bytes | None] = []
        for place, key in enumerate(keys, start=1):
            found.append(await self._read(key))
            if place % _READS_PER_TICK == 0:
                await asyncio.sleep(0)
        return found

    async def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of the object from `start` to before `end`, in chunks.

        Raises:
            NotFound: The object does not exist.
            StorageError: `start` is after the last byte, and not 0.
        """
        check_key(key)
        try:
            file, size = self._disk.open(self._disk.path(key))
        except FileNotFoundError:
            raise self._missing(key) from None
        except OSError as error:
            raise map_os_error(error, f"cannot read {key!r}") from error
        try:
            end = check_range(key, start, end, size=size)
            os.lseek(file, start, os.SEEK_SET)
            while start < end:
                size = min(CHUNK_BYTES, end - start)
                is_small = size <= _INLINE_BYTES
                read = partial(os.read, file, size)
                part = read() if is_small else await asyncio.to_thread(read)
                if not part:
                    raise StorageError(f"{key!r} was truncated while it was read", key=key)
                start += len(part)
                yield part
        except OSError as error:
            raise map_os_error(error, f"cannot read {key!r}") from error
        finally:
            os.close(file)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Keys below the folder `prefix`, greater than `after`, sorted."""
        check_prefix(prefix)

        found = self._lists.keys(prefix, after)
        try:
            keys: list[str] = []
            for key in islice(found, limit):
                if not key:  # the rest may take long
                    rest = islice(filter(None, found), limit - len(keys))
                    return keys + await asyncio.to_thread(list, rest)
                keys.append(key)
            return keys
        except OSError as error:
            raise map_os_error(error, f"cannot list {prefix!r}") from error

    async def stats(self, prefix: str, *, after: str = "", limit: int = 1000) -> "list[ObjectStat]":
        """What `list` returns, with sizes and modification times."""
        keys = await self.list(prefix, after=after, limit=limit)
        try:
            found = await asyncio.to_thread(lambda: [*map(self._stat, keys)])
        except OSError as error:
            raise map_os_error(error, f"cannot list {prefix!r}") from error
        return [stat for stat in found if stat is not None]

    async def delete(self, key: str) -> None:
        """Remove the object; does nothing if it does not exist."""
        check_key(key)
        path = self._disk.path(key)
        await _act(lambda: self._disk.remove(path), key, 0)

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Remove the objects; missing ones are ignored.

        Raises:
            StorageError: Some could not be removed; `data["keys"]` lists them.
        """
        for key in keys:
            check_key(key)
        failed = await asyncio.to_thread(self._remove_each, keys)
        if failed:
            raise refused_deletions(failed, of=len(keys))

    async def check(self) -> None:
        """Check that the folder accepts files and honours put-if-absent.

        Raises:
            Unavailable: The folder is gone, or its disk is full.
            StorageError: The folder cannot be used.
        """
        key = f"probe/{secrets.token_hex(8)}"
        try:
            first = await self.put_new(key, b"1")
            second = await self.put_new(key, b"2")
            if not first or second or await self.get(key) != b"1":
                raise UnusableStore(f"{self._disk.root!r} does not honour put-if-absent")
        finally:
            with suppress(StorageError):
                await self.delete(key)

    async def close(self) -> None:
        """End the writer thread."""
        if self._writer is not None:
            await self._writer.close()

    async def _read(self, key: str) -> bytes | None:
        check_key(key)
        path = self._disk.path(key)
        try:
            data = self._disk.read(path, at_most=_INLINE_BYTES)
            if data is not None:
                return data
            return await asyncio.to_thread(self._disk.read, path)
        except FileNotFoundError:
            if not self._disk.is_there():
                raise self._missing(key) from None
            return None
        except OSError as error:
            raise map_os_error(error, f"cannot read {key!r}") from error

    def _missing(self, key: str) -> StorageError:
        if not self._disk.is_there():
            return Unavailable(f"the folder {self._disk.root!r} is gone")
        return NotFound(f"no object under {key!r}", key=key)

    def _stat(self, key: str) -> ObjectStat | None:
        try:
            status = Path(self._disk.path(key)).stat(follow_symlinks=False)
        except FileNotFoundError:  # removed since it was listed
            return None
        return ObjectStat(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def _remove_each(self, keys: Sequence[str]) -> dict[str, StorageError]:
        failed: dict[str, StorageError] = {}
        for key in keys:
            try:
                self._disk.remove(self._disk.path(key))
            except OSError as error:
                failed[key] = map_os_error(error, f"cannot delete {key!r}")
        return failed


async def _act(act: Callable[[], T], key: str, size: int) -> T:
    try:
        return act() if size <= _INLINE_BYTES else await asyncio.to_thread(act)
    except OSError as error:
        raise map_os_error(error, f"cannot write {key!r}") from error


def _batch_writer(disk: Disk) -> "BatchWriter":
    # Imported late: most stores do not need it, and none does before its first put.
    from teamrun.storage.batch_writer import BatchWriter

    return BatchWriter(disk)
