"""Stored teams as they are written: the index of a tenant, and the versions.

t/{tenant}/teams/index/{n:06d}.json      each change of any team is the next object
t/{tenant}/teams/{team_id}/{n:06d}.json  version n of a team, which never changes
t/{tenant}/teams/{team_id}/deleted       the team has been deleted
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from teamrun.components.definitions.base import TeamDefinition
from teamrun.components.reading.problems import listed

__all__ = [
    "StoredTeam",
    "StoredVersion",
    "TeamIndex",
    "deleted_key",
    "index_folder",
    "is_team_id",
    "team_folder",
]

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}")
_TEAM_ID: Final = re.compile(r"team_[0-9a-f]{32}")


def is_team_id(text: str) -> bool:
    """Whether the text has the form of the id of a stored team."""
    return _TEAM_ID.fullmatch(text) is not None


def index_folder(tenant: str) -> str:
    """The versions of the tenant's index."""
    return f"t/{tenant}/teams/index/"


def team_folder(tenant: str, team_id: str) -> str:
    """The versions of a team."""
    return f"t/{tenant}/teams/{team_id}/"


def deleted_key(tenant: str, team_id: str) -> str:
    """The marker of a team that has been deleted."""
    return f"{team_folder(tenant, team_id)}deleted"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class StoredVersion(_Record):
    """One version of a team."""

    v: Literal[1] = 1
    version: int
    """From 1."""
    digest: str
    """sha256 of the canonical definition, as it was when the version was added."""
    definition: TeamDefinition
    comment: str = ""
    created_at: datetime
    key: str | None = None
    """sha256 of the Idempotency-Key of the request that added it."""


class StoredTeam(_Record):
    """What can change about a team."""

    id: str
    name: str
    description: str = ""
    metadata: dict[str, str] = {}
    aliases: dict[str, int] = {}
    latest: int = 1
    """The newest version."""
    revision: int = 1
    """The number of the newest change of the team, in the order of all changes of the tenant's
    teams. So a team that is deleted and created again has a revision that no other has had."""
    created_at: datetime
    updated_at: datetime

    def number(self, version: str) -> int | None:
        """The number of a version: `latest`, an alias, or the number itself (not `02`)."""
        if version == "latest":
            return self.latest
        if version in self.aliases:
            return self.aliases[version]
        is_number = _NUMBER.fullmatch(version) is not None
        return int(version) if is_number and int(version) <= self.latest else None

    @property
    def known_versions(self) -> str:
        """The versions and aliases, for a message."""
        versions = "version 1" if self.latest == 1 else f"versions 1 to {self.latest}"
        return f"{versions} and the aliases {listed(self.aliases)}" if self.aliases else versions


class TeamIndex(_Record):
    """All teams of a tenant."""

    v: Literal[1] = 1
    teams: tuple[StoredTeam, ...] = ()

    def find(self, name: str) -> StoredTeam | None:
        """The team of a name, or of an id."""
        return next((team for team in self.teams if name in (team.name, team.id)), None)

    def names(self) -> Iterator[str]:
        """The names of all teams."""
        return (team.name for team in self.teams)

    def having(self, team: StoredTeam) -> "TeamIndex":
        """The index with a team that is new, or replaces the one of the same id."""
        others = [each for each in self.teams if each.id != team.id]
        ordered = sorted([*others, team], key=lambda each: each.name)
        return TeamIndex(teams=tuple(ordered))

    def without(self, team_id: str) -> "TeamIndex":
        """The index without a team."""
        return TeamIndex(teams=tuple(each for each in self.teams if each.id != team_id))
