"""Runs as clients see them: the resources of the HTTP API, the same for every reader.

`docs/reference/http.md` describes each; field names are part of the contract.
"""

import contextlib
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.core.refs import RunRef
from teamrun.errors import UnreadableEntry
from teamrun.json_types import JsonObject
from teamrun.runs.log.archive import output_of
from teamrun.runs.log.entries import ErrorRecord
from teamrun.runs.log.keys import created_at
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.output import Output
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.spec import ForkPoint, Metadata, RunInput, TeamRef
from teamrun.runs.log.state import RunState
from teamrun.runs.log.status import Progress, RequiredAction, RunStatus
from teamrun.runs.log.usage import RunUsage

__all__ = [
    "Artifact",
    "Delta",
    "Event",
    "EventPage",
    "Run",
    "RunPage",
    "UnreadablePlace",
    "public_run",
    "read_run",
    "unreadable_run",
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


class UnreadablePlace(_Resource):
    """The place at which a run's log is unreadable."""

    entry: int
    """The number of the first entry that is damaged, missing or from a newer release."""
    key: str
    """The key of its object in the store."""


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


def public_run(state: RunState) -> Run:
    """A run as clients see it."""
    spec, end = state.spec, state.end
    return Run(
        id=spec.run_id,
        status=state.status,
        stop_reason=end.stop_reason if end else None,
        stop_code=end.stop_code if end else None,
        revision=state.entries,
        team=spec.team,
        input=spec.input,
        output=output_of(state),
        error=end.error if end else None,
        required_actions=state.actions if end is None else [],
        unread=end.unread if end else [],
        unknown_outcomes=state.unknown,
        attempt=state.attempts,
        epoch=state.epoch,
        progress=state.progress,
        usage=state.usage,
        scripted=state.scripted,
        limits=state.limits,
        parent_run_id=spec.parent_run_id,
        forked_from=spec.forked_from,
        created_at=spec.created_at,
        queued_at=None if state.status == "scheduled" else spec.run_at or spec.created_at,
        run_at=spec.run_at,
        expires_at=spec.expires_at,
        deadline=spec.deadline,
        started_at=state.started_at,
        finished_at=state.finished_at,
        artifacts_count=len({artifact.name for artifact in state.artifacts}),
        urls=_urls(spec.run_id),
        metadata=spec.metadata,
        tags=spec.tags,
    )


async def unreadable_run(log: RunLog, error: UnreadableEntry) -> Run:
    """An unreadable run as clients see it, with the data of its first entry if that is readable."""
    run_id = log.ref.run_id
    shown = Run(
        id=run_id,
        status="unreadable",
        revision=0,
        team=TeamRef(name="", digest=""),
        input="",
        created_at=created_at(run_id),
    )
    with contextlib.suppress(UnreadableEntry):
        first = await log.read_next(0)
        state = None if first is None else log.folded([first])
        shown = shown if state is None else public_run(state)
    own: JsonObject = {
        "status": "unreadable",
        "revision": 0,
        "error": ErrorRecord(type="UnreadableEntry", code=error.code, message=error.message),
        "unreadable": UnreadablePlace(entry=error.entry, key=error.key),
        "urls": _urls(run_id),
    }
    return shown.model_copy(update=own)


async def read_run(reader: RunReader, ref: RunRef) -> Run:
    """The current state of a run as clients see it.

    Raises:
        RunNotFound: The run does not exist.
    """
    try:
        return public_run(await reader.state(ref))
    except UnreadableEntry as error:
        return await unreadable_run(reader.log(ref), error)


def _urls(run_id: str) -> dict[str, str]:
    own = f"/v1/runs/{run_id}"
    parts = (
        "events",
        "result",
        "artifacts",
        "cancel",
        "input",
        "pause",
        "resume",
        "messages",
        "retry",
        "fork",
    )
    return {"self": own, **{part: f"{own}/{part}" for part in parts}}
