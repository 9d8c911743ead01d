"""Points at which a process can kill itself: before and after each step that others observe.

Product code does not contain them. A worker or an API is given a store, a live state and a queue
that count what passes through them, by what it means (`entry:claim`, `hint`, `removal of open
marker`), and that send the process SIGKILL at the selected pass.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from teamrun.batches.entries import BatchEntry
from teamrun.batches.entries import Step as BatchStep
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.dispatch.queues import Queue
from teamrun.live.base import Live, View
from teamrun.models.pacing.base import CallLimits, Demand, Share
from teamrun.runs.log.entries import Entry, Step, calls_of, read_entry
from teamrun.storage.base import ObjectStat, ObjectStore
from teamrun.threads.records import ThreadEntry

__all__ = [
    "Crash",
    "Points",
    "WatchedDispatcher",
    "WatchedLive",
    "WatchedStore",
    "arm",
    "kind_of",
    "passing",
]


@dataclass(frozen=True)
class Crash:
    """The point at which a process dies."""

    point: str
    """`before ...` or `after ...`."""
    nth: int = 1
    """At which passing."""


class Points:
    """The passings of one process.

    Args:
        note: A file that gets a line `time nth point` for each passing.
        crash: The point at which to die.
    """

    def __init__(self, note: Path, crash: Crash | None = None) -> None:
        self._crash = crash
        self._counts: Counter[str] = Counter()
        self._note = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def passing(self, point: str) -> None:
        self._counts[point] += 1
        nth = self._counts[point]
        os.write(self._note, f"{time.time()} {nth} {point}\n".encode())
        if self._crash == Crash(point, nth):
            os.kill(os.getpid(), signal.SIGKILL)


_points: Points | None = None


def arm(points: Points) -> None:
    """Have `passing` count here: for the operator's tools, to which nothing can be handed."""
    global _points
    _points = points


def passing(point: str) -> None:
    """Pass a point of the points that are armed in this process, if any."""
    if _points is not None:
        _points.passing(point)


class WatchedStore:
    """A store whose writes are points."""

    def __init__(self, store: ObjectStore, points: Points) -> None:
        self._store = store
        self._points = points

    async def put_new(self, key: str, data: bytes) -> bool:
        if key == "store-id":  # it belongs to the start of a process, and to no run
            return await self._store.put_new(key, data)
        name = kind_of(key, data)
        self._points.passing(f"before {name}")
        is_new = await self._store.put_new(key, data)
        self._points.passing(f"after {name}")
        return is_new

    async def put(self, key: str, data: bytes) -> None:
        name = kind_of(key, data)
        self._points.passing(f"before {name}")
        await self._store.put(key, data)
        self._points.passing(f"after {name}")

    async def delete(self, key: str) -> None:
        name = f"removal of {kind_of(key)}"
        self._points.passing(f"before {name}")
        await self._store.delete(key)
        self._points.passing(f"after {name}")

    async def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            await self.delete(key)

    def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        return self._store.stream(key, start=start, end=end)

    async def stats(self, prefix: str, *, after: str = "", limit: int = 1000) -> "list[ObjectStat]":
        return await self._store.stats(prefix, after=after, limit=limit)

    async def get(self, key: str) -> bytes:
        return await self._store.get(key)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        return await self._store.get_many(keys)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        return await self._store.list(prefix, after=after, limit=limit)

    async def check(self) -> None:
        await self._store.check()

    async def close(self) -> None:
        await self._store.close()


class WatchedLive:
    """A live state whose leases of runs are points; the renewals of a lease are none."""

    def __init__(self, live: Live, points: Points) -> None:
        self._live = live
        self._points = points
        self._held: set[str] = set()
        self.is_shared = live.is_shared

    async def acquire(self, name: str, owner: str, lease: timedelta) -> bool:
        if not name.startswith("run:") or name in self._held:
            return await self._live.acquire(name, owner, lease)
        self._points.passing("before lease")
        taken = await self._live.acquire(name, owner, lease)
        if taken:
            self._held.add(name)
            self._points.passing("after lease")
        return taken

    async def release(self, name: str, owner: str) -> None:
        self._held.discard(name)
        if not name.startswith("run:"):
            await self._live.release(name, owner)
            return
        self._points.passing("before release")
        try:
            await self._live.release(name, owner)
        finally:
            self._points.passing("after release")

    async def publish(self, topic: str, message: bytes) -> None:
        await self._live.publish(topic, message)

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._live.subscribe(topic)

    async def held(self, names: Sequence[str]) -> list[bool]:
        return await self._live.held(names)

    async def age(self) -> timedelta | None:
        return await self._live.age()

    async def set_view(self, key: str, view: View) -> None:
        await self._live.set_view(key, view)

    async def views(self, keys: Sequence[str]) -> list[View | None]:
        return await self._live.views(keys)

    async def drop_view(self, key: str) -> None:
        await self._live.drop_view(key)

    async def share(self, profile: str, limits: CallLimits, demand: Demand) -> Share:
        return await self._live.share(profile, limits, demand)

    async def answer(self, key: str) -> bytes | None:
        return await self._live.answer(key)

    async def keep_answer(self, key: str, answer: bytes, life: timedelta) -> None:
        await self._live.keep_answer(key, answer, life)

    async def ping(self) -> None:
        await self._live.ping()

    async def close(self) -> None:
        await self._live.close()


class WatchedDispatcher:
    """A queue whose messages are points; in a worker, those of the reaper have another name."""

    def __init__(self, dispatcher: Dispatcher, points: Points, *, in_worker: bool = False) -> None:
        self._dispatcher = dispatcher
        self._points = points
        self._in_worker = in_worker

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        task = asyncio.current_task()
        # The worker executes each run in a task that has the run's name.
        ours = not self._in_worker or (task is not None and task.get_name() in map(str, refs))
        name = "hint" if ours else "hint of the reaper"
        self._points.passing(f"before {name}")
        try:
            await self._dispatcher.send(refs, queue=queue, first=first)
        finally:  # it may not have been taken: that is a way on, too
            self._points.passing(f"after {name}")

    async def close(self) -> None:
        await self._dispatcher.close()


_FOLDERS = {
    "open/": "open marker",
    "due/": "due marker",
    "idem/": "key record",
    "batches/": "batch marker",
    "uploads/": "upload marker",
    "hooks/": "delivery marker",
    "webhooks/": "tenant with webhooks",
    "gone/": "plan of a deletion",
}

_OF_BATCHES = {"items": "batch items", "done": "item result", "results": "block of results"}
"""Objects of batches, by their folder."""


def kind_of(key: str, data: bytes | None = None) -> str:
    """The kind of an object, as points name it."""
    for folder, name in _FOLDERS.items():
        if key.startswith(folder):
            return name
    parts = key.split("/")
    if parts[2] in ("index", "batch-list", "thread-list"):
        return "list marker"
    if parts[2] in ("webhooks", "deliveries"):
        return _of_webhook(parts)
    if "hook" in parts or parts[2] == "webhook-hooks":  # `000.settled`, `000.try-01`, `001.begun`
        return f"delivery {parts[-1].partition('.')[2].partition('-')[0]}"
    if parts[2] == "batches":
        return _of_batch(parts, data)
    if parts[2] == "threads" and parts[-2] == "pages":
        return "page of a thread"
    if parts[2] == "threads" and data is not None:
        return f"thread entry:{ThreadEntry.model_validate_json(data).body.kind}"
    if parts[-2] == "log" and data is not None:
        return _entry(read_entry(data))
    return "blob" if parts[-2] == "blob" else parts[-1]


def _of_webhook(parts: Sequence[str]) -> str:
    """The kind of an object of a registered webhook."""
    if parts[2] == "deliveries":
        is_note = parts[-1].endswith(".given_up")
        return "note of a delivery" if is_note else "list marker of a delivery"
    if parts[3] == "own":
        return "secret of runs"
    return "time of failures" if parts[-1] == "failing" else "version of a webhook"


def _of_batch(parts: Sequence[str], data: bytes | None) -> str:
    """The kind of an object of a batch; a step by what it records."""
    if parts[-2] != "log" or data is None:
        return _OF_BATCHES.get(parts[-2], parts[-1])
    body = BatchEntry.model_validate_json(data).body
    if isinstance(body, BatchStep):
        return f"batch entry:{'settled' if body.settled else 'fed'}"
    return f"batch entry:{body.kind}"


def _entry(entry: Entry) -> str:
    """The kind of an entry; a step by its contents, because the number of steps depends on time."""
    if not isinstance(entry.body, Step) and not calls_of(entry.body):
        return f"entry:{entry.body.kind}"
    kinds = {call.kind for call in calls_of(entry.body)}
    return f"entry:{entry.body.kind} of {' and '.join(sorted(kinds)) or 'events'}"
