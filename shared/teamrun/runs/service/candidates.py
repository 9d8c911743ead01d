"""Rules out runs that a list's filter excludes, without reading their logs.

A filter that matches little would otherwise read whole logs to find nothing: on S3, one LIST and a
GET per entry for each run that is not in a shared view. The specification of a run never changes,
and neither does the status of one that has ended, so a view, entry 0 and the start of the result
rule out most runs with at most three small reads each.
"""

import asyncio
import contextlib
import re
from collections.abc import Sequence

from teamrun.core.refs import RunRef
from teamrun.errors import NotFound, StorageError, Unavailable, UnreadableEntry
from teamrun.runs.log.entries import Accepted
from teamrun.runs.log.keys import result_key
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.state import RunState
from teamrun.runs.service.filters import RunFilter
from teamrun.storage.base import ObjectStore

__all__ = ["Candidates"]

_HEAD_BYTES = 256
"""A result document begins with the id and the status of its run."""
_HEAD = re.compile(rb'\{"run_id":"([^"\\]*)","status":"([a-z_]+)"')


class Candidates:
    """Selects the runs whose current state is worth reading."""

    def __init__(self, *, store: ObjectStore, reader: RunReader) -> None:
        self._store = store
        self._reader = reader

    async def among(self, refs: Sequence[RunRef], where: RunFilter) -> list[RunRef]:
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
