"""What a client asks for, and the pinned form of it that entry 0 of the log holds."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from teamrun.components.definitions import TeamDefinition
from teamrun.messages.recordable import encodable, recordable
from teamrun.runs.limits import Limits

__all__ = [
    "BEHAVIOUR",
    "ONE_TEAM",
    "ForkPoint",
    "InputMessage",
    "JsonData",
    "Metadata",
    "Moment",
    "Overrides",
    "Retry",
    "RunInput",
    "RunRequest",
    "RunSpec",
    "TeamRef",
    "Text",
    "request_digest",
]

BEHAVIOUR = 2
"""The engine's own version: it changes when replay would make calls in another order.

1: the first. 2: turns and termination counts go on over a handoff to a person, and the answer
goes to the agent that asked; a selector that cannot decide keeps to its candidates; names inside
`<think>` are no mentions. Code asks `teamrun.core.behaviour.has_behaviour`.
"""

_A_YEAR = 366 * 86_400


def _written_out(value: object) -> object:
    """Leave out what pydantic takes as well: seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise ValueError("give a time of RFC 3339, such as 2026-03-31T08:00:00Z")


Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC)),
    BeforeValidator(_written_out),
]
"""A time that has a place in every time zone."""

Text = Annotated[str, AfterValidator(encodable)]
"""Text that UTF-8 can encode: a lone surrogate is replaced by U+FFFD."""

JsonData = Annotated[Any, AfterValidator(recordable)]
"""JSON data that a log can hold; see `teamrun.messages.recordable`."""

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

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    content: Text
    source: Text = "user"


class RunInput(BaseModel):
    """A task of several messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    messages: list[InputMessage] = Field(min_length=1)


class Retry(BaseModel):
    """How a run is retried after a transient failure, such as an overloaded model."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    max_attempts: int = Field(default=1, ge=1, le=20, strict=True)
    """Maximum number of attempts; 1 means no retry."""
    backoff_seconds: float = Field(default=10, ge=0, le=86_400, strict=True)
    """Delay before the second attempt; it doubles with each further attempt."""
    max_backoff_seconds: float = Field(default=600, ge=0, le=86_400, strict=True)

    def delay(self, attempts: int) -> float:
        """Seconds to wait after that many attempts."""
        return min(self.backoff_seconds * 2 ** (attempts - 1), self.max_backoff_seconds)


class Overrides(BaseModel):
    """Settings of a team that one run replaces."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    model: str | None = Field(default=None, min_length=1, max_length=128)
    """The model profile of all agents and selectors."""
    temperature: float | None = Field(default=None, ge=0, le=2, strict=True)
    """Sent to the model with every call."""
    max_turns: int | None = Field(default=None, ge=1, le=1_000_000, strict=True)
    """After how many turns of its agents the team stops."""


class RunRequest(BaseModel):
    """The body of `POST /v1/runs`; exactly one of `team` and `team_spec` is given."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, defer_build=True, json_schema_extra={"oneOf": ONE_TEAM}
    )

    team: str | None = Field(default=None, min_length=1, max_length=256, examples=["analysts"])
    """The name of a team that the operator registered."""
    team_spec: Annotated[dict[str, Any], AfterValidator(recordable)] | None = None
    """A definition of the client's own, made of registered models and tools."""
    input: Text | RunInput = Field(examples=["Which region sold most in March?"])
    """The task."""
    overrides: Overrides = Overrides()
    """Settings of the team that this run replaces."""
    metadata: Metadata = {}
    """Pairs of the client's own, by which lists can be filtered."""
    tags: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(
        default=[], max_length=16
    )
    """Labels of the client's own, by which lists can be filtered."""
    limits: Limits = Limits()
    """The most that the run may use."""
    retry: Retry = Retry()
    """How often a transient failure is retried."""
    delay_seconds: float | None = Field(default=None, ge=0, le=_A_YEAR, strict=True)
    """How long to wait before the run begins."""
    run_at: Moment | None = None
    """When the run begins; exclusive with `delay_seconds`."""
    expires_in_seconds: float | None = Field(default=None, gt=0, le=_A_YEAR, strict=True)
    """If the run has not begun after that time, it expires at no cost."""
    deadline: Moment | None = None
    """When the run ends at the latest, including the time that it waits."""

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.delay_seconds is not None and self.run_at is not None:
            raise ValueError("give delay_seconds or run_at, not both")
        return self


def request_digest(request: BaseModel) -> str:
    """sha256 of what a request asks for, in hexadecimal, to recognize its repetition.

    JSON objects have no order (RFC 8259, 4) and a default may be written or left out, so neither
    makes another request.
    """
    asked = request.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class TeamRef(BaseModel):
    """Which team a run executes."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    digest: str
    """sha256 of the canonical definition, in hexadecimal."""
    id: str | None = None
    """What a request names the team by; null if the definition came with the request."""
    version: str | None = None
    """The version of the registered team, before `overrides`: the first 12 digits of its digest."""


class ForkPoint(BaseModel):
    """Where a run was forked from another."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    after_seq: int


class RunSpec(BaseModel):
    """Everything that decides what a run does, pinned when it was accepted; never a secret."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    tenant: str
    run_id: str
    team: TeamRef
    definition: TeamDefinition
    models: dict[str, str]
    """Model profiles that the definition names, with the digest of each."""
    tools: dict[str, str]
    """Registered tools that the definition names, with the digest of each."""
    agents: dict[str, str] = {}
    """Registered agent classes that the definition names, with the digest of each."""
    input: str | RunInput
    metadata: Metadata = {}
    tags: list[str] = []
    temperature: float | None = None
    """Sent to the model with every call."""
    seed: str
    """Hexadecimal; identifiers and random numbers of the run are made from it."""
    behaviour: int = BEHAVIOUR
    limits: Limits = Limits()
    retry: Retry = Retry()
    run_at: datetime | None = None
    expires_at: datetime | None = None
    deadline: datetime | None = None
    parent_run_id: str | None = None
    """The run that this one is a retry or a fork of."""
    forked_from: ForkPoint | None = None
    created_at: datetime
    request_hash: str
    """`request_digest` of the request, to tell a repeated request from another one."""
    idempotency: str | None = None
    """The object of the Idempotency-Key that the run was submitted with; it goes with the run."""
