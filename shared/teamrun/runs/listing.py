"""Lists of runs, newest first, from the markers by which runs are found."""

from collections.abc import Mapping
from typing import NamedTuple

from teamrun.dispatch.base import RunRef
from teamrun.errors import UsageError
from teamrun.runs.fold import RunState
from teamrun.runs.keys import list_cursor, list_folder
from teamrun.runs.public import RunPage
from teamrun.runs.reader import RunReader
from teamrun.runs.results import public_run
from teamrun.storage.base import ObjectStore

__all__ = ["RunFilter", "RunList"]

_MOST_SCANNED = 1_000


class RunFilter(NamedTuple):
    """Which runs a list shows."""

    status: str | None = None
    team: str | None = None
    tag: str | None = None
    metadata: Mapping[str, str] = {}

    def takes(self, state: RunState) -> bool:
        """Whether the run belongs in the list."""
        spec = state.spec
        return (
            self.status in (None, state.status)
            and self.team in (None, spec.team.name)
            and (self.tag is None or self.tag in spec.tags)
            and self.metadata.items() <= spec.metadata.items()
        )


class RunList:
    """Pages of the runs of a tenant."""

    def __init__(self, *, store: ObjectStore, reader: RunReader) -> None:
        self._store = store
        self._reader = reader

    async def page(
        self, tenant: str, where: RunFilter, *, limit: int, after: str | None
    ) -> RunPage:
        """One page; it may be short and still have a `next_cursor`, since scans are bounded.

        Raises:
            UsageError: `after` is no cursor.
        """
        folder, cursor = list_folder(tenant), _checked(after)
        found: list[RunState] = []
        scanned = 0
        while scanned < _MOST_SCANNED:
            size = min(max(limit, 100), _MOST_SCANNED - scanned)
            keys = await self._store.list(folder, after=folder + cursor, limit=size)
            for state in await self._states(tenant, keys):
                if state is None or not where.takes(state):
                    continue
                if len(found) == limit:
                    last = list_cursor(found[-1].spec.run_id, found[-1].spec.created_at)
                    return _page(found, last)
                found.append(state)
            if len(keys) < size:
                return _page(found, None)
            scanned += len(keys)
            cursor = keys[-1].removeprefix(folder)
        return _page(found, cursor)

    async def _states(self, tenant: str, keys: list[str]) -> list[RunState | None]:
        refs = [RunRef(tenant, key.rpartition(".")[2]) for key in keys]
        return await self._reader.states(refs)


def _page(states: list[RunState], cursor: str | None) -> RunPage:
    return RunPage(
        data=[public_run(state) for state in states],
        next_cursor=cursor,
        has_more=cursor is not None,
    )


def _checked(after: str | None) -> str:
    if after is None:
        return ""
    time, dot, run_id = after.partition(".")
    if not (len(time) == 13 and time.isdecimal() and dot and run_id and "/" not in run_id):
        raise UsageError(f"{after!r} is no cursor of a list; take `next_cursor` of a page.")
    return after
