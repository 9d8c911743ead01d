"""What clients read about teams: lists, versions, differences, graphs, schemas."""

from typing import NamedTuple

from teamrun.catalog.diff import differences
from teamrun.catalog.graph import graph_of
from teamrun.catalog.public import (
    not_found,
    number_of,
    operators_version,
    plain,
    version_summary,
    whole_version,
)
from teamrun.catalog.records import StoredTeam, StoredVersion
from teamrun.catalog.resources import (
    TeamDiff,
    TeamGraph,
    TeamSchema,
    TeamVersion,
    VersionPage,
)
from teamrun.catalog.schema import schema_of
from teamrun.catalog.stored import StoredTeams
from teamrun.components.catalog import Teams
from teamrun.components.definitions.base import TeamDefinition
from teamrun.components.registry import Registry, Resolved
from teamrun.components.resources import TeamPage, TeamSummary
from teamrun.errors import NotFound, TeamVersionNotFound, UsageError

__all__ = ["TeamQueries"]


class _Pinned(NamedTuple):
    name: str
    version: str
    definition: TeamDefinition


class TeamQueries:
    """Reads the teams of all tenants; see `TeamService`, which also changes them.

    Args:
        registry: Has the operator's teams.
        teams: Finds teams; it looks them up in `stored`.
        stored: The stored teams.
    """

    def __init__(self, registry: Registry, teams: Teams, stored: StoredTeams) -> None:
        self._registry = registry
        self._teams = teams
        self._stored = stored

    async def list(self, tenant: str, *, limit: int, after: str | None = None) -> TeamPage:
        """A page of the teams of the operator and of the tenant, by name.

        Raises:
            UsageError: `after` is not a cursor.
        """
        name, tilde, team_id = (after or "~").partition("~")
        if not tilde:
            raise UsageError("the cursor is invalid; send `next_cursor` of the page before")
        teams = await self._teams.all(tenant)
        left = [team for team in teams if (team.name, team.id) > (name, team_id)]
        page, has_more = left[:limit], len(left) > limit
        cursor = f"{page[-1].name}~{page[-1].id}" if has_more else None
        return TeamPage(data=page, next_cursor=cursor, has_more=has_more)

    async def get(self, tenant: str, name: str) -> TeamSummary:
        """A team with its newest version.

        Raises:
            TeamNotFound: There is none.
        """
        team = await self._teams.get(tenant, name)
        if team is None:
            raise not_found(name)
        return team

    async def versions(
        self, tenant: str, name: str, *, limit: int, after: str | None = None
    ) -> VersionPage:
        """A page of the versions of a team, the newest first.

        Raises:
            TeamNotFound: There is no such team.
            UsageError: `after` is not a cursor.
        """
        if after is not None and not (after.isascii() and after.isdigit()):
            raise UsageError("the cursor is invalid; send `next_cursor` of the page before")
        if self._is_operators(name):
            return VersionPage(data=[operators_version(self._registry.resolve(team=name))])
        team = await self._team(tenant, name)
        first = team.latest if after is None else min(int(after) - 1, team.latest)
        numbers = range(first, max(first - limit, 0), -1)
        found = [await self._version(tenant, team, number) for number in numbers]
        has_more = bool(numbers) and numbers[-1] > 1
        return VersionPage(
            data=[version_summary(team, each) for each in found],
            next_cursor=str(numbers[-1]) if has_more else None,
            has_more=has_more,
        )

    async def version(self, tenant: str, name: str, version: str) -> TeamVersion:
        """A version of a team: a number, an alias or `latest`.

        Raises:
            TeamNotFound: There is no such team.
            TeamVersionNotFound: It has no such version.
        """
        if self._is_operators(name):
            resolved = self._operators(name, version)
            shown = operators_version(resolved)
            return TeamVersion(**shown.model_dump(), definition=plain(resolved.definition))
        team = await self._team(tenant, name)
        stored = await self._version(tenant, team, number_of(team, version))
        return whole_version(team, stored)

    async def diff(self, tenant: str, name: str, *, before: str, after: str) -> TeamDiff:
        """What differs between two versions.

        Raises:
            TeamNotFound: There is no such team.
            TeamVersionNotFound: It has no such version.
        """
        old = await self.version(tenant, name, before)
        new = await self.version(tenant, name, after)
        return TeamDiff(
            from_version=old.version,
            to_version=new.version,
            changes=differences(old.definition, new.definition),
        )

    async def graph(self, tenant: str, name: str, *, version: str = "latest") -> TeamGraph:
        """The members of a version, and who may follow whom.

        Raises:
            TeamNotFound: There is no such team.
            TeamVersionNotFound: It has no such version.
        """
        pinned = await self._pinned(tenant, name, version)
        return graph_of(pinned.definition, name=pinned.name, version=pinned.version)

    async def schema(self, tenant: str, name: str, *, version: str = "latest") -> TeamSchema:
        """What goes into a run of a version, and what comes out.

        Raises:
            TeamNotFound: There is no such team.
            TeamVersionNotFound: It has no such version.
        """
        pinned = await self._pinned(tenant, name, version)
        return schema_of(pinned.definition, version=pinned.version)

    async def _pinned(self, tenant: str, name: str, version: str) -> _Pinned:
        if self._is_operators(name):
            resolved = self._operators(name, version)
            return _Pinned(name, resolved.version, resolved.definition)
        team = await self._team(tenant, name)
        stored = await self._version(tenant, team, number_of(team, version))
        return _Pinned(team.name, str(stored.version), stored.definition)

    async def _team(self, tenant: str, name: str) -> StoredTeam:
        team = (await self._stored.index(tenant)).find(name)
        if team is None:
            raise not_found(name)
        return team

    async def _version(self, tenant: str, team: StoredTeam, number: int) -> StoredVersion:
        try:
            return await self._stored.version(tenant, team.id, number)
        except NotFound:  # it is being deleted
            raise not_found(team.name) from None

    def _is_operators(self, name: str) -> bool:
        return name in self._registry.team_names()

    def _operators(self, name: str, version: str) -> Resolved:
        resolved = self._registry.resolve(team=name)
        if version not in ("latest", resolved.version):
            raise TeamVersionNotFound(
                f"The operator's team {name!r} has one version, {resolved.version!r}."
            )
        return resolved
