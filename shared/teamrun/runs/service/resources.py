"""Runs as clients see them: the resources of the HTTP API, the same for every reader.

`docs/reference/http.md` describes each; field names are part of the contract. `public.py` makes
them. This module imports no log, so that a client of the API has them at a low cost.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.core.tolerance import OPEN
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import ErrorRecord
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.output import Output
from teamrun.runs.log.spec import ForkPoint, Metadata, RunInput, TeamRef
from teamrun.runs.log.status import Progress, RequiredAction, RunStatus
from teamrun.runs.log.usage import RunUsage
from teamrun.runs.log.webhook import RunWebhook

__all__ = [
    "Artifact",
    "ArtifactPage",
    "Delta",
    "Event",
    "EventPage",
    "Run",
    "RunPage",
    "UnreadablePlace",
]


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Artifact(_Resource):
    """A file that a run produced."""

    name: str
    version: int
    media_type: str
    size: int
    sha256: str
    url: str


class ArtifactPage(_Resource):
    """All files that a run has left, each version of each."""

    data: list[Artifact]
    next_cursor: str | None = None
    has_more: bool = False


class UnreadablePlace(_Resource):
    """The place at which a run's log is unreadable."""

    entry: int
    """The number of the first entry that is damaged, missing or from a newer release."""
    key: str
    """The key of its object in the store."""


class Run(_Resource):
    """One run."""

    id: str
    object: Annotated[Literal["run"], OPEN] = "run"
    status: Annotated[RunStatus, OPEN]
    stop_reason: str | None = None
    stop_code: str | None = None
    revision: int
    """Grows with every change; `ETag` is `"r{revision}"`."""
    team: TeamRef
    input: str | RunInput
    output: Output | None = None
    error: ErrorRecord | None = None
    unreadable: UnreadablePlace | None = None
    """The place at which the log is unreadable, if the status is `unreadable`."""
    required_actions: list[RequiredAction] = []
    """The questions that the run waits for, if the status is `input_required`."""
    unread: list[str] = []
    """Messages that arrived too late for the team to read them."""
    unknown_outcomes: list[str] = []
    """Calls with outside effects that may or may not have taken effect."""
    attempt: int = 1
    """The number of the current attempt under the run's `retry` policy, from 1."""
    epoch: int = 0
    """How many times a worker has claimed the run: to start, resume or take it over."""
    progress: Progress = Progress()
    usage: RunUsage = Field(default_factory=RunUsage)
    scripted: bool = False
    """A script has answered at least one model call, so the output is not a model's work."""
    limits: Limits = Limits()
    """The limits in force, including those raised by a resume."""
    parent_run_id: str | None = None
    """The run that this one is a retry or a fork of."""
    forked_from: ForkPoint | None = None
    thread_id: str | None = None
    """The thread that the run continues."""
    trace_id: str = ""
    """The id of the trace that contains the spans of the run: that of the `traceparent` of the
    request, or one of its own."""
    created_at: datetime
    queued_at: datetime | None = None
    """When the run could first start; null while it is scheduled."""
    run_at: datetime | None = None
    """When a scheduled run may start."""
    expires_at: datetime | None = None
    """When the run expires if it has not started."""
    deadline: datetime | None = None
    """When the run must end at the latest."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    artifacts_count: int = 0
    webhook: RunWebhook | None = None
    """Where the events of the run are sent."""
    urls: dict[str, str] = {}
    metadata: Metadata = {}
    tags: list[str] = []


class Event(_Resource):
    """Something that happened in a run; it is durable before any client receives it."""

    id: str
    """`{run_id}-{seq}`."""
    seq: int
    """The sequence number, from 1, without gaps."""
    type: str
    time: datetime
    run_id: str
    agent: str | None = None
    data: JsonObject = {}


class Delta(_Resource):
    """A piece of streamed text; live only, without an id."""

    type: Literal["message.delta"] = "message.delta"
    run_id: str
    agent: str | None = None
    data: JsonObject = {}


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
