"""The log of one run in object storage: reading it, and appending to it by put-if-absent.

The rules (`docs/design/log.md`):

- Entry n is written only after entries 0 to n-1 have been folded.
- After a lost race, the writer folds again and forms its entry anew.
- "Already exists" may be the writer's own success whose response was lost; the nonce decides.
- If storage did not respond, the same bytes are written to the same key again.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, TypeVar

import pydantic
from pydantic_core import from_json, to_json

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import DamagedBlob, StorageError, Unavailable, UnreadableEntry
from teamrun.json_types import JsonObject
from teamrun.runs.log.blobs import stream_blob
from teamrun.runs.log.entries import FORMAT, KINDS, Body, End, Entry, LoggedEvent, read_entry
from teamrun.runs.log.keys import artifact_blob, entry_name, log_folder, snapshot_key
from teamrun.runs.log.state import RunState, fold
from teamrun.storage.base import ObjectStore

__all__ = ["LogObserver", "PreCommit", "PreErase", "Prepare", "RunLog"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_INLINE_LIMIT = 64 * 1024

_STUB = b'{"blob":'

_FIRST_DELAY, _LONGEST_DELAY = 0.05, 5.0

_LARGEST_BATCH = 64
"""Entries that are read together if their number is unknown."""

LogObserver = Callable[[RunRef, Entry, RunState | None], None]
"""Called with each entry that this process has appended, and the state of the run after it.

The entry is durable. There is no state if the entry closed an acceptance that was interrupted. An
observer returns at once and changes nothing; what takes time it does in the background. It may miss
an entry whose writer crashed: what must not be missed is a duty (`archive.py`).
"""


Prepare = Callable[[], Awaitable[Callable[[], None] | None]]
"""Stores something before an entry is written; called again if storage did not respond.

The function that it returns is called when the entry is durable. It is not called if another writer
wrote that entry.
"""

PreCommit = Callable[[RunRef, Entry, RunState | None], Prepare | None]
"""Called with an entry before it is written, and the state of the run before it.

It returns what has to be stored first, such as a marker that makes other processes look at the
entry; then a crash right after the write loses nothing. None if there is nothing to store.
"""

PreErase = Callable[[RunRef], Awaitable[None]]
"""Records elsewhere what a deletion ends. It may be called again after a crash, and raises only
`StorageError`, which delays the deletion."""


class RunLog:
    """Reads one log, and appends to it as one writer.

    Args:
        store: The object store.
        ref: The run.
        writer: The name of the writer, for the entries.
        clock: The clock.
        patience: How long a write is retried while storage does not respond; None for ever.
        observers: Called, in this order, after each entry that `append` has written.
        pre_commit: Called before each entry that `append` writes.
    """

    __slots__ = (
        "_clock",
        "_folder",
        "_observers",
        "_patience",
        "_pre_commit",
        "_store",
        "ref",
        "size",
        "writer",
    )

    def __init__(
        self,
        store: ObjectStore,
        ref: RunRef,
        *,
        writer: str,
        clock: Clock,
        patience: timedelta | None = None,
        observers: Sequence[LogObserver] = (),
        pre_commit: Sequence[PreCommit] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._patience = patience
        self._observers = observers
        self._pre_commit = pre_commit
        self._folder = log_folder(ref)
        self.ref = ref
        self.writer = writer
        self.size = 0
        """The bytes of the entries that were parsed or appended so far."""

    async def read(self, start: int = 0) -> list[Entry]:
        """The entries from number `start` to the last.

        Raises:
            UnreadableEntry: An entry is missing, damaged or was written by a newer release.
            Unavailable: Storage does not respond.
        """
        return [self._parse(data, n) for n, data in enumerate(await self._fetch(start), start)]

    async def read_if_short(self, most: int) -> list[Entry] | None:
        """All entries; None if there are more than `most`, up to 999, which costs one LIST."""
        async with self._refused(0):
            keys = await self._store.list(self._folder, limit=most + 1)
        if len(keys) > most:
            return None
        return [self._parse(data, n) for n, data in enumerate(await self._present(keys, 0))]

    async def read_some(self, start: int, most: int) -> list[Entry]:
        """At most `most` entries from number `start` on; fewer only at the end. It costs one LIST.

        Raises:
            UnreadableEntry: An entry is missing, damaged or was written by a newer release.
            Unavailable: Storage does not respond.
        """
        async with self._refused(start):
            after = self._key(start - 1) if start else ""
            keys = await self._store.list(self._folder, after=after, limit=most)
        data = await self._present(keys, start)
        return [self._parse(each, n) for n, each in enumerate(data, start)]

    async def read_next(self, n: int) -> Entry | None:
        """Entry `n`, or None if it does not exist: a cheap check whether a log has grown."""
        found = await self._fetch_on(n, most=1)
        return self._parse(found[0], n) if found else None

    async def read_on(self, n: int) -> list[Entry]:
        """The entries from number `n` to the last; usually none or one, which costs no LIST."""
        return [self._parse(data, k) for k, data in enumerate(await self._fetch_on(n), n)]

    async def documents(self, start: int, stop: int) -> list[JsonObject]:
        """Entries that are known to exist, as JSON data, for callers that only need the events.

        Raises:
            UnreadableEntry: An entry is missing, damaged or was written by a newer release.
            Unavailable: Storage does not respond.
        """
        documents: list[JsonObject] = []
        for n, data in enumerate(await self._fetch_known(start, stop), start):
            document = self._document(data, n)
            before = documents[-1] if documents else None
            if before is not None and document["seq"] != before["seq"] + len(before["events"]):
                raise self.unreadable(n)
            documents.append(document)
        return documents

    async def stored(self, stop: int | None = None) -> list[bytes]:
        """All entries as they are stored, or those before `stop`, which costs no LIST.

        Raises:
            UnreadableEntry: One is missing.
        """
        return await self._fetch(0) if stop is None else await self._fetch_known(0, stop)

    async def documents_on(self, n: int, *, some: bool = False) -> list[JsonObject]:
        """The same as `read_on`, as plain JSON data; with `some`, a part if they are many.

        Entry `n` is expected to exist, so the one after it is read together with it.
        """
        stored = await self._fetch_on(n, batch=2, most=_LARGEST_BATCH if some else None)
        return [self._document(data, k) for k, data in enumerate(stored, n)]

    async def state(self) -> RunState | None:
        """Fold the whole log; None if there is no run.

        Raises:
            UnreadableEntry: The log is unreadable.
        """
        return self.folded(await self.read())

    def folded(self, entries: list[Entry]) -> RunState | None:
        """Fold entries of this log; None if there is no run.

        Raises:
            UnreadableEntry: They are not the log of a run.
        """
        try:
            return fold(entries)
        except _MISFITS as error:
            # The search for the invalid entry is slow, so it is only made after a failure.
            raise self.unreadable(_first_misfit(entries)) from error

    def apply(self, state: RunState, entry: Entry) -> None:
        """Apply the next entry of this log to a state.

        Raises:
            UnreadableEntry: The entry does not fit.
        """
        try:
            state.apply(entry)
        except _MISFITS as error:
            raise self.unreadable(entry.n) from error

    def unreadable(self, n: int, what: str = "is damaged or of a newer release") -> UnreadableEntry:
        """The error to raise if entry `n` cannot be read."""
        return UnreadableEntry(
            f"Entry {n} of run {self.ref.run_id!r} ({self._key(n)}) {what}. Nothing is written to "
            "the run. Restore the object, or use the release that wrote it.",
            run_id=self.ref.run_id,
            entry=n,
            key=self._key(n),
        )

    async def append(
        self,
        state: RunState | None,
        body: Body,
        events: list[LoggedEvent],
        *,
        epoch: int,
        at: datetime | None = None,
    ) -> Entry | None:
        """Write the entry that follows `state`; returns None if another writer was first.

        When the entry is durable, it is applied to `state`, and the observers are called.

        Args:
            state: The state that the entries so far fold to. None if there are none, and this entry
                closes the log of a run that was never accepted.
            body: The body of the entry.
            events: The events of the entry.
            epoch: The epoch of the writer.
            at: The time of the entry, if it is not now; the entry before it may be later.

        Raises:
            Unavailable: Storage did not respond for longer than this log's patience, so it is
                unknown whether the entry was written.
        """
        if state is None:
            assert isinstance(body, End), "a run begins with its initial state"
        else:
            assert state.end is None, "nothing follows the end"
        now = at or self._clock.now()
        n, seq = (state.entries, state.seq) if state else (0, 1)
        at = max(state.at, now) if state else now
        entry = Entry(n, epoch, self.writer, os.urandom(8).hex(), at, seq, body, events)
        try:
            data = entry.to_json()
        except ValueError:
            entry = entry.mended()
            data = entry.to_json()
        self.size += len(data)
        if len(data) > _INLINE_LIMIT:
            data = await self._by_reference(entry, data)
        follows: list[Callable[[], None]] = []
        for hook in self._pre_commit:
            prepare = hook(self.ref, entry, state)
            if prepare is not None and (follow := await self._persist(prepare)) is not None:
                follows.append(follow)
        if not await self._persist(partial(self._put_entry, entry, data)):
            return None
        if state is not None:
            state.apply(entry)
        self._notify(entry, state)
        for follow in follows:
            follow()
        return entry

    def _notify(self, entry: Entry, state: RunState | None) -> None:
        for observer in self._observers:
            try:
                observer(self.ref, entry, state)
            except (Exception, asyncio.CancelledError):  # this call awaits nothing: it is their own
                logger.exception(
                    "An observer of the log failed; the run continues",
                    extra={
                        "action": "log.observer_failed",
                        **self.ref.log_fields(),
                        "entry": entry.n,
                    },
                )

    async def put_blob(self, data: bytes) -> str:
        """Store bytes beside the log; returns their hexadecimal sha256, which is their name.

        Raises:
            Unavailable: Storage did not respond for longer than this log's patience.
        """
        digest = hashlib.sha256(data).hexdigest()
        key = artifact_blob(self.ref, digest)
        await self._persist(partial(self._store.put_new, key, data))
        return digest

    async def get_blob(self, sha256: str) -> bytes:
        """Read bytes that `put_blob` stored.

        Raises:
            DamagedBlob: They are missing, or do not match the digest.
        """
        return b"".join([chunk async for chunk in stream_blob(self._store, self.ref, sha256)])

    async def put_snapshot(self, data: bytes) -> None:
        """Replace the snapshot of the run, unless the run has been deleted.

        Raises:
            StorageError: It could not be stored.
            UnreadableEntry: The first entry is damaged.
        """
        key = snapshot_key(self.ref)
        await self._store.put(key, data)
        # This process may have been suspended before the put until after a deletion.
        first = await self.read_next(0)
        if first is None or first.body.kind != "accepted":
            await self._store.delete(key)

    async def get_snapshot(self) -> bytes | None:
        """The newest snapshot of the run; None if there is none, or storage refuses it.

        Raises:
            Unavailable: Storage does not respond.
        """
        try:
            data = await self._store.get(snapshot_key(self.ref))
        except Unavailable:
            raise
        except StorageError:
            return None
        self.size += len(data)
        return data

    async def _persist(self, write: Callable[[], Awaitable[T]]) -> T:
        delay, waited = _FIRST_DELAY, 0.0
        while True:
            try:
                return await write()
            except Unavailable as error:
                if self._patience is not None and waited >= self._patience.total_seconds():
                    raise
                logger.warning(
                    "A write to storage failed, and will be retried",
                    extra={
                        "action": "storage.put_retried",
                        **self.ref.log_fields(),
                        "delay_s": delay,
                        "error": error.message,
                    },
                )
            await self._clock.sleep(delay)
            waited, delay = waited + delay, min(delay * 2, _LONGEST_DELAY)

    async def _put_entry(self, entry: Entry, data: bytes) -> bool:
        key = self._key(entry.n)
        if await self._store.put_new(key, data):
            return True
        there = await self._whole(await self._store.get(key), entry.n)
        return self._document(there, entry.n)["nonce"] == entry.nonce

    def _key(self, n: int) -> str:
        return f"{self._folder}{entry_name(n)}"

    async def _by_reference(self, entry: Entry, data: bytes) -> bytes:
        """Store a large entry as a blob; returns what is stored in its place."""
        digest = await self.put_blob(data)
        return to_json({"blob": digest, "v": entry.v, "n": entry.n, "kind": entry.body.kind})

    async def _fetch(self, start: int) -> list[bytes]:
        found: list[bytes] = []
        while True:
            n = start + len(found)
            async with self._refused(n):
                keys = await self._store.list(self._folder, after=self._key(n - 1) if n else "")
            found += await self._present(keys, n)
            if len(keys) < 1000:
                return found

    async def _present(self, keys: list[str], n: int) -> list[bytes]:
        """The entries with these keys, which are those from number `n` on."""
        found: list[bytes] = []
        present = await self._get_all(keys, n)
        for number, (key, data) in enumerate(zip(keys, present, strict=True), n):
            if data is None or key != self._key(number):
                raise self.unreadable(number, "is missing")
            is_whole = not data.startswith(_STUB)
            found.append(data if is_whole else await self._whole(data, number))
        return found

    async def _fetch_known(self, start: int, stop: int) -> list[bytes]:
        return await self._present([self._key(n) for n in range(start, stop)], start)

    async def _fetch_on(self, n: int, *, batch: int = 1, most: int | None = None) -> list[bytes]:
        """The entries from number `n` to the last, or until there are about `most`."""
        found: list[bytes] = []
        while most is None or len(found) < most:
            start = n + len(found)
            keys = [self._key(number) for number in range(start, start + batch)]
            for data in await self._get_all(keys, start):
                if data is None:
                    return found
                found.append(await self._whole(data, n + len(found)))
            batch = min(batch * 4, _LARGEST_BATCH)
        return found

    async def _get_all(self, keys: list[str], n: int) -> list[bytes | None]:
        """The objects of entries from number `n` on."""
        try:
            return await self._store.get_many(keys)
        except Unavailable:
            raise
        except StorageError:  # one by one, to find the entry that the store refuses
            found: list[bytes | None] = []
            for number, key in enumerate(keys, n):
                async with self._refused(number):
                    found += await self._store.get_many([key])
            return found

    @asynccontextmanager
    async def _refused(self, n: int) -> AsyncGenerator[None]:
        """A store that refuses one object, but not others, makes one run unreadable.

        Raises:
            UnreadableEntry: The store refuses the object of entry `n`, whatever the reason.
            StorageError: The store does not answer, or refuses everything: that concerns all runs.
        """
        try:
            yield
        except (Unavailable, UnreadableEntry):
            raise
        except StorageError as error:
            if not await self._is_usable():
                raise
            raise self.unreadable(n, f"cannot be read: {error.message}") from error

    async def _is_usable(self) -> bool:
        """Whether the store as a whole answers; if not, no single object is at fault."""
        try:
            await self._store.check()
        except StorageError:
            return False
        return True

    async def _whole(self, data: bytes, n: int) -> bytes:
        """The whole entry: the object itself, or the blob that it names."""
        if not data.startswith(_STUB):
            return data
        try:
            return await self.get_blob(_Stub.model_validate_json(data).blob)
        except (pydantic.ValidationError, DamagedBlob) as error:
            raise self.unreadable(n) from error

    def _parse(self, data: bytes, n: int) -> Entry:
        try:
            entry = read_entry(data)
        except pydantic.ValidationError as error:
            raise self.unreadable(n) from error
        if entry.n != n:
            raise self.unreadable(n)
        self.size += len(data)
        return entry

    def _document(self, data: bytes, n: int) -> JsonObject:
        """The entry as JSON data; its envelope is checked, its body is not."""
        try:
            document: JsonObject = from_json(data)
            _check_envelope(document, n)
        except _MISFITS as error:
            raise self.unreadable(n) from error
        return document


class _Stub(pydantic.BaseModel, defer_build=True):
    blob: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]


_MISFITS = (ValueError, KeyError, TypeError, AttributeError)
"""The errors of reading data of the wrong shape; pydantic's errors are ValueErrors."""


def _check_envelope(document: JsonObject, n: int) -> None:
    known = document["v"] == FORMAT and document["n"] == n and document["kind"] in KINDS
    datetime.fromisoformat(document["at"])
    if not known or not isinstance(document["seq"], int) or "nonce" not in document:
        raise ValueError("not an entry of this place")
    for event in document["events"]:
        if not isinstance(event["type"], str) or not isinstance(event["data"], dict):
            raise ValueError("not an event")
        event["agent"]


def _first_misfit(entries: list[Entry]) -> int:
    for count in range(1, len(entries)):
        try:
            fold(entries[:count])
        except _MISFITS:
            return entries[count - 1].n
    return entries[-1].n
