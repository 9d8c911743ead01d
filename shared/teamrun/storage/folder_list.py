"""Sorted names of folders, cached while the folder does not change.

A folder of 100,000 names takes about 150 ms to read and sort. The list is reused as long as the
folder's modification time is unchanged. It is only cached if that time was older, when the list was
made, than the resolution of the coarsest file system clock.
"""

import os
import stat
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from teamrun.storage.file_names import key_to_path, name_to_segment

__all__ = ["FolderList"]

_CLOCK_NS = 2_000_000_000
_WORTH_KEEPING = 500
_KEPT_LISTS = 8
_LARGE_BYTES = 65_536
"""A folder entry of this size has some thousand names on every common file system."""


class _Kept(NamedTuple):
    stamp: tuple[int, int]
    names: list[str]


class FolderList:
    """Lists keys below one root folder; its methods may block."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def keys(self, prefix: str, after: str) -> Iterator[str]:
        """Keys below the folder `prefix`, greater than `after`, sorted.

        An empty one precedes each folder that may take long to read: the first one if it is large,
        and every folder within it.
        """
        if after.startswith(prefix):
            behind = after[len(prefix) :]
        elif after > prefix:
            return
        else:
            behind = ""
        folder = f"{self._root}/{key_to_path(prefix[:-1])}" if prefix else self._root
        status = _status(folder)
        if status is None:
            return
        names = self._kept_names(folder, status)
        if names is None and status.st_size >= _LARGE_BYTES:
            yield ""
        if names is None:
            names = self._read(folder, status)
        for place in range(_first(names, behind), len(names)):
            name = names[place]
            if name.endswith("/"):
                yield ""
                yield from self.keys(prefix + name, after)
            else:
                yield prefix + name

    def _read(self, folder: str, status: os.stat_result) -> list[str]:
        try:
            with os.scandir(folder) as found:
                names = sorted(filter(None, map(_segment, found)))
        except FileNotFoundError:
            return []
        self._keep(folder, _Kept(_stamp(status), names))
        return names

    def _kept_names(self, folder: str, status: os.stat_result) -> list[str] | None:
        with self._lock:
            kept = self._kept.get(folder)
        return kept.names if kept is not None and kept.stamp == _stamp(status) else None

    def _keep(self, folder: str, listed: _Kept) -> None:
        with self._lock:
            self._kept.pop(folder, None)
            settled = listed.stamp[1] < time.time_ns() - _CLOCK_NS
            if settled and len(listed.names) >= _WORTH_KEEPING:
                self._kept[folder] = listed
            if len(self._kept) > _KEPT_LISTS:
                self._kept.pop(next(iter(self._kept)))


def _status(folder: str) -> os.stat_result | None:
    try:
        status = os.stat(folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status if stat.S_ISDIR(status.st_mode) else None


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_mtime_ns


def _segment(entry: os.DirEntry[str]) -> str | None:
    """The segment of a key; a folder's ends in `/`, so that segments sort like whole keys."""
    segment = name_to_segment(entry.name)
    if segment is None or entry.is_file(follow_symlinks=False):
        return segment
    return segment + "/" if entry.is_dir(follow_symlinks=False) else None


def _first(names: list[str], behind: str) -> int:
    """The index of the first name that is or contains a key greater than `behind`."""
    place = bisect_right(names, behind)
    if place and names[place - 1].endswith("/") and behind.startswith(names[place - 1]):
        return place - 1
    return place
