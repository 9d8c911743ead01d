"""The bodies of requests about stored teams."""

import re
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from teamrun.catalog.records import is_team_id
from teamrun.components.definitions.base import TeamName
from teamrun.json_types import JsonObject
from teamrun.messages.recordable import recordable
from teamrun.runs.log.metadata import Metadata

__all__ = ["AliasRequest", "TeamPatch", "TeamRequest", "VersionRequest", "check_alias"]

_ALIAS: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}")

Description = Annotated[str, StringConstraints(max_length=512)]
Comment = Annotated[str, StringConstraints(max_length=512)]
Definition = Annotated[JsonObject, AfterValidator(recordable)]


def _no_id(name: str) -> str:
    if is_team_id(name):
        raise ValueError("has the form of an id; choose another name")
    return name


Name = Annotated[TeamName, AfterValidator(_no_id)]


def _number(version: object) -> object:
    if isinstance(version, str) and _NUMBER.fullmatch(version):
        return int(version)
    return version


Version = Annotated[
    int,
    BeforeValidator(_number),
    Field(ge=1, le=999_999, strict=True),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 999_999},
                {"type": "string", "pattern": f"^{_NUMBER.pattern}$"},
            ]
        }
    ),
]
"""The number of a version, or its text, which is how responses give it."""


def check_alias(alias: str) -> str:
    """The alias, if it can be one.

    Raises:
        ValueError: It cannot; the text says why.
    """
    if _ALIAS.fullmatch(alias) is None or alias == "latest":
        raise ValueError(
            "an alias is a letter, and up to 63 letters, digits, '_' and '-'; 'latest' is always"
            " the newest version"
        )
    return alias


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class TeamRequest(_Body):
    """The body of `POST /v1/teams`. A body without `team_spec` is the definition itself."""

    name: Name | None = Field(default=None, examples=["haiku"])
    """The name by which runs use the team. It may be left out if the definition has a name."""
    description: Description = ""
    """A text for people; without it, the description in the definition."""
    metadata: Metadata = {}
    comment: Comment = ""
    """A text for people about the first version."""
    team_spec: Definition
    """A definition, or AutoGen component JSON."""


class TeamPatch(_Body):
    """The body of `PATCH /v1/teams/{name}`: the fields to change."""

    name: Name | None = None
    description: Description | None = None
    metadata: Metadata | None = None
    """Replaces all pairs."""


class VersionRequest(_Body):
    """The body of `POST /v1/teams/{name}/versions`.

    A body without `team_spec` is the definition itself.
    """

    comment: Comment = ""
    """A text for people about this version."""
    team_spec: Definition
    """A definition, or AutoGen component JSON."""


class AliasRequest(_Body):
    """The body of `PUT /v1/teams/{name}/aliases/{alias}`."""

    version: Version
    """The version that the alias points to from now on: its number, or the number as a text."""
