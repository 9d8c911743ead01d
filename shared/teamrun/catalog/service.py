"""The operations on teams of the HTTP API: `TeamQueries` reads, and this module changes."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Final

from pydantic_core import to_json

from teamrun.catalog.bounds import bounded, check_revision
from teamrun.catalog.idempotency import KeyRecord, first_use
from teamrun.catalog.lookup import summary_of
from teamrun.catalog.public import (
    SPEC,
    Added,
    Registered,
    not_found,
    number_of,
    own_name,
    placed,
    whole_version,
)
from teamrun.catalog.queries import TeamQueries
from teamrun.catalog.records import (
    StoredTeam,
    StoredVersion,
    TeamIndex,
    deleted_key,
    team_folder,
)
from teamrun.catalog.requests import (
    AliasRequest,
    TeamPatch,
    TeamRequest,
    VersionRequest,
    check_alias,
)
from teamrun.catalog.stored import StoredTeams
from teamrun.components.catalog import Teams, reading
from teamrun.components.registry import Registry, Resolved
from teamrun.components.resources import TeamSummary
from teamrun.core.clock import Clock
from teamrun.core.ids import new_id
from teamrun.errors import (
    DefinitionError,
    NotFound,
    TeamDeleted,
    TeamNameTaken,
    TeamReadOnly,
    TeamVersionNotFound,
    TooManyTeams,
    UsageError,
)
from teamrun.json_types import JsonMapping
from teamrun.runs.log.keys import idempotency_key
from teamrun.runs.service.requests import request_digest
from teamrun.storage.base import ObjectStore
from teamrun.storage.versions import version_key

__all__ = [
    "MOST_ALIASES",
    "MOST_TEAMS",
    "MOST_VERSIONS",
    "TeamService",
]

MOST_TEAMS: Final = 500
"""Maximum number of stored teams of a tenant."""

MOST_VERSIONS: Final = 10_000
"""Maximum number of versions of a team."""

MOST_ALIASES: Final = 20
"""Maximum number of aliases of a team."""

_SCOPE: Final = "POST /v1/teams"


class TeamService(TeamQueries):
    """The teams of all tenants; each method takes a tenant and only accesses its own.

    A team is named by its name or by its id. All methods raise `StorageError` if storage does not
    respond or a record is damaged; their descriptions name the other errors.

    Args:
        registry: Reads definitions, and has the operator's teams.
        teams: Finds teams; it looks them up in `stored`.
        stored: The stored teams.
        store: The storage of the records of Idempotency-Keys.
        clock: The time of changes.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        teams: Teams,
        stored: StoredTeams,
        store: ObjectStore,
        clock: Clock,
    ) -> None:
        super().__init__(registry, teams, stored)
        self._store = store
        self._clock = clock

    async def create(
        self,
        tenant: str,
        request: TeamRequest,
        *,
        key: str | None = None,
        at: str = SPEC,
    ) -> Registered:
        """Register a team with its first version.

        Args:
            tenant: The tenant.
            request: The team.
            key: The Idempotency-Key.
            at: The place of the definition in the request body, for pointers.

        Raises:
            DefinitionError: The definition is invalid, or the name; has a `pointer`.
            TeamNameTaken: A team has this name.
            TooManyTeams: The tenant has `MOST_TEAMS` already, or the index would be too large.
            IdempotencyConflict: The key was used with another request.
            TeamDeleted: The key was used for a team that has been deleted.
        """
        resolved = await self._read(request.team_spec, at)
        name = request.name or own_name(request.team_spec)
        hash_, team_id, replayed = request_digest(request), new_id("team"), False
        place = None if key is None else idempotency_key(tenant, _SCOPE, key)
        if place is not None:
            record, replayed = await first_use(
                self._store, place, KeyRecord(request_hash=hash_, team_id=team_id)
            )
            team_id = record.team_id
            if replayed:
                found = (await self._stored.index(tenant)).find(team_id)
                if found is not None:
                    return Registered(await self._shown(tenant, found), replayed=True)
                await self._check_not_deleted(tenant, team_id)
        now = self._clock.now()
        team = StoredTeam(
            id=team_id,
            name=name,
            description=request.description,
            metadata=request.metadata,
            created_at=now,
            updated_at=now,
        )
        first = self._new_version(1, resolved, request.comment, now, None)

        def check(index: TeamIndex) -> None:
            self._check_free(index, name)
            if len(index.teams) >= MOST_TEAMS:
                raise TooManyTeams(
                    f"A tenant has at most {MOST_TEAMS} teams; delete one that is not used."
                )
            bounded(index, index.having(team))

        def add(index: TeamIndex, number: int) -> TeamIndex | None:
            if index.find(team_id) is not None:
                return None
            check(index)
            return index.having(team.model_copy(update={"revision": number}))

        try:
            check(await self._stored.index(tenant))  # nothing is written for a name that is taken
            await self._stored.add_version(tenant, team_id, first)
            index = await self._stored.change(tenant, add)
        except (TeamNameTaken, TooManyTeams):
            # The request cannot succeed now, so its key may be used with a corrected one.
            await self._store.delete(version_key(team_folder(tenant, team_id), 1))
            if place is not None:
                await self._store.delete(place)
            raise
        return Registered(await self._shown(tenant, index.find(team_id) or team), replayed)

    async def update(
        self, tenant: str, name: str, patch: TeamPatch, *, revision: int | None = None
    ) -> TeamSummary:
        """Change the name, the description or the metadata of a team.

        Args:
            tenant: The tenant.
            name: The team.
            patch: The fields to change.
            revision: The one that the client has seen; None changes any.

        Raises:
            TeamNotFound: There is no such team.
            TeamReadOnly: It is the operator's.
            TeamNameTaken: Another team has the new name.
            TooManyTeams: The index would be larger than `MOST_INDEX_BYTES`.
            PreconditionFailed: The team has changed since.
        """
        fields = patch.model_dump(exclude_none=True)

        def change(index: TeamIndex, team: StoredTeam) -> Mapping[str, object]:
            if patch.name not in (None, team.name):
                self._check_free(index, str(patch.name))
            return fields

        return await self._changed(tenant, name, change, revision=revision)

    async def delete(self, tenant: str, name: str, *, revision: int | None = None) -> None:
        """Delete a team with its versions; its runs go on. See `update` for `revision`.

        Raises:
            TeamNotFound: There is no such team.
            TeamReadOnly: It is the operator's.
            PreconditionFailed: The team has changed since.
        """
        self._check_own(name)
        team = await self._team(tenant, name)
        check_revision(team, revision)
        # With this marker, a repeated request with the key that created the team does not bring it
        # back.
        await self._store.put_new(deleted_key(tenant, team.id), b"")

        def remove(index: TeamIndex, _: int) -> TeamIndex | None:
            found = index.find(team.id)
            if found is None:
                return None
            check_revision(found, revision)
            return index.without(team.id)

        await self._stored.change(tenant, remove)
        folder = team_folder(tenant, team.id)
        kept = deleted_key(tenant, team.id)
        while keys := [key for key in await self._store.list(folder) if key != kept]:
            await self._store.delete_many(keys)

    async def add_version(
        self,
        tenant: str,
        name: str,
        request: VersionRequest,
        *,
        revision: int | None = None,
        key: str | None = None,
        at: str = SPEC,
    ) -> Added:
        """Add a version, unless the newest one has the same definition.

        Args:
            tenant: The tenant.
            name: The team.
            request: The version.
            revision: The one that the client has seen; None adds to any.
            key: The Idempotency-Key.
            at: The place of the definition in the request body, for pointers.

        Raises:
            TeamNotFound: There is no such team.
            TeamReadOnly: It is the operator's.
            DefinitionError: The definition is invalid; has a `pointer`.
            TooManyTeams: The team has `MOST_VERSIONS` already.
            PreconditionFailed: The team has changed since, and not by this request with this key.
            IdempotencyConflict: The key was used with another request.
        """
        self._check_own(name)
        team = await self._team(tenant, name)
        resolved = await self._read(request.team_spec, at)
        base, used, place = team.latest, None, ""
        record = KeyRecord(request_hash=request_digest(request), team_id=team.id, base=base)
        if key is not None:
            place = idempotency_key(tenant, f"{_SCOPE}/{team.id}/versions", key)
            record, _ = await first_use(self._store, place, record)
            if record.equal:
                stored = await self._version(tenant, team, record.equal)
                return Added(whole_version(team, stored), is_new=False, replayed=True)
            base = record.base
            used = hashlib.sha256(key.encode()).hexdigest()
        while True:
            team = await self._team(tenant, team.id)
            for number in range(base + 1, team.latest + 1) if used else ():
                found = await self._version(tenant, team, number)
                if found.key == used:
                    return Added(whole_version(team, found), is_new=True, replayed=True)
            # The number after `latest` can be taken once. So of two versions that are based on the
            # same revision, the second finds it in use, and then a later revision.
            check_revision(team, revision)
            base = team.latest
            newest = await self._version(tenant, team, team.latest)
            if newest.digest == resolved.digest:
                if place:
                    # A repeated request gets this answer also after others have added versions.
                    outcome = record.model_copy(update={"equal": newest.version})
                    await self._store.put(place, to_json(outcome))
                return Added(whole_version(team, newest), is_new=False, replayed=False)
            if team.latest >= MOST_VERSIONS:
                raise TooManyTeams(
                    f"A team has at most {MOST_VERSIONS} versions; register another team."
                )
            number, now = team.latest + 1, self._clock.now()
            version = self._new_version(number, resolved, request.comment, now, used)
            added = await self._stored.add_version(tenant, team.id, version)
            # Also if another request has stored this version: its process may have ended before it
            # could change the index.
            team = await self._advanced(tenant, team.id, number)
            if added:
                return Added(whole_version(team, version), is_new=True, replayed=False)

    async def put_alias(
        self,
        tenant: str,
        name: str,
        alias: str,
        request: AliasRequest,
        *,
        revision: int | None = None,
    ) -> TeamSummary:
        """Point an alias to a version; see `update`.

        Raises:
            TeamNotFound: There is no such team.
            TeamReadOnly: It is the operator's.
            TeamVersionNotFound: It has no such version.
            TooManyTeams: The team has `MOST_ALIASES` already, or the index would be too large.
            PreconditionFailed: The team has changed since.
            UsageError: The alias is invalid.
        """
        try:
            check_alias(alias)
        except ValueError as error:
            raise UsageError(f"{alias[:80]!r} is not a valid alias: {error}.") from None

        def change(_: TeamIndex, team: StoredTeam) -> Mapping[str, object]:
            number_of(team, str(request.version))
            aliases = {**team.aliases, alias: request.version}
            if len(aliases) > max(MOST_ALIASES, len(team.aliases)):
                raise TooManyTeams(
                    f"A team has at most {MOST_ALIASES} aliases; delete one that is not used."
                )
            return {"aliases": dict(sorted(aliases.items()))}

        return await self._changed(tenant, name, change, revision=revision)

    async def delete_alias(
        self, tenant: str, name: str, alias: str, *, revision: int | None = None
    ) -> None:
        """Delete an alias; see `update` for `revision`.

        Raises:
            TeamNotFound: There is no such team.
            TeamReadOnly: It is the operator's.
            TeamVersionNotFound: It has no such alias.
            PreconditionFailed: The team has changed since.
        """

        def change(_: TeamIndex, team: StoredTeam) -> Mapping[str, object]:
            if alias not in team.aliases:
                raise TeamVersionNotFound(
                    f"The team {team.name!r} has no alias {alias[:80]!r}; GET /v1/teams/"
                    f"{team.name} lists them."
                )
            return {"aliases": {k: v for k, v in team.aliases.items() if k != alias}}

        await self._changed(tenant, name, change, revision=revision)

    async def _changed(
        self,
        tenant: str,
        name: str,
        change: Callable[[TeamIndex, StoredTeam], Mapping[str, object]],
        *,
        revision: int | None = None,
    ) -> TeamSummary:
        """The team, after a change that the size of the index may forbid."""

        def checked(index: TeamIndex, team: StoredTeam) -> Mapping[str, object]:
            check_revision(team, revision)
            return change(index, team)

        self._check_own(name)
        team = await self._team(tenant, name)
        return await self._shown(tenant, await self._written(tenant, team.id, checked, bounded))

    async def _advanced(self, tenant: str, team_id: str, number: int) -> StoredTeam:
        """The team, after a version that is stored has become its newest one."""

        def advance(_: TeamIndex, team: StoredTeam) -> Mapping[str, object]:
            return {"latest": max(team.latest, number)}

        return await self._written(tenant, team_id, advance, lambda _, after: after)

    async def _written(
        self,
        tenant: str,
        team_id: str,
        change: Callable[[TeamIndex, StoredTeam], Mapping[str, object]],
        limit: Callable[[TeamIndex, TeamIndex], TeamIndex],
    ) -> StoredTeam:
        """The team, after the fields that `change` returns are written."""

        def write(index: TeamIndex, number: int) -> TeamIndex | None:
            team = _in(index, team_id)
            after = team.model_copy(update=change(index, team))
            if after == team:
                return None
            more = {"revision": number, "updated_at": self._clock.now()}
            return limit(index, index.having(after.model_copy(update=more)))

        return _in(await self._stored.change(tenant, write), team_id)

    async def _check_not_deleted(self, tenant: str, team_id: str) -> None:
        with suppress(NotFound):
            await self._store.get(deleted_key(tenant, team_id))
            raise TeamDeleted(
                f"The Idempotency-Key was used for the team {team_id}, which has been deleted; use"
                " a new key."
            )

    async def _read(self, spec: JsonMapping, at: str) -> Resolved:
        try:
            return await reading(spec, partial(self._registry.resolve, team_spec=spec))
        except DefinitionError as error:
            raise placed(error, at) from None

    def _new_version(
        self, number: int, resolved: Resolved, comment: str, now: datetime, key: str | None
    ) -> StoredVersion:
        return StoredVersion(
            version=number,
            digest=resolved.digest,
            definition=resolved.definition,
            comment=comment,
            created_at=now,
            key=key,
        )

    async def _shown(self, tenant: str, team: StoredTeam) -> TeamSummary:
        newest = await self._version(tenant, team, team.latest)
        return summary_of(self._registry, team, newest)

    def _check_own(self, name: str) -> None:
        if self._is_operators(name):
            raise TeamReadOnly(
                f"The team {name!r} is in the operator's file and can only be changed there."
            )

    def _check_free(self, index: TeamIndex, name: str) -> None:
        if self._is_operators(name):
            raise TeamNameTaken(
                f"The name {name!r} belongs to a team of the operator; choose another one."
            )
        if index.find(name) is not None:
            raise TeamNameTaken(
                f"There is a team {name!r} already; add a version to it (POST /v1/teams/{name}"
                "/versions), or choose another name."
            )


def _in(index: TeamIndex, team_id: str) -> StoredTeam:
    team = index.find(team_id)
    if team is None:
        raise not_found(team_id)
    return team
