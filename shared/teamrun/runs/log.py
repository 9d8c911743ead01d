"""One run's log in object storage: reading it, and appending by put-if-absent.

The rules (`docs/design/log.md`): write entry n only after folding 0..n-1; after a lost race fold
again and form the entry anew; "exists already" may be one's own success whose answer was lost,
so the nonce is compared; where storage did not answer, the same bytes go to the same place again.
"""

import hashlib
import logging
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pydantic
from pydantic_core import from_json, to_json

from teamrun.core.clock import Clock
from teamrun.dispatch.base import RunRef
from teamrun.errors import StorageError, Unavailable
from teamrun.runs.entries import Body, Entry, LoggedEvent, read_entry
from teamrun.runs.fold import RunState, fold
from teamrun.runs.keys import artifact_blob, entry_name, log_folder
from teamrun.storage.base import ObjectStore

__all__ = ["RunLog", "UnreadableEntry"]

logger = logging.getLogger(__name__)

_INLINE_LIMIT = 64 * 1024
_STUB = b'{"blob":'
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 5.0


class UnreadableEntry(StorageError):
    """An entry of a newer format, or damaged: nothing may be written after it from here."""

    code = "unreadable_entry"


class RunLog:
    """Appends to and reads from one log, in the name of one writer."""

    __slots__ = ("_clock", "_folder", "_patience", "_store", "ref", "writer")

    def __init__(
        self,
        store: ObjectStore,
        ref: RunRef,
        *,
        writer: str,
        clock: Clock,
        patience: timedelta | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._patience = patience
        self._folder = log_folder(ref)
        self.ref = ref
        self.writer = writer

    async def read(self, start: int = 0) -> list[Entry]:
        """The entries from number `start` on, as far as they go without a gap.

        Raises:
            UnreadableEntry: One is of a form not known here.
            Unavailable: Storage does not answer.
        """
        return [self._parse(data) for data in await self._fetch(start)]

    async def read_next(self, n: int) -> Entry | None:
        """Entry `n` alone, where it exists: the cheap way to ask whether a log has grown."""
        data = await self._fetch_one(n)
        return None if data is None else self._parse(data)

    async def documents(self, start: int = 0) -> list[dict[str, Any]]:
        """The same as `read`, as plain JSON data: for whoever only wants the events."""
        return [from_json(data) for data in await self._fetch(start)]

    async def stored(self) -> list[bytes]:
        """All entries as they are stored."""
        return await self._fetch(0)

    async def next_document(self, n: int) -> dict[str, Any] | None:
        """The same as `read_next`, as plain JSON data."""
        data = await self._fetch_one(n)
        return None if data is None else from_json(data)

    async def state(self) -> RunState | None:
        """Fold the whole log; None where there is no entry 0."""
        return fold(await self.read())

    async def append(
        self, state: RunState | None, body: Body, events: list[LoggedEvent], *, epoch: int
    ) -> Entry | None:
        """Write the entry that follows `state`; None where another writer was first.

        Raises:
            Unavailable: Storage did not answer for longer than this log's patience, so it is not
                known whether the entry was written.
        """
        assert state is None or state.end is None, "nothing follows the end"
        now = self._clock.now()
        entry = Entry(
            n=state.entries if state else 0,
            epoch=epoch,
            writer=self.writer,
            nonce=os.urandom(8).hex(),
            at=max(state.at, now) if state else now,
            seq=state.seq if state else 1,
            events=events,
            body=body,
        )
        try:
            data = entry.to_json()
        except ValueError:
            entry = entry.mended()
            data = entry.to_json()
        data = await self._stored_form(entry, data)
        mine = await self._persist(lambda: self._put_entry(entry, data))
        return entry if mine else None

    async def put_blob(self, data: bytes) -> str:
        """Store bytes beside the log under their sha256, which is returned in hexadecimal.

        Raises:
            Unavailable: Storage did not answer for longer than this log's patience.
        """
        digest = hashlib.sha256(data).hexdigest()
        key = artifact_blob(self.ref, digest)
        await self._persist(lambda: self._store.put_new(key, data))
        return digest

    async def get_blob(self, sha256: str) -> bytes:
        """Bytes stored by `put_blob`.

        Raises:
            NotFound: There are none of that digest.
        """
        return await self._store.get(artifact_blob(self.ref, sha256))

    async def _persist(self, put: Callable[[], Awaitable[bool]]) -> bool:
        delay, waited = _FIRST_DELAY, 0.0
        while True:
            try:
                return await put()
            except Unavailable:
                if self._patience is not None and waited >= self._patience.total_seconds():
                    raise
                logger.warning(
                    "storage did not answer, trying again",
                    extra={"action": "put_retry", "run": str(self.ref), "delay_s": delay},
                )
            await self._clock.sleep(delay)
            waited, delay = waited + delay, min(delay * 2, _LONGEST_DELAY)

    async def _put_entry(self, entry: Entry, data: bytes) -> bool:
        key = self._key(entry.n)
        if await self._store.put_new(key, data):
            return True
        there = await self._whole(await self._store.get(key))
        return from_json(there)["nonce"] == entry.nonce

    def _key(self, n: int) -> str:
        return f"{self._folder}{entry_name(n)}"

    async def _stored_form(self, entry: Entry, data: bytes) -> bytes:
        if len(data) <= _INLINE_LIMIT:
            return data
        digest = await self.put_blob(data)
        return to_json({"blob": digest, "v": entry.v, "n": entry.n, "kind": entry.body.kind})

    async def _fetch(self, start: int) -> list[bytes]:
        found: list[bytes] = []
        while True:
            n = start + len(found)
            keys = await self._store.list(self._folder, after=self._key(n - 1) if n else "")
            if keys and keys[0] != self._key(n):
                raise UnreadableEntry(f"Entry {n} of {self.ref} is missing.")
            for data in await self._store.get_many(keys):
                if data is None:
                    return found
                found.append(await self._whole(data))
            if len(keys) < 1000:
                return found

    async def _fetch_one(self, n: int) -> bytes | None:
        [data] = await self._store.get_many([self._key(n)])
        return None if data is None else await self._whole(data)

    async def _whole(self, data: bytes) -> bytes:
        """The entry itself, where what lies in the log only names a blob."""
        if not data.startswith(_STUB):
            return data
        return await self.get_blob(from_json(data)["blob"])

    def _parse(self, data: bytes) -> Entry:
        try:
            return read_entry(data)
        except pydantic.ValidationError as error:
            raise UnreadableEntry(
                f"An entry of {self.ref} is of a newer format or damaged; "
                "use the release that wrote it."
            ) from error
