"""The logs of threads in object storage, with the states that this process has read.

A state is read on before it is used, so it is always that of the whole log.
"""

import os
from typing import Final

from pydantic import ValidationError

from teamrun.core.clock import Clock
from teamrun.errors import StorageError, ThreadNotFound
from teamrun.storage.base import ObjectStore
from teamrun.storage.versions import version_key
from teamrun.threads.records import (
    Changed,
    Created,
    Deleted,
    Joined,
    ThreadEntry,
    ThreadState,
    entry_folder,
)

__all__ = ["ThreadLogs", "thread_not_found"]

_MOST_CACHED: Final = 500
_TOGETHER: Final = 64


class ThreadLogs:
    """Reads and appends."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._states: dict[tuple[str, str], ThreadState] = {}

    async def state(self, tenant: str, thread_id: str) -> ThreadState:
        """The state of a thread.

        Raises:
            ThreadNotFound: The tenant has no such thread, or it has been deleted.
            StorageError: Storage does not respond, or the log is damaged.
        """
        state = await self.any_state(tenant, thread_id)
        if state is None or state.is_deleted:
            raise thread_not_found(thread_id)
        return state

    async def any_state(self, tenant: str, thread_id: str) -> ThreadState | None:
        """The state of a thread, also of one that has been deleted; None without a log.

        Raises:
            StorageError: Storage does not respond, or the log is damaged.
        """
        state = self._states.get((tenant, thread_id)) or ThreadState(thread_id)
        folder, grown = entry_folder(tenant, thread_id), False
        while True:
            count = _TOGETHER if grown or not state.entries else 1
            numbers = range(state.entries, state.entries + count)
            # `version_key` counts from 1, entries from 0; only the form of the name matters.
            found = await self._store.get_many([version_key(folder, n) for n in numbers])
            for n, data in zip(numbers, found, strict=True):
                if data is None:
                    if not state.entries:
                        return None
                    self._keep((tenant, thread_id), state)
                    return state
                if n == state.entries:  # else another coroutine has applied it
                    self._apply(state, data, version_key(folder, n))
            grown = True

    async def append(
        self,
        tenant: str,
        thread_id: str,
        entries: int,
        body: Created | Joined | Changed | Deleted,
    ) -> bool:
        """Write entry number `entries`; False if another writer was first.

        Raises:
            Unavailable: Storage does not respond.
        """
        entry = ThreadEntry(n=entries, at=self._clock.now(), nonce=os.urandom(8).hex(), body=body)
        key = version_key(entry_folder(tenant, thread_id), entries)
        if await self._store.put_new(key, entry.model_dump_json().encode()):
            return True
        there = ThreadEntry.model_validate_json(await self._store.get(key))
        return there.nonce == entry.nonce  # then the response to our own write was lost

    def _apply(self, state: ThreadState, data: bytes, key: str) -> None:
        try:
            state.apply(ThreadEntry.model_validate_json(data))
        except (ValidationError, ValueError) as error:
            raise StorageError(f"{key} is damaged, or of a newer release.") from error

    def _keep(self, key: tuple[str, str], state: ThreadState) -> None:
        if key not in self._states and len(self._states) >= _MOST_CACHED:
            self._states.clear()
        self._states[key] = state


def thread_not_found(thread_id: str) -> ThreadNotFound:
    """The error if there is no such thread."""
    return ThreadNotFound(f"There is no thread {thread_id[:80]!r}; GET /v1/threads lists yours.")
