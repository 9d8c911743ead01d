"""Slow maintenance of a deployment: lost markers, old runs, unfinished deletions.

The reaper only checks runs that have a marker. This module walks over the list of all runs, one
page at a time. The position is stored, so that any process continues where the last one stopped.
Runs whose marker was lost are found again, and runs past the retention period are deleted.

Most runs on a page have ended long ago. To read all their logs would be the largest cost of a store
that is at rest, so a run that has a result is only read if it may be too old, and once a day.
"""

import asyncio
import contextlib
import logging
import zlib
from collections.abc import Awaitable, Callable, Generator
from datetime import datetime, timedelta

from teamrun.core.clock import Clock
from teamrun.core.ids import id_time
from teamrun.core.refs import RunRef
from teamrun.errors import NotFound, StorageError, Unavailable, UnreadableEntry
from teamrun.runs.log.erasure import Erasure
from teamrun.runs.log.keys import (
    due_marker,
    list_folder,
    open_marker,
    ref_of_list_marker,
    result_key,
)
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore

__all__ = ["Upkeep", "Wake", "contained"]

logger = logging.getLogger(__name__)


_CURSOR = "sweep/list"


_PAGE = 500


_TOGETHER = 50
"""How many runs are read at the same time."""


@contextlib.contextmanager
def contained(ref: RunRef) -> Generator[None]:
    """Log that the store refused an object of one run, so that a sweep over all runs continues.

    Raises:
        Unavailable: The store does not respond, which affects all runs.
    """
    try:
        yield
    except Unavailable:
        raise
    except StorageError as error:
        logger.warning(
            "An object of a run could not be read or written",
            extra={"action": "reaper.object_refused", **ref.log_fields(), "error": error.message},
        )


Close = Callable[[RunRef, str, datetime], Awaitable[None]]
"""Closes a log that has no entries, then deletes the marker that names its run."""


Wake = Callable[[RunRef, RunState], Awaitable[bool]]
"""Gives a run of a thread its turn if that has come; whether it did."""


class Upkeep:
    """Checks one page of all runs per call."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        reader: RunReader,
        erasure: Erasure,
        close: Close,
        clock: Clock,
        retention: timedelta | None,
        wake: Wake,
    ) -> None:
        self._store = store
        self._reader = reader
        self._erasure = erasure
        self._close = close
        self._clock = clock
        self._retention = retention
        self._wake = wake

    async def sweep(self) -> None:
        """Finish deletions, and check the next page of runs.

        Raises:
            StorageError: Storage cannot be read.
        """
        await self._erasure.sweep()
        keys = await self._next_page(await self._cursor())
        for start in range(0, len(keys), _TOGETHER):
            await self._check(keys[start : start + _TOGETHER])
        await self._store.put(_CURSOR, keys[-1].encode() if keys else b"")

    async def _cursor(self) -> str:
        with contextlib.suppress(NotFound, UnicodeDecodeError):
            cursor = (await self._store.get(_CURSOR)).decode()
            tenant = cursor.removeprefix("t/").partition("/")[0]
            return cursor if cursor.startswith(list_folder(tenant)) else ""
        return ""

    async def _next_page(self, cursor: str) -> list[str]:
        """The list markers after the cursor, across tenants; none at the end."""
        tenant = cursor.split("/")[1] if cursor else await self._tenant_after("")
        while tenant:
            if keys := await self._store.list(list_folder(tenant), after=cursor, limit=_PAGE):
                return keys
            tenant = await self._tenant_after(tenant)
        return []

    async def _tenant_after(self, tenant: str) -> str:
        after = f"t/{tenant}0" if tenant else ""  # `0` follows `/`
        keys = await self._store.list("t/", after=after, limit=1)
        return keys[0].split("/")[1] if keys else ""

    async def _check(self, keys: list[str]) -> None:
        named = dict[RunRef, str]()
        for key in keys:
            with contextlib.suppress(ValueError):
                named[ref_of_list_marker(key.split("/")[1], key)] = key
        wanted = await asyncio.gather(*map(self._is_to_be_read, named))
        refs = [ref for ref, is_wanted in zip(named, wanted, strict=True) if is_wanted]
        for ref, state in zip(refs, await self._reader.states(refs), strict=True):
            with contained(ref):
                if state is None:
                    await self._close(ref, named[ref], self._clock.now())
                elif isinstance(state, RunState):
                    await self._see_to(ref, state)

    async def _is_to_be_read(self, ref: RunRef) -> bool:
        now = self._clock.now()
        may_be_old = self._retention is not None and id_time(ref.run_id) + self._retention <= now
        # Damage to the log of an ended run is reported within a day.
        if may_be_old or zlib.crc32(ref.run_id.encode()) % 24 == now.hour:
            return True
        result = self._store.stream(result_key(ref), end=0)  # one small request; nothing is read
        async with contextlib.aclosing(result):
            try:
                await anext(result, b"")
            except Unavailable:
                raise
            except StorageError:  # there is none, or the store refuses it
                return True
        return False

    async def _see_to(self, ref: RunRef, state: RunState) -> None:
        now = self._clock.now()
        if state.end is None:
            await self._mark(ref, state, now)
        elif self._is_old(state, now):
            try:
                await self._erasure.delete(ref)
            except (UnreadableEntry, StorageError) as error:
                extra = {"action": "reaper.delete_failed", "error": error.message}
                logger.warning(
                    "An expired run could not be deleted", extra={**extra, **ref.log_fields()}
                )

    def _is_old(self, state: RunState, now: datetime) -> bool:
        ended = state.finished_at
        return self._retention is not None and ended is not None and ended + self._retention <= now

    async def _mark(self, ref: RunRef, state: RunState, now: datetime) -> None:
        """Restore the marker that an open run needs."""
        due, waits = state.due_at(), state.is_waiting(now)
        if waits and due is None and not state.is_held:
            return  # the next signal puts its marker
        marker = due_marker(ref, due) if waits and due is not None else open_marker(ref)
        found, result = await self._store.get_many([marker, result_key(ref)])
        extra = {**ref.log_fields(), "key": marker}
        if result is not None:
            # The run had ended, so the newest entries of its log are lost. Executing it again
            # could repeat calls that it has already made.
            logger.warning(
                "A run has a result but its log has no end",
                extra={"action": "reaper.end_lost", **extra},
            )
        elif waits and (await self._wake(ref, state) or due is None):
            return
        elif found is None and await self._store.put_new(marker, b""):
            logger.warning(
                "A lost marker was restored", extra={"action": "reaper.marker_restored", **extra}
            )
