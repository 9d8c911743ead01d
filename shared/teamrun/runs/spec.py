"""What a client asks for, and the pinned form of it that entry 0 of the log holds."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from teamrun.components.definitions import TeamDefinition

__all__ = [
    "BEHAVIOUR",
    "ONE_TEAM",
    "InputMessage",
    "Metadata",
    "RunInput",
    "RunRequest",
    "RunSpec",
    "TeamRef",
]

BEHAVIOUR = 1
"""The engine's own version: it changes when replay would make calls in another order."""

Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16),
]
"""Up to 16 pairs of a client's own, by which runs can be filtered."""


ONE_TEAM: list[JsonValue] = [
    {"required": ["team"], "properties": {"team": {"type": "string"}}},
    {"required": ["team_spec"], "properties": {"team_spec": {"type": "object"}}},
]
"""JSON Schema's `oneOf` of a body that names a team or brings one along, and not both."""


class InputMessage(BaseModel):
    """One message of a task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: str
    source: str = "user"


class RunInput(BaseModel):
    """A task of several messages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: list[InputMessage] = Field(min_length=1)


class RunRequest(BaseModel):
    """The body of `POST /v1/runs`; exactly one of `team` and `team_spec` is given."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"oneOf": ONE_TEAM})

    team: str | None = Field(default=None, min_length=1, max_length=256, examples=["analysts"])
    """The name of a team that the operator registered."""
    team_spec: dict[str, Any] | None = None
    """A definition of the client's own, made of registered models and tools."""
    input: str | RunInput = Field(examples=["Which region sold most in March?"])
    """The task."""
    metadata: Metadata = {}
    tags: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(
        default=[], max_length=16
    )


class TeamRef(BaseModel):
    """Which team a run executes."""

    model_config = ConfigDict(frozen=True)

    name: str
    digest: str
    """sha256 of the canonical definition, in hexadecimal."""


class RunSpec(BaseModel):
    """Everything that decides what a run does, pinned when it was accepted; never a secret."""

    model_config = ConfigDict(frozen=True)

    tenant: str
    run_id: str
    team: TeamRef
    definition: TeamDefinition
    models: dict[str, str]
    """Model profiles that the definition names, with the digest of each."""
    tools: dict[str, str]
    """Registered tools that the definition names, with the digest of each."""
    input: str | RunInput
    metadata: Metadata = {}
    tags: list[str] = []
    seed: str
    """Hexadecimal; identifiers and random numbers of the run are made from it."""
    behaviour: int = BEHAVIOUR
    created_at: datetime
    request_hash: str
    """sha256 of the request's canonical JSON, to tell a repeated request from another one."""
