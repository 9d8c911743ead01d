"""Objects that others write, read as they are at one moment.

Above it: the inputs of batches that are named by a URL. Below it: `FolderReader` here, and
`BucketStore`. A reader never writes. Unlike `FileStore`, a folder has the names that its user gave.
"""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple, Protocol

from teamrun.errors import NotFound, ObjectChanged, StorageError
from teamrun.storage.base import CHUNK_BYTES
from teamrun.storage.disk import map_os_error
from teamrun.storage.keys import check_key

__all__ = ["FolderReader", "ObjectReader", "Pinned"]

# A FIFO must not block, and a link that replaced the file after it was resolved is refused.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)


class Pinned(NamedTuple):
    """An object as it was when it was found."""

    key: str
    tag: str
    """Differs after every change."""
    size: int
    """In bytes."""


class ObjectReader(Protocol):
    """Objects below a bucket's prefix, or below a folder."""

    async def pin(self, key: str) -> Pinned:
        """Find an object.

        Raises:
            NotFound: There is no such object.
            StorageError: It cannot be read.
            Unavailable: Storage does not respond.
        """
        ...

    def pinned(self, found: Pinned) -> AsyncGenerator[bytes, None]:
        """The bytes of exactly the object that was found, in chunks, with flat memory.

        Raises:
            ObjectChanged: It has changed, so the bytes so far are worth nothing.
            StorageError: It cannot be read.
            Unavailable: Storage does not respond.
        """
        ...

    async def close(self) -> None:
        """Release connections and threads."""
        ...


class FolderReader:
    """Implements `ObjectReader` for the regular files below a folder.

    Links may lead to files inside the folder. A link that leads out of it, a device and a pipe are
    not found. A change is noticed by the size and the time of the last modification.

    Args:
        root: The folder; it need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def pin(self, key: str) -> Pinned:
        """Find a file."""
        check_key(key)
        return await asyncio.to_thread(self._pin, key)

    async def pinned(self, found: Pinned) -> AsyncGenerator[bytes, None]:
        """The bytes of the file."""
        file = await asyncio.to_thread(self._open, found.key)
        try:
            _check(file, found)
            left = found.size
            while left:
                part = await asyncio.to_thread(_read, file, found.key, min(left, CHUNK_BYTES))
                if not part:
                    raise _changed(found.key)
                left -= len(part)
                if not left:
                    _check(file, found)  # while it was read, too
                yield part
        finally:
            os.close(file)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _pin(self, key: str) -> Pinned:
        file = self._open(key)
        try:
            return _as_found(file, key)
        finally:
            os.close(file)

    def _open(self, key: str) -> int:
        root = os.path.realpath(self._root)
        path = os.path.realpath(f"{root}/{key}")
        if os.path.commonpath([root, path]) != root:
            raise _missing(key)
        try:
            file = os.open(path, _READ)
        except (FileNotFoundError, NotADirectoryError):
            raise _missing(key) from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
                raise _missing(key) from None
            raise map_os_error(error, f"cannot read {key!r}") from error
        # A folder on the way may have been replaced by a link after the path was resolved.
        if not stat.S_ISREG(os.fstat(file).st_mode) or os.path.realpath(path) != path:
            os.close(file)
            raise _missing(key)
        return file


def _as_found(file: int, key: str) -> Pinned:
    status = os.fstat(file)
    tag = f"{status.st_dev:x}-{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
    return Pinned(key, tag, status.st_size)


def _check(file: int, found: Pinned) -> None:
    if _as_found(file, found.key) != found:
        raise _changed(found.key)


def _read(file: int, key: str, size: int) -> bytes:
    try:
        return os.read(file, size)
    except OSError as error:
        raise map_os_error(error, f"cannot read {key!r}") from error


def _missing(key: str) -> StorageError:
    return NotFound(f"no file {key!r}", key=key)


def _changed(key: str) -> StorageError:
    return ObjectChanged(f"{key!r} has changed since it was found", key=key)
