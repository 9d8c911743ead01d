"""Small documents that are changed by put-if-absent: each change is a new, numbered object.

`{folder}{version:06d}.json`; the one with the highest number is the document. Two writers that
change the same version write the same key, so one of them fails and reads again.
"""

import contextlib
from typing import NamedTuple

from teamrun.errors import NotFound
from teamrun.storage.base import ObjectStore

__all__ = [
    "Version",
    "newest",
    "newest_keys",
    "newest_number",
    "version_key",
    "write_version",
]


class Version(NamedTuple):
    """A version of a document."""

    number: int
    """From 1."""
    data: bytes


async def newest(store: ObjectStore, folder: str) -> Version | None:
    """The newest version; None if there is none.

    Raises:
        StorageError: Storage does not respond, or refuses the object.
    """
    while (number := await newest_number(store, folder)) is not None:
        # A document that is being deleted loses its versions before the last one.
        with contextlib.suppress(NotFound):
            return Version(number, await store.get(version_key(folder, number)))
    return None


async def newest_number(store: ObjectStore, folder: str) -> int | None:
    """The number of the newest version; None if there is none.

    Raises:
        StorageError: Storage does not respond.
    """
    found, after = None, ""
    while page := await store.list(folder, after=after):
        found = newest_keys(page).get(folder, found)
        if len(page) < 1_000:
            break
        after = page[-1]
    return found


def newest_keys(keys: list[str]) -> dict[str, int]:
    """The newest version of each folder among the keys."""
    found: dict[str, int] = {}
    for key in keys:
        folder, _, name = key.rpartition("/")
        digits = name.removesuffix(".json")
        if len(digits) == 6 and digits.isascii() and digits.isdigit():
            found[f"{folder}/"] = max(int(digits), found.get(f"{folder}/", 0))
    return found


async def write_version(store: ObjectStore, folder: str, number: int, data: bytes) -> bool:
    """Write the next version; False if another writer was first.

    Raises:
        Unavailable: Storage does not respond.
    """
    return await store.put_new(version_key(folder, number), data)


def version_key(folder: str, number: int) -> str:
    """The key of a version."""
    return f"{folder}{number:06d}.json"
