"""Lists of runs, from their list markers."""

import contextlib
from typing import Literal

from teamrun.core.refs import RunRef
from teamrun.errors import UnreadableEntry, UsageError
from teamrun.runs.log.keys import is_list_name, ref_of_list_marker
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.state import RunState
from teamrun.runs.service.candidates import Candidates
from teamrun.runs.service.filters import RunFilter
from teamrun.runs.service.list_markers import Markers
from teamrun.runs.service.public import public_run, unreadable_run
from teamrun.runs.service.resources import Run, RunPage
from teamrun.storage.base import ObjectStore

__all__ = ["Order", "RunList"]

Order = Literal["asc", "desc"]
"""`desc` lists the newest first."""

_MOST_SCANNED = 1_000
_MOST_TOGETHER = 200
"""How many runs are read at the same time, if few of them match."""


class RunList:
    """Pages of the runs of a tenant."""

    def __init__(self, *, store: ObjectStore, reader: RunReader) -> None:
        self._store = store
        self._reader = reader
        self._candidates = Candidates(store=store, reader=reader)

    async def page(
        self, tenant: str, where: RunFilter, *, limit: int, after: str | None, order: Order = "desc"
    ) -> RunPage:
        """One page; it may be short and still have a `next_cursor`, because scans are bounded.

        Raises:
            UsageError: `after` is not a cursor.
        """
        markers = Markers(
            self._store,
            tenant,
            newest=where.created_before,
            oldest=where.created_after,
        )
        last = cursor = _checked(after)
        found: list[Run] = []
        scanned, size = 0, limit + 1  # one more shows whether there is another page
        while scanned < _MOST_SCANNED:
            size = min(size, _MOST_SCANNED - scanned)
            read = markers.newer if order == "asc" else markers.older
            names, is_last = await read(cursor, size)
            named = _named(tenant, names)
            refs = await self._candidates.among([*named], where)
            states = await self._reader.states(refs)
            for ref, state in zip(refs, states, strict=True):
                if state is None or not _belongs(state, where):
                    continue
                if len(found) == limit:
                    return _page(found, last)
                found.append(await self._run(ref, state))
                last = named[ref]
            if is_last:
                return _page(found, None)
            scanned += len(names)
            cursor = names[-1]
            size = min(2 * size, _MOST_TOGETHER)
        return _page(found, cursor)

    async def _run(self, ref: RunRef, state: RunState | UnreadableEntry) -> Run:
        if isinstance(state, UnreadableEntry):
            return await unreadable_run(self._reader.log(ref), state)
        return public_run(state)


def _named(tenant: str, names: list[str]) -> dict[RunRef, str]:
    """The runs that list markers name, with these names; an invalid marker is skipped."""
    named = dict[RunRef, str]()
    for name in names:
        with contextlib.suppress(ValueError):
            named[ref_of_list_marker(tenant, name)] = name
    return named


def _belongs(state: RunState | UnreadableEntry, where: RunFilter) -> bool:
    return where.takes_unreadable if isinstance(state, UnreadableEntry) else where.takes(state)


def _page(runs: list[Run], cursor: str | None) -> RunPage:
    return RunPage(
        data=runs,
        next_cursor=cursor,
        has_more=cursor is not None,
    )


def _checked(after: str | None) -> str:
    if after is None:
        return ""
    if not is_list_name(after):
        text = f"{after!r} is not a list cursor; use `next_cursor` of a page."
        raise UsageError(text, parameter="after")
    return after
