"""Reads and writes stored teams; caches what it has read.

A version never changes, so it is read once. The index is a document with numbered versions: a
process that knows one asks for the next, and if that does not exist, it has the newest.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from teamrun.catalog.records import StoredVersion, TeamIndex, index_folder, team_folder
from teamrun.errors import NotFound, StorageError, Unavailable
from teamrun.storage.base import ObjectStore
from teamrun.storage.versions import Version, newest, version_key, write_version

__all__ = ["StoredTeams", "encoded"]

_MOST_CACHED: Final = 1_000
"""Versions, and indices, that a process keeps."""

_MOST_STEPS: Final = 10
"""New versions of an index that are read one after the other; for more, the folder is listed."""

_MOST_RACES: Final = 50

Record = TypeVar("Record", bound=BaseModel)
T = TypeVar("T")


class StoredTeams:
    """The stored teams of all tenants."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._indices: dict[str, tuple[int, TeamIndex]] = {}
        self._versions: dict[str, StoredVersion] = {}

    async def index(self, tenant: str) -> TeamIndex:
        """The teams of a tenant as they are stored now.

        Raises:
            StorageError: Storage does not respond, or the index is damaged.
        """
        return (await self._index(tenant))[1]

    async def change(
        self, tenant: str, change: Callable[[TeamIndex, int], TeamIndex | None]
    ) -> TeamIndex:
        """Write the next version of an index.

        Args:
            tenant: The tenant.
            change: Returns the changed index, or None to change nothing; it is called with the
                index and the number of the change, which increases for the tenant as a whole, and
                again if another writer was first.

        Raises:
            StorageError: Storage does not respond, or the index is damaged.
        """
        for _ in range(_MOST_RACES):
            number, before = await self._index(tenant)
            if (after := change(before, number + 1)) is None:
                return before
            key = index_folder(tenant)
            if await write_version(self._store, key, number + 1, encoded(after)):
                _keep(self._indices, tenant, (number + 1, after))
                return after
        raise Unavailable("Too many changes of teams at the same time; repeat the request.")

    async def version(self, tenant: str, team_id: str, number: int) -> StoredVersion:
        """A version of a team.

        Raises:
            NotFound: There is none, or the team is being deleted.
            StorageError: Storage does not respond, or the version is damaged.
        """
        key = version_key(team_folder(tenant, team_id), number)
        found = self._versions.get(key)
        if found is None:
            found = _read(StoredVersion, key, await self._store.get(key))
            _keep(self._versions, key, found)
        return found

    async def add_version(self, tenant: str, team_id: str, version: StoredVersion) -> bool:
        """Store a version; False if there is one of this number.

        Raises:
            Unavailable: Storage does not respond.
        """
        data = version.model_dump_json().encode()
        return await write_version(self._store, team_folder(tenant, team_id), version.version, data)

    async def _index(self, tenant: str) -> tuple[int, TeamIndex]:
        folder, known = index_folder(tenant), self._indices.get(tenant)
        found = None
        if known is None:
            found = await newest(self._store, folder)
        else:
            for _ in range(_MOST_STEPS):
                number = (known[0] if found is None else found.number) + 1
                try:
                    data = await self._store.get(version_key(folder, number))
                except NotFound:
                    break
                found = Version(number, data)
            else:
                found = await newest(self._store, folder)
        if found is not None:
            read = _read(TeamIndex, version_key(folder, found.number), found.data)
            known = (found.number, read)
            _keep(self._indices, tenant, known)
        return known or (0, TeamIndex())


def encoded(index: TeamIndex) -> bytes:
    """An index as it is stored."""
    return index.model_dump_json(exclude_none=True).encode()


def _read(kind: type[Record], key: str, data: bytes) -> Record:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise StorageError(f"{key} is damaged, or of a newer release.") from error


def _keep(cache: dict[str, T], key: str, value: T) -> None:
    if len(cache) >= _MOST_CACHED:
        cache.clear()
    cache[key] = value
