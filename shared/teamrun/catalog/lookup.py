"""Finds the teams of a tenant: those of the operator first, then those that clients have stored."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from teamrun.catalog.records import StoredTeam, StoredVersion
from teamrun.catalog.stored import StoredTeams
from teamrun.components.catalog import RegisteredTeams
from teamrun.components.reading.problems import did_you_mean, listed, shown
from teamrun.components.registry import Registry, Resolved
from teamrun.components.resources import TeamSummary
from teamrun.errors import DefinitionError, NotFound, StorageError, Unavailable

__all__ = ["TeamLookup", "summary_of"]

logger = logging.getLogger(__name__)

_MOST_RESOLUTIONS: Final = 100


class TeamLookup:
    """Implements `Catalog` over the operator's file and the stored teams.

    The operator's teams need no storage. If both have a name, it means the operator's team.
    """

    def __init__(self, registry: Registry, stored: StoredTeams) -> None:
        self._registry = registry
        self._operator = RegisteredTeams(registry)
        self._stored = stored
        self._names = frozenset(registry.team_names())
        self._resolutions: dict[tuple[str, str, int], Resolved] = {}

    async def resolve(self, tenant: str, name: str) -> Resolved:
        """The team of a name or id; `@` and a version or an alias may follow.

        Raises:
            DefinitionError: The team or version is unknown, or needs what is not registered any
                more; the pointer is `/team`.
            StorageError: Storage does not respond, or the team is damaged.
        """
        written, at, version = name.partition("@")
        if written in self._names:
            return await self._operator.resolve(tenant, name)
        index = await self._stored.index(tenant)
        team = index.find(written)
        if team is None:
            raise _unknown(written, [*self._names, *index.names()])
        number = team.number(version if at else "latest")
        if number is None:
            raise DefinitionError(
                f"The team {team.name!r} has no version or alias {shown(version)}; it has"
                f" {team.known_versions}.",
                pointer="/team",
                code="unknown_version",
            )
        try:
            return await self.resolved(tenant, team, number)
        except NotFound:  # it is being deleted
            raise _unknown(written, [*self._names, *index.names()]) from None

    async def resolved(self, tenant: str, team: StoredTeam, number: int) -> Resolved:
        """A version of a stored team.

        Raises:
            DefinitionError: It needs what is not registered any more; the pointer is `/team`.
            NotFound: The team is being deleted.
            StorageError: Storage does not respond, or the version is damaged.
        """
        key = (team.id, team.name, number)
        found = self._resolutions.get(key)
        if found is None:
            version = await self._stored.version(tenant, team.id, number)
            found = self._registry.pinned(
                team.name,
                version.definition,
                id=team.id,
                version=str(number),
                digest=version.digest,
            )
            if len(self._resolutions) >= _MOST_RESOLUTIONS:
                self._resolutions.clear()
            self._resolutions[key] = found
        return found

    async def summaries(self, tenant: str) -> Sequence[TeamSummary]:
        """All teams of the tenant, by name, without those whose newest version cannot be read.

        Raises:
            StorageError: Storage does not respond, or the index is damaged.
        """
        index = await self._stored.index(tenant)
        found = await asyncio.gather(*(self._readable(tenant, team) for team in index.teams))
        stored = [team for team in found if team is not None]
        teams = [*await self._operator.summaries(tenant), *stored]
        return sorted(teams, key=lambda team: (team.name, team.id))

    async def summary(self, tenant: str, name: str) -> TeamSummary | None:
        """The team of exactly that name, or of that id; None if there is none.

        Raises:
            StorageError: Storage does not respond, or the team is damaged.
        """
        if name in self._names:
            return await self._operator.summary(tenant, name)
        team = (await self._stored.index(tenant)).find(name)
        return None if team is None else await self._found(tenant, team)

    async def _readable(self, tenant: str, team: StoredTeam) -> TeamSummary | None:
        try:
            return await self._found(tenant, team)
        except Unavailable:
            raise
        except StorageError as error:  # one damaged team does not hide the others
            logger.error(
                "A team is not listed, because its newest version cannot be read",
                extra={
                    "action": "team.unreadable",
                    "tenant": tenant,
                    "team_id": team.id,
                    "error": error.message,
                },
            )
            return None

    async def _found(self, tenant: str, team: StoredTeam) -> TeamSummary | None:
        try:
            version = await self._stored.version(tenant, team.id, team.latest)
        except NotFound:  # it is being deleted
            return None
        return summary_of(self._registry, team, version)


def summary_of(registry: Registry, team: StoredTeam, version: StoredVersion) -> TeamSummary:
    """The summary of a stored team with its newest version."""
    resolved = Resolved(
        name=team.name,
        id=team.id,
        version=str(version.version),
        digest=version.digest,
        definition=version.definition,
        models={},
        tools={},
        agents={},
        functions={},
    )
    return registry.summary(resolved).model_copy(
        update={
            "description": team.description or version.definition.description,
            "source": "stored",
            "aliases": dict(team.aliases),
            "metadata": dict(team.metadata),
            "revision": team.revision,
            "created_at": team.created_at,
            "updated_at": team.updated_at,
        }
    )


def _unknown(name: str, known: Sequence[str]) -> DefinitionError:
    hint = did_you_mean(name, known)
    return DefinitionError(
        f"There is no team {shown(name)}.{hint} Registered: {listed(known)}.",
        pointer="/team",
        code="unknown_team",
    )
