"""Runs as clients see them: the resources of the HTTP API, the same for every reader.

`docs/reference/http.md` describes each; field names are part of the contract.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.runs.entries import ArtifactRecord, Decision, ErrorRecord
from teamrun.runs.limits import Limits
from teamrun.runs.spec import ForkPoint, Metadata, RunInput, TeamRef

__all__ = [
    "TERMINAL",
    "Artifact",
    "Delta",
    "Event",
    "EventPage",
    "Output",
    "Progress",
    "RequiredAction",
    "Run",
    "RunPage",
    "RunResult",
    "RunStatus",
    "RunUsage",
    "UnreadablePlace",
    "Usage",
]

RunStatus = Literal[
    "scheduled",
    "queued",
    "running",
    "input_required",
    "paused",
    "cancelling",
    "completed",
    "failed",
    "cancelled",
    "incomplete",
    "expired",
    "unreadable",
]
"""Where a run stands; `completed` to `expired` are final.

`unreadable`: this server cannot read the run's log (`unreadable` of the run has the place). That is
not final: it passes if the object is restored, or a newer release is used.
"""

TERMINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
"""The statuses that nothing follows."""


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


@dataclass(slots=True, kw_only=True)
class Usage:
    """What a run has used so far."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    cost_usd: Decimal | None = None
    """US dollars, for models whose price is known; None where none is."""


@dataclass(slots=True, kw_only=True)
class RunUsage(Usage):
    """What a run has used, and which agents and models used it."""

    by_agent: dict[str, Usage] = field(default_factory=dict[str, Usage])
    by_model: dict[str, Usage] = field(default_factory=dict[str, Usage])
    """By the name of the model profile, as in the events of calls."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run has come."""

    turn: int = 0
    max_turns: int | None = None
    current_agent: str | None = None


class RequiredAction(BaseModel):
    """A question that a run waits for; `POST .../input` answers it."""

    model_config = ConfigDict(frozen=True, defer_build=True, serialize_by_alias=True)

    id: str
    type: Literal["input", "approval"]
    agent: str | None = None
    prompt: str
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    """JSON Schema that `data` of the answer has to fit, where there is one."""
    expires_at: datetime | None = None
    decisions: tuple[Decision, ...] = ()
    """The values that `decision` of the answer may have."""


class Output(BaseModel):
    """The last message of the agents that the definition names in `output`; by default, of all."""

    model_config = ConfigDict(frozen=True, defer_build=True, serialize_by_alias=True)

    text: str
    data: Any = Field(default=None, alias="json")
    """The structured content of that message, if it has one; `json` on the wire."""


class Artifact(_Resource):
    """A file that a run produced."""

    name: str
    version: int
    media_type: str
    size: int
    sha256: str
    url: str


class UnreadablePlace(_Resource):
    """Where a run's log cannot be read."""

    entry: int
    """The number of the first entry that is damaged, missing or of a newer release."""
    key: str
    """Its object, below the root of the store."""


class Run(_Resource):
    """One run."""

    id: str
    object: Literal["run"] = "run"
    status: RunStatus
    stop_reason: str | None = None
    stop_code: str | None = None
    revision: int
    """Grows with every change; `ETag` is `"r{revision}"`."""
    team: TeamRef
    input: str | RunInput
    output: Output | None = None
    error: ErrorRecord | None = None
    unreadable: UnreadablePlace | None = None
    """Where its log cannot be read, if the status is `unreadable`."""
    required_actions: list[RequiredAction] = []
    """What the run waits for, where its status is `input_required`."""
    unread: list[str] = []
    """Messages to the team that came too late for it to hear them."""
    unknown_outcomes: list[str] = []
    """Calls with outside effects of which nobody knows whether they were made."""
    attempt: int = 1
    """Which attempt this is, from 1: one more than the retries of the run's `retry` policy."""
    epoch: int = 0
    """How many times a worker has claimed the run: begun, resumed, or taken it over."""
    progress: Progress = Progress()
    usage: RunUsage = Field(default_factory=RunUsage)
    scripted: bool = False
    """A script has answered at least one model call, so the output is not a model's work."""
    limits: Limits = Limits()
    """What it may use at most, as raised since."""
    parent_run_id: str | None = None
    """The run that this one is a retry or a fork of."""
    forked_from: ForkPoint | None = None
    created_at: datetime
    queued_at: datetime | None = None
    """When the run could first begin; null while it is scheduled."""
    run_at: datetime | None = None
    """When a scheduled run may begin."""
    expires_at: datetime | None = None
    """When a run that has not begun is given up."""
    deadline: datetime | None = None
    """When it ends at the latest."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    artifacts_count: int = 0
    urls: dict[str, str] = {}
    metadata: Metadata = {}
    tags: list[str] = []


class Event(_Resource):
    """Something that happened in a run, durable from the moment anybody sees it."""

    id: str
    """`{run_id}-{seq}`."""
    seq: int
    """From 1, without gaps."""
    type: str
    time: datetime
    run_id: str
    agent: str | None = None
    data: dict[str, Any] = {}


class Delta(_Resource):
    """A piece of text on its way; live only, without an id."""

    type: Literal["message.delta"] = "message.delta"
    run_id: str
    agent: str | None = None
    data: dict[str, Any] = {}


class EventPage(_Resource):
    """Events in order."""

    data: list[Event]
    next_cursor: str | None = None
    has_more: bool = False


class RunPage(_Resource):
    """Runs, newest first; a page may be short and still have a `next_cursor`."""

    data: list[Run]
    next_cursor: str | None = None
    has_more: bool = False


class RunResult(BaseModel):
    """The whole result of a finished run; the same document as `result.json` beside its log."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    run_id: str
    status: RunStatus
    stop_reason: str | None = None
    stop_code: str | None = None
    output: Output | None = None
    error: ErrorRecord | None = None
    usage: RunUsage = Field(default_factory=RunUsage)
    scripted: bool = False
    """A script answered at least one model call, so the output is not a model's work."""
    finished_at: datetime
    artifacts: list[ArtifactRecord] = []
    messages: list[dict[str, Any]] = []
