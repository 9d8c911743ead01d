"""Reads the list markers of a tenant in both directions.

A store lists keys in ascending order only, and marker names sort newest first. For the other
direction, this module searches for a time window that fits into one listing. The window is widened
while it has too few markers and narrowed while it has too many.
"""

from datetime import datetime

from teamrun.runs.log.keys import is_list_name, list_folder, list_path, list_place
from teamrun.storage.base import ObjectStore

__all__ = ["Markers"]

_LAST_PLACE = 10**13 - 1

_FIRST_WINDOW_MS = 60_000

_WIDER = 16


class Markers:
    """The markers of the runs that were created within a time range.

    Each method returns names of markers, and whether they are the last ones.
    """

    def __init__(
        self,
        store: ObjectStore,
        tenant: str,
        *,
        newest: datetime | None = None,
        oldest: datetime | None = None,
        listed: int = 1_000,
    ) -> None:
        """Read the markers of `tenant`; one listing returns at most `listed` of them."""
        self._listed = listed
        self._store = store
        self._folder = list_folder(tenant)
        # Markers have millisecond precision, so the outermost milliseconds are included.
        self._first = 0 if newest is None else list_place(newest)
        self._last = _LAST_PLACE if oldest is None else list_place(oldest)

    async def older(self, after: str, size: int) -> tuple[list[str], bool]:
        """The next `size` markers of older runs; an empty `after` starts with the newest."""
        names = await self._list(max(after, _name(self._first)), size)
        inside = [name for name in names if _place(name) <= self._last]
        return inside, len(names) < size or len(inside) < len(names)

    async def newer(self, after: str, size: int) -> tuple[list[str], bool]:
        """The next `size` markers of newer runs; an empty `after` starts with the oldest."""
        upper = after or f"{_name(self._last)}~"  # sorts after every marker of that place
        start, names = await self._window_before(upper, size)
        taken = names[::-1][:size]
        return taken, start <= self._first and len(taken) == len(names)

    async def _window_before(self, upper: str, size: int) -> tuple[int, list[str]]:
        """A place, and all markers from there to `upper`: at least `size`, if there are so many."""
        width, few, many = _FIRST_WINDOW_MS, _place(upper) + 1, self._first - 1
        is_crowded = False
        start = max(few - width, self._first)
        while True:
            names = await self._list(_name(start), self._listed)
            inside = [name for name in names if name < upper]
            if len(inside) == self._listed:
                many, is_crowded = start, True
            elif len(inside) >= size or start <= self._first:
                return start, inside
            else:
                few, width = start, width * _WIDER
            if few - many <= 1:  # one millisecond has more markers than one listing returns
                return many, await self._walked(many, upper)
            start = (many + few) // 2 if is_crowded else max(few - width, self._first)

    async def _walked(self, start: int, upper: str) -> list[str]:
        names, cursor = list[str](), _name(start)
        while page := await self._list(cursor, self._listed):
            names += [name for name in page if name < upper]
            cursor = page[-1]
            if cursor >= upper:
                break
        return names

    async def _list(self, after: str, limit: int) -> list[str]:
        names, cursor = list[str](), self._folder + list_path(after)
        while len(names) < limit:
            keys = await self._store.list(self._folder, after=cursor, limit=limit)
            names += filter(None, map(self._name_of, keys))
            if len(keys) < limit:
                break
            cursor = keys[-1]
        return names[:limit]

    def _name_of(self, key: str) -> str | None:
        """The name of a marker; None for another object, which would not sort like markers."""
        name = key.rpartition("/")[2]
        return name if is_list_name(name) and self._folder + list_path(name) == key else None


def _name(place: int) -> str:
    """A name that sorts before every marker of that place."""
    return f"{place:013d}"


def _place(name: str) -> int:
    return int(name[:13])
