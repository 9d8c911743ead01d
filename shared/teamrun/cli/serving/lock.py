"""One `serve` per data folder: a file lock that the children of the holder inherit.

The lock is free when the last process that has the descriptor is gone, however it ended.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from teamrun.errors import UsageError

__all__ = ["FolderLock"]

LEFTOVER_WAIT_S = 45.0
POLL_S = 0.2


class FolderLock:
    """The lock of a data folder; `descriptor` is to be passed to children.

    Args:
        folder: The data folder; created if it does not exist.
        sleep: How to wait between attempts.
    """

    def __init__(self, folder: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._folder = folder
        self._sleep = sleep
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "serve.lock"
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)

    def acquire(self) -> None:
        """Take the lock; waits for the children of an ended `serve` to end.

        Raises:
            UsageError: Another `serve` uses the folder; the message names its pid.
        """
        for _ in range(int(LEFTOVER_WAIT_S / POLL_S)):
            if _try_lock(self.descriptor):
                self._write_pid()
                return
            pid = self.holder()
            if pid is not None and _lives(pid):
                break
            self._sleep(POLL_S)
        raise UsageError(
            f"{self._folder} is in use by `teamrun serve` with pid {self.holder()}: stop that one, "
            "or choose another folder with --data-dir or TEAMRUN_DATA_DIR.",
            setting="data_dir",
            pid=self.holder(),
        )

    def holder(self) -> int | None:
        """The pid that the lock file names."""
        text = self._path.read_text(encoding="ascii", errors="replace").strip()
        return int(text) if text.isdecimal() else None

    def close(self) -> None:
        """Give the lock up, as far as this process is concerned."""
        os.close(self.descriptor)

    def _write_pid(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: the lock itself needs no space
            os.ftruncate(self.descriptor, 0)
            os.lseek(self.descriptor, 0, os.SEEK_SET)
            os.write(self.descriptor, f"{os.getpid()}\n".encode("ascii"))


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 1 << 30, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lives(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # there, the lock is never inherited: its owner is alive
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
