"""The logs of threads in object storage, with the states that this process has read.

A state is read on before it is used, so it is always that of the whole log.
"""

import json
import logging
import os
from typing import Any, Final, get_args

from teamrun.core.clock import Clock
from teamrun.errors import StorageError, ThreadNotFound
from teamrun.storage.base import ObjectStore
from teamrun.storage.versions import version_key
from teamrun.threads.pages import PAGE, ThreadPages
from teamrun.threads.records import ThreadBody, ThreadEntry, ThreadState, entry_folder

__all__ = ["ThreadLogs", "thread_not_found"]

logger = logging.getLogger(__name__)

_MOST_CACHED: Final = 500
_AT_FIRST: Final = 8
"""How many entries of an unknown thread are read at once; then twice as many, up to `_TOGETHER`."""
_TOGETHER: Final = 64
_KINDS: Final = {each.model_fields["kind"].default for each in get_args(ThreadBody)}


class ThreadLogs:
    """Reads and appends."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pages = ThreadPages(store)
        self._states: dict[tuple[str, str], ThreadState] = {}

    async def state(self, tenant: str, thread_id: str) -> ThreadState:
        """The state of a thread.

        Raises:
            ThreadNotFound: The tenant has no such thread, or it has been deleted.
            StorageError: Storage does not respond, or a newer release has written to the log.
        """
        state = await self.any_state(tenant, thread_id)
        if state is None or state.is_deleted:
            raise thread_not_found(thread_id)
        return state

    async def any_state(self, tenant: str, thread_id: str) -> ThreadState | None:
        """The state of a thread, also of one that has been deleted; None without a log.

        Raises:
            StorageError: Storage does not respond, or a newer release has written to the log.
        """
        state = self._states.get((tenant, thread_id)) or ThreadState(thread_id)
        is_new, folder = not state.entries, entry_folder(tenant, thread_id)
        count = _AT_FIRST if is_new else 1
        goes_on = await self._read_on(state, folder, count)
        pages = await self._pages.read(tenant, thread_id) if is_new and goes_on else []
        for k, page in enumerate(pages):
            if page is None:
                await self._read_on(state, folder, (k + 1) * PAGE - state.entries)
            for entry in page or ():
                if entry.n == state.entries:
                    state.apply(entry)
        while goes_on:
            count = min(2 * count, _TOGETHER)
            goes_on = await self._read_on(state, folder, count)
        if not state.entries:
            return None
        self._keep((tenant, thread_id), state)
        if is_new:  # a process ended before it had written a page, or an earlier release wrote none
            present = {k for k, page in enumerate(pages) if page is not None}
            missing = [k for k in range(state.entries // PAGE) if k not in present]
            await self._pages.write(tenant, thread_id, missing)
        return state

    async def _read_on(self, state: ThreadState, folder: str, count: int) -> bool:
        """Apply the next entries; False if there are fewer than `count`."""
        numbers = range(state.entries, state.entries + count)
        # `version_key` counts from 1, entries from 0; only the form of the name matters.
        found = await self._store.get_many([version_key(folder, n) for n in numbers])
        for n, data in zip(numbers, found, strict=True):
            if data is None:
                return False
            if n == state.entries:  # else another coroutine has applied it
                _apply(state, data, version_key(folder, n))
        return True

    async def append(self, tenant: str, thread_id: str, entries: int, body: ThreadBody) -> bool:
        """Write entry number `entries`; False if another writer was first.

        Raises:
            Unavailable: Storage does not respond.
        """
        entry = ThreadEntry(n=entries, at=self._clock.now(), nonce=os.urandom(8).hex(), body=body)
        key = version_key(entry_folder(tenant, thread_id), entries)
        data = entry.model_dump_json().encode()
        # If the response to our own write was lost, the entry is there already.
        if not await self._store.put_new(key, data) and await self._store.get(key) != data:
            return False
        state = self._states.get((tenant, thread_id))
        if state is not None and state.entries == entries:
            state.apply(entry)
        if (entries + 1) % PAGE == 0:
            await self._pages.write(tenant, thread_id, [entries // PAGE])
        return True

    def _keep(self, key: tuple[str, str], state: ThreadState) -> None:
        self._states.pop(key, None)
        while len(self._states) >= _MOST_CACHED:
            del self._states[next(iter(self._states))]  # the one that was not used for longest
        self._states[key] = state


def _apply(state: ThreadState, data: bytes, key: str) -> None:
    """Apply an entry, or leave it out if it is damaged: its run joins again.

    Raises:
        StorageError: A newer release has written it.
    """
    try:
        state.apply(ThreadEntry.model_validate_json(data))
    except ValueError as error:
        if _is_newer(data):
            raise StorageError(
                f"{key} was written by a newer release; update this process."
            ) from error
        logger.warning(
            "An entry of a thread is damaged and is left out",
            extra={"action": "thread.entry_damaged", "key": key},
        )
        state.skip()


def _is_newer(data: bytes) -> bool:
    """Whether an entry has a form, or a kind, that this release does not know."""
    try:
        entry: Any = json.loads(data)
        return entry["v"] != 1 or entry["body"]["kind"] not in _KINDS
    except (ValueError, KeyError, TypeError):
        return False


def thread_not_found(thread_id: str) -> ThreadNotFound:
    """The error if there is no such thread."""
    return ThreadNotFound(f"There is no thread {thread_id[:80]!r}; GET /v1/threads lists yours.")
