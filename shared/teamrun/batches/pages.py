"""Pages of a list whose names sort from the newest to the oldest."""

from typing import NamedTuple

from teamrun.errors import UsageError
from teamrun.runs.log.keys import is_list_name
from teamrun.storage.base import ObjectStore

__all__ = ["Page", "page_of"]


class Page(NamedTuple):
    """Keys, and where the next page begins."""

    keys: list[str]
    next_cursor: str | None
    has_more: bool


async def page_of(store: ObjectStore, folder: str, *, limit: int, after: str | None) -> Page:
    """A page of the keys in a folder.

    Raises:
        UsageError: `after` is not a cursor.
    """
    if after is not None and not is_list_name(after):
        raise UsageError("the cursor is invalid; send `next_cursor` of the page before, unchanged")
    place = "" if after is None else folder + after
    keys = await store.list(folder, after=place, limit=limit + 1)
    page, has_more = keys[:limit], len(keys) > limit
    return Page(page, page[-1].rpartition("/")[2] if has_more else None, has_more)
