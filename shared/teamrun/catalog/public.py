"""Teams and versions as clients see them, and errors about them."""

from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from pydantic import TypeAdapter, ValidationError

from teamrun.catalog.records import StoredTeam, StoredVersion
from teamrun.catalog.requests import Name
from teamrun.catalog.resources import TeamVersion, VersionSummary
from teamrun.components.definitions.base import TeamDefinition
from teamrun.components.registry import Resolved
from teamrun.components.resources import TeamSummary
from teamrun.errors import DefinitionError, TeamNotFound, TeamVersionNotFound
from teamrun.json_types import JsonMapping, JsonObject

__all__ = [
    "SPEC",
    "Added",
    "Registered",
    "not_found",
    "number_of",
    "operators_version",
    "own_name",
    "placed",
    "plain",
    "version_summary",
    "whole_version",
]

SPEC: Final = "/team_spec"
"""Where the definition is in a request."""

_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)


class Registered(NamedTuple):
    """A team, after a request to register it."""

    team: TeamSummary
    replayed: bool
    """The Idempotency-Key was used for the same request before."""


class Added(NamedTuple):
    """A version, after a request to add it."""

    version: TeamVersion
    is_new: bool
    """Otherwise the newest version has the same definition."""
    replayed: bool
    """The Idempotency-Key was used for the same request before."""


def not_found(name: str) -> TeamNotFound:
    """The error if there is no such team."""
    return TeamNotFound(f"There is no team {name[:80]!r}; GET /v1/teams lists them.")


def number_of(team: StoredTeam, version: str) -> int:
    """The number of a version of a team.

    Raises:
        TeamVersionNotFound: The team has no such version.
    """
    number = team.number(version)
    if number is None:
        raise TeamVersionNotFound(
            f"The team {team.name!r} has no version or alias {version[:80]!r}; it has"
            f" {team.known_versions}."
        )
    return number


def own_name(spec: JsonMapping) -> str:
    """The name in a definition, or in the configuration of a component.

    Raises:
        DefinitionError: There is none, or it cannot be the name of a registered team.
    """
    config = spec.get("config") if "provider" in spec else spec
    name = cast("JsonMapping", config).get("name") if isinstance(config, Mapping) else None
    if name is None:
        raise DefinitionError(
            "The team needs a name: send `name`, or write it into the definition.",
            pointer="/name",
        )
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        raise DefinitionError(
            f"{str(name)[:80]!r} cannot be the name of a registered team: send `name`, with A-Z,"
            " a-z, digits, '_' and '-'.",
            pointer="/name",
        ) from None


def placed(error: DefinitionError, at: str) -> DefinitionError:
    """An error with its pointers moved from `/team_spec` to `at`."""
    if at == SPEC:
        return error
    problems = [
        {**each, "pointer": at + str(each["pointer"]).removeprefix(SPEC)}
        for each in error.data.get("problems", [])
    ]
    return DefinitionError(
        error.message,
        pointer=at + error.pointer.removeprefix(SPEC),
        code=error.code,
        problems=problems,
    )


def plain(definition: TeamDefinition) -> JsonObject:
    """A definition as JSON data."""
    return definition.model_dump(mode="json", exclude_none=True)


def operators_version(resolved: Resolved) -> VersionSummary:
    """The one version of a team of the operator."""
    return VersionSummary(version=resolved.version, digest=resolved.digest)


def version_summary(team: StoredTeam, stored: StoredVersion) -> VersionSummary:
    """A version without its definition."""
    number = stored.version
    return VersionSummary(
        version=str(number),
        digest=stored.digest,
        aliases=[alias for alias, version in team.aliases.items() if version == number],
        comment=stored.comment,
        created_at=stored.created_at,
    )


def whole_version(team: StoredTeam, stored: StoredVersion) -> TeamVersion:
    """A version with its definition."""
    shown = version_summary(team, stored)
    return TeamVersion(**shown.model_dump(), definition=plain(stored.definition))
