"""One thread that makes puts durable, many at a time.

`fsync` blocks for milliseconds, but one call covers everything written before it. The puts of all
coroutines are therefore queued here. Each round stages and syncs all files, gives them their names
in order, and then syncs each folder once.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from teamrun.errors import StorageError
from teamrun.storage.disk import Disk, map_os_error

__all__ = ["BatchWriter"]

_ROUND = 256


@dataclass(slots=True)
class _Job:
    path: str
    data: bytes
    place: Callable[[str, str], bool]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[bool]
    staged: str = ""
    result: bool | StorageError = False


class BatchWriter:
    """Writes in one thread, which starts with the first put and ends with `close`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    async def create(self, path: str, data: bytes) -> bool:
        """Like `Disk.create`, but durable on return."""
        return await self._put(path, data, self._disk.place_new)

    async def replace(self, path: str, data: bytes) -> None:
        """Like `Disk.replace`, but durable on return."""
        await self._put(path, data, self._replace)

    async def close(self) -> None:
        """Finish the queued puts and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._jobs.put(None)
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _replace(self, staged: str, path: str) -> bool:
        self._disk.place(staged, path)
        return True

    async def _put(self, path: str, data: bytes, place: Callable[[str, str], bool]) -> bool:
        loop = asyncio.get_running_loop()
        job = _Job(path, data, place, loop, loop.create_future())
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="teamrun-store-writer", daemon=True
                )
                self._thread.start()
            self._jobs.put(job)
        return await job.done

    def _run(self) -> None:
        ended = False
        while not ended:
            jobs: list[_Job] = []
            for job in self._next_round():
                if job is None:
                    ended = True
                else:
                    jobs.append(job)
            self._write(jobs)
            for job in jobs:
                _report(job)

    def _next_round(self) -> list[_Job | None]:
        found = [self._jobs.get()]
        while len(found) < _ROUND:
            try:
                found.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return found

    def _write(self, jobs: list[_Job]) -> None:
        for job in jobs:
            _attempt(job, self._stage)
        for job in jobs:
            if job.staged:
                _attempt(job, self._place)
        try:
            self._disk.sync_folders()
        except OSError as error:
            failure = map_os_error(error, "cannot sync a folder")
            for job in jobs:
                if not isinstance(job.result, StorageError):
                    job.result = failure

    def _stage(self, job: _Job) -> None:
        job.staged = self._disk.stage(job.data)

    def _place(self, job: _Job) -> None:
        try:
            job.result = job.place(job.staged, job.path)
        finally:
            self._disk.discard(job.staged)


def _attempt(job: _Job, act: Callable[[_Job], None]) -> None:
    try:
        act(job)
    except OSError as error:
        job.result = map_os_error(error, f"cannot write {job.path!r}")
    except StorageError as error:
        job.result = error


def _report(job: _Job) -> None:
    def settle() -> None:
        if job.done.done():  # the caller was cancelled
            return
        if isinstance(job.result, StorageError):
            job.done.set_exception(job.result)
        else:
            job.done.set_result(job.result)

    try:
        job.loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop was closed, so no caller waits
        return
