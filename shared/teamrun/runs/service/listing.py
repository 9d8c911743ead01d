"""Lists of runs, from their list markers.

A filter that matches little would read whole logs to find nothing: on S3, one LIST and a GET per
entry for each run that is not in a shared view. The specification of a run never changes, and
neither does the status of one that has ended, so a view, entry 0 and the start of the result rule
out most runs with at most three small reads each.
"""

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from teamrun.core.refs import RunRef
from teamrun.errors import NotFound, StorageError, Unavailable, UnreadableEntry, UsageError
from teamrun.runs.log.entries import Accepted
from teamrun.runs.log.keys import is_list_name, ref_of_list_marker, result_key
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.spec import RunSpec
from teamrun.runs.log.state import RunState
from teamrun.runs.service.list_markers import Markers
from teamrun.runs.service.public import public_run, unreadable_run
from teamrun.runs.service.resources import Run, RunPage
from teamrun.storage.base import ObjectStore

__all__ = ["Order", "RunFilter", "RunList"]

Order = Literal["asc", "desc"]
"""`desc` lists the newest first."""

_MOST_SCANNED = 1_000
_MOST_TOGETHER = 200
"""How many runs are read at the same time, if few of them match."""

_HEAD_BYTES = 256
"""A result document begins with the id and the status of its run."""
_HEAD = re.compile(rb'\{"run_id":"([^"\\]*)","status":"([a-z_]+)"')


class RunFilter(NamedTuple):
    """Which runs a list contains."""

    status: str | None = None
    team: str | None = None
    tag: str | None = None
    metadata: Mapping[str, str] = {}
    created_after: datetime | None = None
    created_before: datetime | None = None

    def takes(self, state: RunState) -> bool:
        """Whether the run belongs in the list."""
        return self.status in (None, state.status) and self.takes_spec(state.spec)

    def takes_spec(self, spec: RunSpec) -> bool:
        """Whether a run with this specification may belong in the list, depending on its status."""
        return (
            self.team in (None, spec.team.name)
            and (self.tag is None or self.tag in spec.tags)
            and self.metadata.items() <= spec.metadata.items()
            and (self.created_after is None or spec.created_at > self.created_after)
            and (self.created_before is None or spec.created_at < self.created_before)
        )

    @property
    def has_spec(self) -> bool:
        """Whether the filter depends on more of the specification than its time."""
        return bool(self.team is not None or self.tag is not None or self.metadata)

    @property
    def takes_unreadable(self) -> bool:
        """Whether unreadable runs belong in the list; their status is all that is known."""
        return self._replace(status=None) == RunFilter() and self.status in (None, "unreadable")


class RunList:
    """Pages of the runs of a tenant."""

    def __init__(self, *, store: ObjectStore, reader: RunReader) -> None:
        self._store = store
        self._reader = reader

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
            refs = await self._candidates([*named], where)
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

    async def _candidates(self, refs: Sequence[RunRef], where: RunFilter) -> list[RunRef]:
        """The runs that `where` may take; the others are not in the list for certain."""
        if where.takes_unreadable:  # there is no filter, or only damaged runs are wanted
            return [*refs]
        views = await self._reader.views(refs)
        pairs = zip(refs, views, strict=True)
        may = await asyncio.gather(*(self._may_match(ref, view, where) for ref, view in pairs))
        return [ref for ref, does in zip(refs, may, strict=True) if does]

    async def _may_match(self, ref: RunRef, view: RunState | None, where: RunFilter) -> bool:
        if view is not None:
            return where.takes_spec(view.spec) and (view.end is None or where.takes(view))
        if where.has_spec and not await self._has_fitting_spec(ref, where):
            return False
        return where.status is None or await self._final_status(ref) in (None, where.status)

    async def _has_fitting_spec(self, ref: RunRef, where: RunFilter) -> bool:
        try:
            first = await self._reader.log(ref).read_next(0)
        except UnreadableEntry:  # then nothing shows that the run belongs in the list
            return False
        return (
            first is not None
            and isinstance(first.body, Accepted)
            and where.takes_spec(first.body.spec)
        )

    async def _final_status(self, ref: RunRef) -> str | None:
        """The status of a run that has a result; None for any other run."""
        try:
            chunks = self._store.stream(result_key(ref), end=_HEAD_BYTES)
            async with contextlib.aclosing(chunks):
                found = _HEAD.match(await anext(chunks, b""))
        except NotFound:
            return None
        except Unavailable:
            raise
        except StorageError:  # the log decides
            return None
        is_of_run = found is not None and found[1] == ref.run_id.encode()
        return found[2].decode() if found is not None and is_of_run else None

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
