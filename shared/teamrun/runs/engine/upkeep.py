"""The slow part of keeping a deployment in order: lost markers, old runs, unfinished deletions.

The reaper looks only where markers point. This walks over the list of all runs, a page at a time
and on from where it stopped, whichever process does it; so a run whose marker was lost is found,
too, and runs that are older than the retention time are deleted.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Generator
from datetime import datetime, timedelta

from teamrun.core.clock import Clock
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

__all__ = ["Upkeep", "contained"]

logger = logging.getLogger(__name__)


_CURSOR = "sweep/list"


_PAGE = 500


_TOGETHER = 50
"""How many runs are read at the same time."""


@contextlib.contextmanager
def contained(ref: RunRef) -> Generator[None]:
    """Keep a store's refusal of one run's object from ending a sweep over all runs.

    Raises:
        Unavailable: The store does not answer, which concerns all runs.
    """
    try:
        yield
    except Unavailable:
        raise
    except StorageError as error:
        logger.warning(
            "An object of a run cannot be read or written",
            extra={"action": "reaper.object_refused", "run": str(ref), "error": error.message},
        )


Close = Callable[[RunRef, str, datetime], Awaitable[None]]
"""Closes a log that was never begun, and then removes the marker that names it."""


class Upkeep:
    """Looks at one page of all runs per call."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        reader: RunReader,
        erasure: Erasure,
        close: Close,
        clock: Clock,
        retention: timedelta | None,
    ) -> None:
        self._store = store
        self._reader = reader
        self._erasure = erasure
        self._close = close
        self._clock = clock
        self._retention = retention

    async def sweep(self) -> None:
        """Finish deletions, and look at the next page of runs.

        Raises:
            StorageError: Storage cannot be read.
        """
        await self._erasure.sweep()
        keys = await self._next_page(await self._cursor())
        for start in range(0, len(keys), _TOGETHER):
            await self._look_at(keys[start : start + _TOGETHER])
        await self._store.put(_CURSOR, keys[-1].encode() if keys else b"")

    async def _cursor(self) -> str:
        with contextlib.suppress(NotFound, UnicodeDecodeError):
            cursor = (await self._store.get(_CURSOR)).decode()
            tenant = cursor.removeprefix("t/").partition("/")[0]
            return cursor if cursor.startswith(list_folder(tenant)) else ""
        return ""

    async def _next_page(self, cursor: str) -> list[str]:
        """List markers behind the cursor; none at the end of the last tenant's."""
        tenant = cursor.split("/")[1] if cursor else await self._tenant_after("")
        while tenant:
            folder = list_folder(tenant)
            after = cursor if cursor.startswith(folder) else ""
            if keys := await self._store.list(folder, after=after, limit=_PAGE):
                return keys
            tenant = await self._tenant_after(tenant)
        return []

    async def _tenant_after(self, tenant: str) -> str:
        after = f"t/{tenant}0" if tenant else ""  # `0` follows `/`
        keys = await self._store.list("t/", after=after, limit=1)
        return keys[0].split("/")[1] if keys else ""

    async def _look_at(self, keys: list[str]) -> None:
        named = dict[RunRef, str]()
        for key in keys:
            with contextlib.suppress(ValueError):
                named[ref_of_list_marker(key.split("/")[1], key)] = key
        states = await self._reader.states([*named])
        for (ref, key), state in zip(named.items(), states, strict=True):
            with contained(ref):
                if state is None:
                    await self._close(ref, key, self._clock.now())
                elif isinstance(state, RunState):
                    await self._see_to(ref, state)

    async def _see_to(self, ref: RunRef, state: RunState) -> None:
        now = self._clock.now()
        if state.end is None:
            await self._mark(ref, state, now)
        elif self._is_old(state, now):
            try:
                await self._erasure.delete(ref)
            except (UnreadableEntry, StorageError) as error:
                extra = {"action": "delete_failed", "run": str(ref), "error": error.message}
                logger.warning("an old run could not be deleted", extra=extra)

    def _is_old(self, state: RunState, now: datetime) -> bool:
        ended = state.finished_at
        return self._retention is not None and ended is not None and ended + self._retention <= now

    async def _mark(self, ref: RunRef, state: RunState, now: datetime) -> None:
        """Put back the marker that an open run needs."""
        due = state.due_at()
        marker = open_marker(ref)
        if state.is_waiting(now):
            if due is None:
                return  # the next signal to it puts its marker
            marker = due_marker(ref, due)
        found, result = await self._store.get_many([marker, result_key(ref)])
        extra = {"run": str(ref), "marker": marker}
        if result is not None:
            # It had ended: the newest entries of its log are lost.
            logger.warning("a run has a result and no end", extra={"action": "lost_end", **extra})
        elif found is None and await self._store.put_new(marker, b""):
            logger.warning("a lost marker was put back", extra={"action": "marked", **extra})
