"""The log of a batch in object storage: reading it, and appending to it by put-if-absent.

The rules are those of the log of a run (`teamrun.runs.log.log`): only a writer that has applied
entries 0 to n-1 writes entry n, and one that was not the first reads on and decides again.
"""

import contextlib
import os
from collections.abc import Callable, Sequence

from pydantic import ValidationError
from pydantic_core import to_json

from teamrun.batches.entries import BatchBody, BatchEntry, BatchEvent, End
from teamrun.batches.keys import BatchRef, entry_key, log_folder, snapshot_key
from teamrun.batches.spec import BatchSpec
from teamrun.batches.state import BatchState, fold
from teamrun.core.clock import Clock
from teamrun.errors import BatchNotFound, NotFound, UnreadableEntry
from teamrun.runs.log.log import Prepare
from teamrun.storage.base import ObjectStore

__all__ = ["BatchLog", "PreCommit", "batch_not_found"]

_PAGE = 1_000
_TOGETHER = 64
_SNAPSHOT_EVERY = 64
"""Entries between two snapshots."""


PreCommit = Callable[[BatchRef, BatchEntry, BatchSpec], Prepare | None]
"""Returns what has to be stored before an entry; as for the log of a run."""


class BatchLog:
    """Reads one log, and appends to it as one writer.

    Args:
        store: The object store.
        ref: The batch.
        writer: The name of the writer, for the entries.
        clock: The clock.
        pre_commit: Called before each entry that `append` writes.
    """

    def __init__(
        self,
        store: ObjectStore,
        ref: BatchRef,
        *,
        writer: str,
        clock: Clock,
        pre_commit: PreCommit | None = None,
    ) -> None:
        self._pre_commit = pre_commit
        self._store = store
        self._clock = clock
        self._writer = writer
        self.ref = ref

    async def state(self) -> BatchState | None:
        """The current state; None if there is no batch.

        Raises:
            UnreadableEntry: The log is damaged, or was written by a newer release.
            Unavailable: Storage does not respond.
        """
        state = await self._snapshot()
        if state is None:
            entries = await self._all()
            try:
                return fold(entries)
            except ValueError as error:
                raise self._unreadable(0) from error
        await self.read_on(state)
        return state

    async def existing(self) -> BatchState:
        """The current state.

        Raises:
            BatchNotFound: There is no such batch.
            UnreadableEntry: The log is damaged, or was written by a newer release.
        """
        state = await self.state()
        if state is None:
            raise batch_not_found(self.ref)
        return state

    async def read_on(self, state: BatchState) -> bool:
        """Apply the entries that have followed; returns whether there were any.

        Other coroutines may do the same with this state.
        """
        grown = False
        while True:
            n, batch = state.entries, _TOGETHER if grown else 1
            keys = [entry_key(self.ref, number) for number in range(n, n + batch)]
            for number, data in enumerate(await self._store.get_many(keys), n):
                if data is None:
                    return grown
                grown = True
                if number == state.entries:  # else another coroutine has applied it
                    self._apply(state, self._parse(data, number))

    async def entries(self, numbers: Sequence[int]) -> list[BatchEntry]:
        """Entries that are known to exist."""
        found = await self._get([entry_key(self.ref, n) for n in numbers])
        return [self._parse(data, n) for n, data in zip(numbers, found, strict=True)]

    async def append(
        self,
        state: BatchState | None,
        body: BatchBody,
        events: Sequence[BatchEvent] = (),
    ) -> bool:
        """Write the entry that follows `state`, and apply it; False if another writer was first.

        Raises:
            Unavailable: Storage does not respond, so it is unknown whether the entry was written.
        """
        now = self._clock.now()
        entry = BatchEntry(
            n=state.entries if state else 0,
            writer=self._writer,
            nonce=os.urandom(8).hex(),
            at=max(state.at, now) if state else now,
            seq=state.seq if state else 1,
            events=list(events),
            body=body,
        )
        key, follow = entry_key(self.ref, entry.n), None
        if self._pre_commit is not None and state is not None:
            prepare = self._pre_commit(self.ref, entry, state.spec)
            follow = None if prepare is None else await prepare()
        if not await self._store.put_new(key, to_json(entry)):
            there = self._parse(await self._store.get(key), entry.n)
            if there.nonce != entry.nonce:  # else the response to our own write was lost
                return False
        if state is not None:
            self._apply(state, entry)
        if follow is not None:
            follow()
        return True

    async def close_void(self) -> bool:
        """Close a log without entries, so that its acceptance cannot complete; False if it has."""
        end = End(status="failed", stop_code="void", void=True)
        return await self.append(None, end) or await self.state() is None

    async def closing(self) -> End | None:
        """The entry in the place of entry 0: the batch was given up, or deleted; None otherwise.

        Raises:
            UnreadableEntry: The log is damaged, or was written by a newer release.
            Unavailable: Storage does not respond.
        """
        [data] = await self._store.get_many([entry_key(self.ref, 0)])
        body = None if data is None else self._parse(data, 0).body
        return body if isinstance(body, End) else None

    async def put_snapshot(self, state: BatchState, *, always: bool = False) -> None:
        """Store the state, now and then, so that the whole log is seldom read.

        Raises:
            StorageError: It could not be stored.
            UnreadableEntry: The first entry is damaged.
        """
        if not (always or state.entries % _SNAPSHOT_EVERY == 0):
            return
        key = snapshot_key(self.ref)
        await self._store.put(key, state.model_dump_json().encode())
        # This process may have been suspended before the put until after a deletion.
        [first] = await self._store.get_many([entry_key(self.ref, 0)])
        if first is None or isinstance(self._parse(first, 0).body, End):
            await self._store.delete(key)

    async def _snapshot(self) -> BatchState | None:
        with contextlib.suppress(NotFound, ValidationError):
            data = await self._store.get(snapshot_key(self.ref))
            state = BatchState.model_validate_json(data)
            return state if state.spec.batch_id == self.ref.batch_id else None
        return None

    async def _all(self) -> list[BatchEntry]:
        found: list[BatchEntry] = []
        while True:
            after = entry_key(self.ref, len(found) - 1) if found else ""
            keys = await self._store.list(log_folder(self.ref), after=after, limit=_PAGE)
            start = len(found)
            for n, (key, data) in enumerate(zip(keys, await self._get(keys), strict=True), start):
                if key != entry_key(self.ref, n):
                    raise self._unreadable(n)
                found.append(self._parse(data, n))
            if len(keys) < _PAGE:
                return found

    async def _get(self, keys: Sequence[str]) -> list[bytes]:
        found: list[bytes] = []
        for start in range(0, len(keys), _TOGETHER):
            part = keys[start : start + _TOGETHER]
            for key, data in zip(part, await self._store.get_many(list(part)), strict=True):
                if data is None:
                    raise NotFound(f"no object under {key!r}", key=key)
                found.append(data)
        return found

    def _apply(self, state: BatchState, entry: BatchEntry) -> None:
        try:
            state.apply(entry)
        except ValueError as error:
            raise self._unreadable(entry.n) from error

    def _parse(self, data: bytes, n: int) -> BatchEntry:
        try:
            entry = BatchEntry.model_validate_json(data)
        except ValidationError as error:
            raise self._unreadable(n) from error
        if entry.n != n:
            raise self._unreadable(n)
        return entry

    def _unreadable(self, n: int) -> UnreadableEntry:
        key = entry_key(self.ref, n)
        return UnreadableEntry(
            f"Entry {n} of batch {self.ref.batch_id!r} ({key}) is damaged or of a newer release. "
            "Nothing is written to the batch. Restore the object, or use the release that wrote "
            "it.",
            run_id=self.ref.batch_id,
            entry=n,
            key=key,
        )


def batch_not_found(ref: BatchRef) -> BatchNotFound:
    """The error if there is no such batch."""
    return BatchNotFound(f"Batch {ref.batch_id!r} does not exist.", batch_id=ref.batch_id)
