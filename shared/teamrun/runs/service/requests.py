"""The bodies of requests, the same over HTTP and in process."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from teamrun.components.definitions.base import TeamDefinition
from teamrun.components.definitions.names import has_unseen_agents, names_of
from teamrun.components.reading.problems import did_you_mean, listed, pointer
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonObject
from teamrun.messages.recordable import recordable
from teamrun.runs.log.entries import Decision
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.spec import (
    BusyPolicy,
    InputMessage,
    JsonData,
    Metadata,
    Retry,
    RunInput,
    Text,
)
from teamrun.runs.log.webhook import RunWebhook

__all__ = [
    "ONE_TEAM",
    "Answer",
    "ForkRequest",
    "Moment",
    "OutputSchema",
    "Overrides",
    "RetryRequest",
    "RunRequest",
    "check_limits",
    "request_digest",
]

_A_YEAR = 366 * 86_400


def _written_out(value: object) -> object:
    """Reject seconds since 1970, which pydantic would accept."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise ValueError("use an RFC 3339 timestamp, such as 2026-03-31T08:00:00Z")


Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC)),
    BeforeValidator(_written_out),
]
"""A time that can be represented in every time zone."""

ONE_TEAM: list[JsonValue] = [
    {"required": ["team"], "properties": {"team": {"type": "string"}}},
    {"required": ["team_spec"], "properties": {"team_spec": {"type": "object"}}},
]
"""The JSON Schema `oneOf` of a body that either names a team or contains one."""


OutputSchema = Annotated[JsonObject, AfterValidator(recordable)]
"""The `output_schema` of a request; `components.reading.output_schema` checks it further."""


class Overrides(BaseModel):
    """Settings of the team that a single run overrides."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    model: str | None = Field(default=None, min_length=1, max_length=128)
    """The model profile to use for all agents and selectors."""
    temperature: float | None = Field(default=None, ge=0, le=2, strict=True)
    """Sent to the model with every call."""
    max_turns: int | None = Field(default=None, ge=1, le=1_000_000, strict=True)
    """Maximum number of turns of the team's agents."""


class RunRequest(BaseModel):
    """The body of `POST /v1/runs`; exactly one of `team` and `team_spec` is required."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, defer_build=True, json_schema_extra={"oneOf": ONE_TEAM}
    )

    team: str | None = Field(default=None, min_length=1, max_length=256, examples=["analysts"])
    """The name of a team that the operator registered."""
    team_spec: Annotated[JsonObject, AfterValidator(recordable)] | None = None
    """A team definition that uses registered models and tools."""
    input: Text | RunInput = Field(examples=["Which region sold most in March?"])
    """The task."""
    overrides: Overrides = Overrides()
    """Settings of the team that this run overrides."""
    metadata: Metadata = {}
    """Key-value pairs of the client, by which lists can be filtered."""
    tags: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(
        default=[], max_length=16
    )
    """Labels of the client, by which lists can be filtered."""
    limits: Limits = Limits()
    """The limits of the run."""
    output_schema: OutputSchema | None = Field(
        default=None,
        examples=[{"type": "object", "properties": {"region": {"type": "string"}}}],
    )
    """JSON Schema (2020-12) of an object that the output has to fit. The output is then also parsed
    JSON, or the run ends as `incomplete` with the code `output_schema`."""
    retry: Retry = Retry()
    """How the run is retried after a transient failure."""
    delay_seconds: float | None = Field(default=None, ge=0, le=_A_YEAR, strict=True)
    """Delay before the run starts."""
    run_at: Moment | None = None
    """When the run starts; cannot be combined with `delay_seconds`."""
    expires_in_seconds: float | None = Field(default=None, gt=0, le=_A_YEAR, strict=True)
    """The run expires, at no cost, if it has not started after this time. Must not be shorter than
    the delay of the run."""
    deadline: Moment | None = None
    """When the run must end at the latest; time in which it waits counts too. Must be after the
    start of the run."""

    thread_id: str | None = Field(default=None, min_length=1, max_length=64)
    """The thread whose conversation the run continues; cannot be combined with a later start."""
    on_busy_thread: BusyPolicy = "enqueue"
    """What happens if the thread has a run that has not ended."""
    webhook: RunWebhook | None = None
    """Where the events of the run are sent."""

    @field_validator("on_busy_thread")
    @classmethod
    def _has_thread(cls, policy: BusyPolicy, info: ValidationInfo) -> BusyPolicy:
        if info.data.get("thread_id", ...) is None:  # `...`: it is invalid itself
            raise ValueError("only a run of a thread can have it: add thread_id, or leave it out")
        return policy

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.delay_seconds is not None and self.run_at is not None:
            raise ValueError("use either delay_seconds or run_at, not both")
        is_later = self.delay_seconds is not None or self.run_at is not None
        if self.thread_id is not None and is_later:
            raise ValueError(
                "a run of a thread cannot start later: leave out thread_id, delay_seconds or run_at"
            )
        return self


def check_limits(limits: Limits, definition: TeamDefinition, *, at: str = "/limits") -> None:
    """Refuse a limit of an agent that the team does not have; `at` points to the limits.

    Raises:
        DefinitionError: There is one; has `pointer`.
    """
    if has_unseen_agents(definition):  # any name may be one of them
        return
    known = names_of(definition)
    for name in limits.agents:
        if name not in known:
            raise DefinitionError(
                f"The team has no agent {name!r}.{did_you_mean(name, known)} Limits can name "
                f"{listed(known)}.",
                pointer=pointer(f"{at}/agents", name),
                code="unknown_agent",
            )


def request_digest(request: BaseModel) -> str:
    """The hexadecimal sha256 of a request, to recognize a repeated one.

    JSON objects are unordered (RFC 8259, section 4), and a default value may be present or left
    out. Neither makes it a different request.
    """
    asked = request.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class ForkRequest(BaseModel):
    """The body of `POST /v1/runs/{id}/fork`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after_seq: Annotated[int, Field(ge=1, le=1_000_000_000, strict=True)]
    """The last event that the new run shares, with the call whose end it reports."""
    input: Text | InputMessage | None = None
    """A message to the team at that point, which it reads before its next turn; plain text is a
    message of `user`."""
    overrides: Overrides = Overrides()
    """Settings of the team that the new run overrides."""
    limits: Limits = Limits()
    """The limits of the new run; it does not inherit those of its parent."""


class RetryRequest(BaseModel):
    """The body of `POST /v1/runs/{id}/retry`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_: Annotated[Literal["here", "start"], Field(alias="from")] = "start"
    """`here` continues from before the failed call; `start` starts over."""


class Answer(BaseModel):
    """A person's answer to a question: the body of `POST /v1/runs/{id}/input`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action_id: str
    """The `id` of one of the run's `required_actions`."""
    decision: Decision = "answer"
    """`approve` or `reject` for an approval, `answer` for a question; the action's `decisions`
    lists the allowed values."""
    content: Text | None = None
    """The answer as text."""
    data: JsonData = None
    """The answer as data, if the question has a schema."""
