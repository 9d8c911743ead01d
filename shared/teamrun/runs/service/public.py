"""The resources of runs, made from their logs."""

import contextlib

from teamrun.core.ids import id_time
from teamrun.core.refs import RunRef
from teamrun.errors import UnreadableEntry
from teamrun.json_types import JsonObject
from teamrun.runs.log.archive import output_of
from teamrun.runs.log.entries import ErrorRecord
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.spec import TeamRef
from teamrun.runs.log.state import RunState
from teamrun.runs.log.traces import trace_of
from teamrun.runs.service.resources import Run, UnreadablePlace

__all__ = ["public_run", "read_run", "unreadable_run"]


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
        thread_id=None if spec.thread is None or spec.thread.as_of else spec.thread.thread_id,
        trace_id=trace_of(spec).trace_id,
        created_at=spec.created_at,
        queued_at=None if state.status == "scheduled" else spec.run_at or spec.created_at,
        run_at=spec.run_at,
        expires_at=spec.expires_at,
        deadline=spec.deadline,
        started_at=state.started_at,
        finished_at=state.finished_at,
        artifacts_count=len({artifact.name for artifact in state.artifacts}),
        webhook=spec.webhook,
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
        created_at=id_time(run_id),
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
