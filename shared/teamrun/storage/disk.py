"""The synchronous half of the folder store: atomic creation of files.

A new object is written to `.tmp/`, then `link` gives it its name. That fails if the name is taken,
and no reader ever sees a partial file. A process that is killed in between leaves a file in `.tmp/`
that is never read; `sweep` removes it later. With `sync`, the content is on the disk before the
name, and the name is on the disk before the call returns.
"""

import errno
import os
import random
import secrets
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count

from teamrun.errors import NotFound, StorageError, Unavailable, UnusableStore
from teamrun.storage.file_names import key_to_path

__all__ = ["Disk", "map_os_error"]

_TMP = ".tmp"
_LEFTOVER_AGE = timedelta(hours=1)
_ATTEMPTS = 50
"""An empty folder may be removed between its creation and its use, but hardly this often."""
_AT_ONCE, _PAUSE_S = 5, 0.002
"""After this many attempts there is a random pause of up to this length before each."""
_KNOWN_FOLDERS = 50_000

_SAFE = 0 if sys.platform == "win32" else os.O_NOFOLLOW | os.O_CLOEXEC
_BINARY = os.O_BINARY if sys.platform == "win32" else 0
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE | _BINARY
_READ = os.O_RDONLY | _SAFE | _BINARY
# Never readable for others, because the files contain prompts and answers. The umask applies too.
_FILE_MODE = 0o660
_FOLDER_MODE = 0o770

_PASSING = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOENT,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ENOTCONN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""Errors that may be transient; some need free space or a mounted disk first."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Link = Callable[[str, str], None]


def map_os_error(error: OSError, what: str) -> StorageError:
    """Convert an error of the operating system; the caller raises the result."""
    text = f"{what}: {error.strerror or error}"
    if error.errno in _FULL:
        return Unavailable(f"{text}; free space in the data folder", errno=error.errno)
    if error.errno in _PASSING:
        return Unavailable(text, errno=error.errno)
    return StorageError(text, errno=error.errno)


class Disk:
    """Files below one folder; every method may block.

    Args:
        root: The folder.
        sync: Make writes survive a power failure.
        make: Make the folder if it is missing, and prove that it can be written to.
        link: Gives a complete file its name; a parameter for tests.

    Raises:
        NotFound: The folder does not exist, and `make` is false.
        StorageError: The folder cannot be used.
        UnusableStore: Its file system has no hard links.
    """

    def __init__(self, root: str, *, sync: bool, make: bool = True, link: Link = os.link) -> None:
        self._sync = sync
        self._link = link
        self._token = secrets.token_hex(6)
        self._counter = count()
        self._known: set[str] = set()
        self.unsynced: set[str] = set()
        """Folders with a new name that is not on the disk yet; only with `sync`."""
        if not make:
            self.root = os.path.realpath(root)
            if not os.path.isdir(root):
                raise NotFound(f"there is no folder {root!r}", key="")
            return
        try:
            os.makedirs(root, _FOLDER_MODE, exist_ok=True)
            self.root = os.path.realpath(root)
            os.makedirs(f"{self.root}/{_TMP}", _FOLDER_MODE, exist_ok=True)
            self.sweep()
            self._prove_links()
        except OSError as error:
            # On a full disk, existing objects can still be read, and runs can wait.
            if error.errno not in _FULL or not os.path.isdir(f"{root}/{_TMP}"):
                raise map_os_error(error, f"cannot use the folder {root!r} as a store") from error

    def path(self, key: str) -> str:
        """The path of the object."""
        return f"{self.root}/{key_to_path(key)}"

    def create(self, path: str, data: bytes) -> bool:
        """Write a new file, whole or not at all; returns False if the name is taken."""
        if not data and not self._sync:  # an empty file cannot be partial
            return self._claim(path, lambda: os.close(os.open(path, _WRITE, _FILE_MODE)))
        staged = self.stage(data)
        try:
            return self.place_new(staged, path)
        finally:
            self.discard(staged)

    def replace(self, path: str, data: bytes) -> None:
        """Write a file, whole or not at all, replacing any file with its name."""
        staged = self.stage(data)
        try:
            self.place(staged, path)
        except BaseException:
            self.discard(staged)
            raise

    def stage(self, data: bytes) -> str:
        """Write a file that is not visible to readers yet; returns its path."""
        path = f"{self.root}/{_TMP}/{os.getpid()}-{self._token}-{next(self._counter)}"
        file = os.open(path, _WRITE, _FILE_MODE)
        try:
            _write_all(file, data)
            if self._sync:
                os.fsync(file)
        except BaseException:
            os.close(file)
            self.discard(path)
            raise
        os.close(file)
        return path

    def place_new(self, staged: str, path: str) -> bool:
        """Give a staged file its final name as well; returns False if that is taken."""
        return self._claim(path, lambda: self._link(staged, path))

    def place(self, staged: str, path: str) -> None:
        """Move a staged file to its name, replacing any file there."""
        self._in_folder(path, lambda: os.replace(staged, path))

    def discard(self, staged: str) -> None:
        """Remove a staged file that may have been placed."""
        with suppress(FileNotFoundError):
            os.unlink(staged)

    def open(self, path: str) -> tuple[int, int]:
        """Open a file for reading; returns its descriptor and its size.

        Raises:
            FileNotFoundError: The file does not exist.
        """
        folder = path.rpartition("/")[0]
        if folder not in self._known:
            self._refuse_links(folder)
        try:
            file = os.open(path, _READ)
        except NotADirectoryError as error:  # a part of the path is a file
            raise FileNotFoundError(error.errno, error.strerror, path) from error
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            os.close(file)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return file, status.st_size

    def read(self, path: str, *, at_most: int | None = None) -> bytes | None:
        """The bytes of a file; None if it is larger than `at_most`.

        Raises:
            FileNotFoundError: The file does not exist.
        """
        file, size = self.open(path)
        try:
            if at_most is not None and size > at_most:
                return None
            return _read_all(file, size)
        finally:
            os.close(file)

    def is_there(self) -> bool:
        """Whether the folder still exists."""
        return os.path.isdir(self.root)

    def remove(self, path: str) -> None:
        """Remove a file, if it exists, and the folders that are empty afterwards.

        Not synced: an object that reappears after a power failure is deleted again.
        """
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        folder = path.rpartition("/")[0]
        while folder != self.root:
            try:
                os.rmdir(folder)
            except OSError:  # most often: not empty
                return
            self._known.discard(folder)
            folder = folder.rpartition("/")[0]

    def sync_folders(self) -> None:
        """Write every new name to the disk."""
        while self.unsynced:
            folder = self.unsynced.pop()
            try:
                file = os.open(folder, os.O_RDONLY)
            except FileNotFoundError:  # it was empty and has been removed
                continue
            try:
                os.fsync(file)
            except BaseException:
                self.unsynced.add(folder)
                raise
            finally:
                os.close(file)

    def sweep(self) -> None:
        """Remove the files that killed processes left in `.tmp/`."""
        limit = time.time() - _LEFTOVER_AGE.total_seconds()
        with os.scandir(f"{self.root}/{_TMP}") as found:
            for entry in found:
                with suppress(FileNotFoundError):  # another process has just finished with it
                    if entry.stat(follow_symlinks=False).st_mtime < limit:
                        os.unlink(entry.path)

    def _claim(self, path: str, act: Callable[[], None]) -> bool:
        try:
            self._in_folder(path, act)
        except FileExistsError:
            if os.path.isdir(path):
                raise StorageError(f"{path!r} is a folder of other keys") from None
            if self._sync:  # the caller may rely on the existing name
                self.unsynced.add(path.rpartition("/")[0])
            return False
        return True

    def _in_folder(self, path: str, act: Callable[[], None]) -> None:
        folder = path.rpartition("/")[0]
        for attempt in range(_ATTEMPTS):
            try:
                if folder not in self._known:
                    self._make(folder)
                act()
            except FileNotFoundError:
                self._forget(folder)
                if attempt >= _AT_ONCE:  # another process removes it as fast as it is created
                    time.sleep(random.random() * _PAUSE_S)
            else:
                if self._sync:
                    self.unsynced.add(folder)
                return
        raise Unavailable(f"the folder {folder!r} does not stay; is {self.root!r} mounted?")

    def _make(self, folder: str) -> None:
        # Step by step, because the root itself must never be created again: an unmounted disk
        # leaves an empty folder that must not be mistaken for the store.
        missing = self._unknown(folder)
        are_new = True
        for path in missing:
            try:
                os.mkdir(path, _FOLDER_MODE)
            except FileExistsError:
                are_new = False
                continue
            if self._sync:
                self.unsynced.add(path.rpartition("/")[0])
        if are_new:  # in a known folder, so no link leads to them
            self._trust([*missing, folder])
        else:
            self._refuse_links(folder)

    def _unknown(self, folder: str) -> list[str]:
        """The folder and those around it that have not been checked, the outermost first."""
        found: list[str] = []
        while folder != self.root and folder not in self._known:
            found.append(folder)
            folder = folder.rpartition("/")[0]
        return found[::-1]

    def _refuse_links(self, folder: str) -> None:
        if os.path.realpath(folder) != os.path.normpath(folder):
            raise StorageError(f"{folder!r} leads through a symbolic link; remove it")
        if os.path.isdir(folder):
            self._trust([*self._unknown(folder), folder])

    def _trust(self, folders: list[str]) -> None:
        if len(self._known) >= _KNOWN_FOLDERS:
            self._known.clear()
        self._known.update(folders)

    def _forget(self, folder: str) -> None:
        while folder.startswith(self.root):
            self._known.discard(folder)
            folder = folder.rpartition("/")[0]

    def _prove_links(self) -> None:
        staged = self.stage(b"probe")
        second = f"{staged}-link"
        try:
            self._link(staged, second)
        except OSError as error:
            if error.errno in _FULL:
                raise
            raise UnusableStore(
                f"the file system of {self.root!r} has no hard links ({error.strerror}), so it "
                "cannot store runs: use a folder on a local disk, or an s3:// store"
            ) from error
        finally:
            self.discard(second)
            self.discard(staged)


def _read_all(file: int, size: int) -> bytes:
    data = os.read(file, size + 1)
    if len(data) >= size:
        return data
    parts = [data]
    while part := os.read(file, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _write_all(file: int, data: bytes) -> None:
    written = os.write(file, data)
    while written < len(data):
        written += os.write(file, memoryview(data)[written:])
