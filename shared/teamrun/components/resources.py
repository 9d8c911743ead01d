"""The resources of `/v1/teams` and `/v1/teams:validate`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from teamrun.components.reading.problems import ProblemCode
from teamrun.core.tolerance import OPEN

__all__ = [
    "DefinitionProblem",
    "ModelUse",
    "Note",
    "TeamPage",
    "TeamSource",
    "TeamSummary",
    "Validation",
]


TeamSource = Literal["operator", "stored"]
"""Who registered a team."""


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class ModelUse(_Resource):
    """The model that a profile resolves to in this process."""

    profile: str
    """The name that the team uses."""
    active: str
    """The profile that answers: the same, or a fallback of it."""
    type: str
    """The type of that profile."""
    model: str | None = None
    """The provider's name of the model, if the profile has one."""
    scripted: bool = False
    """Answers come from a script; no model is called."""
    missing: str | None = None
    """The environment variable without which not even the last fallback can answer."""
    unset: str | None = None
    """The environment variable that the profile itself needs and that is not set, so that a
    fallback answers."""

    @property
    def is_scripted_fallback(self) -> bool:
        """Whether a script answers only because a variable is not set."""
        return self.scripted and self.unset is not None

    @property
    def answerer(self) -> str:
        """The profile and what answers under it, in a few words."""
        if self.missing is not None:
            return f"{self.profile}: none, {self.missing} is not set"
        if self.scripted:
            return f"{self.profile}: SCRIPT {self.active}"
        return f"{self.profile}: {self.model or self.active} ({self.type})"

    @property
    def note(self) -> str:
        """The same as a sentence."""
        if self.missing is not None:
            return f"The model profile {self.profile!r} needs {self.missing}, which is not set."
        if self.is_scripted_fallback:
            return (
                f"The model profile {self.profile!r} is answered by the SCRIPT {self.active!r},"
                f" not by a model: {self.unset} is not set."
            )
        return f"The model profile {self.profile!r} is answered by {self.active!r} ({self.type})."


class TeamSummary(_Resource):
    """A registered team, with its newest version."""

    id: str
    """The name for requests; of a stored team, an id that a change of its name does not change."""
    name: str
    version: str
    """The number of the newest version of a stored team; of the operator's teams, the first 12
    digits of `digest`."""
    digest: str
    """sha256 of the canonical definition, in hexadecimal; runs pin it."""
    type: str
    description: str | None = None
    agents: list[str]
    models: list[ModelUse]
    """What the profiles resolve to in this process; the `ETag` does not cover it."""
    tools: list[str]
    source: Annotated[TeamSource, OPEN] = "operator"
    """Whether the operator's file has the team, or a client has stored it."""
    aliases: dict[str, int] = {}
    """The versions that can be named `team@alias`."""
    metadata: dict[str, str] = {}
    revision: int | None = None
    """Increases with each change of a stored team, not by one; its `ETag` is `"v{revision}"`.
    A team that is deleted and created again has a higher one."""
    created_at: datetime | None = None
    updated_at: datetime | None = None


class TeamPage(_Resource):
    """A page of the registered teams, by name."""

    data: list[TeamSummary]
    next_cursor: str | None = None
    has_more: bool = False


class DefinitionProblem(_Resource):
    """Something wrong with a definition."""

    pointer: str
    """JSON pointer (RFC 6901) into the request body."""
    code: Annotated[ProblemCode, OPEN]
    detail: str


class Note(_Resource):
    """A warning about a valid definition."""

    pointer: str
    detail: str


class Validation(_Resource):
    """The outcome of a full check."""

    valid: bool
    errors: list[DefinitionProblem] = []
    warnings: list[Note] = []
