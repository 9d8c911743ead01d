"""Calls of `/v1/teams`: the teams that the operator and clients have registered."""

from collections.abc import Mapping
from dataclasses import replace

from teamrun.catalog.resources import TeamDiff, TeamGraph, TeamSchema, TeamVersion, VersionPage
from teamrun.catalog.resources import VersionSummary as Version
from teamrun.client.building import changing, delete, get, given, if_match, json_of, path_of, post
from teamrun.client.calls.run_options import Team, team_of
from teamrun.client.requests import Paged, Request
from teamrun.components.resources import TeamPage, TeamSummary, Validation
from teamrun.json_types import JsonMapping

__all__ = [
    "add_version",
    "create",
    "delete_alias",
    "delete_team",
    "diff",
    "get_team",
    "get_version",
    "graph",
    "list_teams",
    "put_alias",
    "schema",
    "update",
    "validate",
    "versions",
]

_PAGE = json_of(TeamPage)
_TEAM = json_of(TeamSummary)
_VALIDATION = json_of(Validation)
_VERSION = json_of(TeamVersion)
_VERSIONS = json_of(VersionPage)
_DIFF = json_of(TeamDiff)
_GRAPH = json_of(TeamGraph)
_SCHEMA = json_of(TeamSchema)


def list_teams(*, limit: int | None = None, after: str | None = None) -> Paged[TeamSummary]:
    """List the teams that a run can name. Iterating the result reads page after page.

    Args:
        limit: The number of teams per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    return Paged(get(path_of("teams"), _PAGE, query={"limit": limit, "after": after}))


def get_team(name: str) -> Request[TeamSummary]:
    """Read a team by its name or id."""
    return get(path_of("teams", name), _TEAM)


def validate(team: Team) -> Request[Validation]:
    """Check a team without running it; the result lists every error.

    Args:
        team: The name of a registered team, or a definition.
    """
    return post("/v1/teams:validate", _VALIDATION, team_of(team))


def create(
    name: str | None,
    team_spec: JsonMapping,
    *,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    comment: str | None = None,
    idempotency_key: str | None = None,
) -> Request[TeamSummary]:
    """Register a team with its first version.

    Args:
        name: The name by which runs use it; None takes the name in the definition.
        team_spec: A definition, or AutoGen component JSON.
        description: A text for people.
        metadata: Up to 16 key-value pairs.
        comment: A text about the first version.
        idempotency_key: The key; without one, a random key that all attempts share.
    """
    body = given(
        name=name,
        team_spec=team_spec,
        description=description,
        metadata=metadata,
        comment=comment,
    )
    return post(path_of("teams"), _TEAM, body, idempotency_key=idempotency_key)


def update(
    name: str,
    *,
    new_name: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    revision: int | None = None,
) -> Request[TeamSummary]:
    """Change what is given; the versions of the team do not change.

    Args:
        name: The team.
        new_name: The name from now on.
        description: A text for people.
        metadata: Replaces all pairs.
        revision: The `revision` that the change is based on; without it, any.
    """
    body = given(name=new_name, description=description, metadata=metadata)
    return changing(post(path_of("teams", name), _TEAM, body, method="PATCH"), revision)


def delete_team(name: str, *, revision: int | None = None) -> Request[None]:
    """Delete a team with its versions; its runs go on.

    Args:
        name: The team.
        revision: The `revision` that the change is based on; without it, any.
    """
    return delete(path_of("teams", name), headers=if_match(revision))


def add_version(
    name: str,
    team_spec: JsonMapping,
    *,
    comment: str | None = None,
    revision: int | None = None,
    idempotency_key: str | None = None,
) -> Request[TeamVersion]:
    """Add a version, unless the newest one has the same definition; the result is that version.

    Args:
        name: The team.
        team_spec: A definition, or AutoGen component JSON.
        comment: A text about the version.
        revision: The `revision` of the team that the change is based on; without it, any.
        idempotency_key: The key; without one, a random key that all attempts share.
    """
    body = given(team_spec=team_spec, comment=comment)
    path = path_of("teams", name, "versions")
    request = post(path, _VERSION, body, idempotency_key=idempotency_key)
    return replace(request, headers={**request.headers, **if_match(revision)})


def versions(name: str, *, limit: int | None = None, after: str | None = None) -> Paged[Version]:
    """List the versions of a team, the newest first, without their definitions.

    Args:
        name: The team.
        limit: The number of versions per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    query = {"limit": limit, "after": after}
    return Paged(get(path_of("teams", name, "versions"), _VERSIONS, query=query))


def get_version(name: str, version: int | str = "latest") -> Request[TeamVersion]:
    """Read a version with its definition.

    Args:
        name: The team.
        version: A number, an alias or `latest`.
    """
    return get(path_of("teams", name, "versions", str(version)), _VERSION)


def put_alias(
    name: str, alias: str, version: int | str, *, revision: int | None = None
) -> Request[TeamSummary]:
    """Create an alias, or move it to another version.

    Args:
        name: The team.
        alias: The alias; runs can name `team@alias`.
        version: The version that it points to, as a number or as the `version` of a response.
        revision: The `revision` of the team that the change is based on; without it, any.
    """
    path = path_of("teams", name, "aliases", alias)
    return changing(post(path, _TEAM, {"version": version}, method="PUT"), revision)


def delete_alias(name: str, alias: str, *, revision: int | None = None) -> Request[None]:
    """Delete an alias; the version that it points to stays.

    Args:
        name: The team.
        alias: The alias.
        revision: The `revision` of the team that the change is based on; without it, any.
    """
    return delete(path_of("teams", name, "aliases", alias), headers=if_match(revision))


def diff(name: str, before: int | str, after: int | str = "latest") -> Request[TeamDiff]:
    """Compare two versions of a team.

    Args:
        name: The team.
        before: A number, an alias or `latest`.
        after: The other one.
    """
    return get(path_of("teams", name, "diff"), _DIFF, query={"from": before, "to": after})


def graph(name: str, *, version: int | str | None = None) -> Request[TeamGraph]:
    """Read the agents and teams of a version, and who may follow whom.

    Args:
        name: The team.
        version: A number or an alias; without it, the newest.
    """
    return get(path_of("teams", name, "graph"), _GRAPH, query={"version": version})


def schema(name: str, *, version: int | str | None = None) -> Request[TeamSchema]:
    """Read JSON Schemas of the input and output of runs, and of the answers of people.

    Args:
        name: The team.
        version: A number or an alias; without it, the newest.
    """
    return get(path_of("teams", name, "schema"), _SCHEMA, query={"version": version})
