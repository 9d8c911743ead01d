"""Where events come from: logs, each with the ids that it knows.

A source is chosen by the prefix of the id. A batch, or anything else with a log of numbered
entries, becomes a further row of `sources_of`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from pydantic_core import from_json, to_json

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import Accepted, End, Entry
from teamrun.runs.log.keys import hook_folder
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.spec import RunSpec
from teamrun.runs.log.webhook import EVENT_TYPES, RunWebhook
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.jobs import Job

__all__ = ["GONE", "Gone", "Logged", "RunSource", "Source", "logged", "source_of"]


class Logged(NamedTuple):
    """The events of one entry that webhooks can subscribe to."""

    n: int
    """The number of the entry."""
    at: datetime
    """The time of the entry."""
    folder: str
    """Where the deliveries are recorded; ends in `/`."""
    webhook: RunWebhook | None
    """The webhook that the request named."""
    events: Sequence[JsonObject]
    """As clients read them."""
    as_of: datetime | None = None
    """A change of the endpoints that was known when the log was accepted."""


class Gone:
    """The log was deleted, or was never accepted: nothing is due."""


GONE = Gone()


class Source(Protocol):
    """Reads logs of one kind."""

    def folder(self, ref: RunRef) -> str:
        """Where the deliveries of a log's events are recorded; ends in `/`."""
        ...

    async def read(self, job: Job) -> Logged | Gone | None:
        """The events of the entry; None if it does not exist yet.

        Raises:
            UnreadableEntry: The log is unreadable.
            Unavailable: Storage does not respond.
        """
        ...

    async def history(self, ref: RunRef) -> Sequence[Logged] | None:
        """All entries with such events, in the order of the log; None if there is no such log.

        Raises:
            UnreadableEntry: The log is unreadable.
            Unavailable: Storage does not respond.
        """
        ...


class RunSource:
    """Implements `Source` for the logs of runs."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def read(self, job: Job) -> Logged | Gone | None:
        """The events of the entry, and the webhook of the run."""
        log = RunLog(self._store, job.ref, writer="webhooks", clock=self._clock)
        first = await log.read_next(0)
        if first is None:
            return None
        if isinstance(first.body, End):
            return GONE
        assert isinstance(first.body, Accepted), "a log starts with `accepted`"
        entry = first if job.n == 0 else await log.read_next(job.n)
        if entry is None:
            return None
        return logged(job.ref, entry, first.body.spec)

    def folder(self, ref: RunRef) -> str:
        """Beside the log."""
        return hook_folder(ref)

    async def history(self, ref: RunRef) -> Sequence[Logged] | None:
        """All entries with such events; None if the run does not exist, or was deleted."""
        entries = await RunLog(self._store, ref, writer="webhooks", clock=self._clock).read()
        if not entries or not isinstance(entries[0].body, Accepted):
            return None
        spec = entries[0].body.spec
        found = (logged(ref, entry, spec) for entry in entries)
        return [each for each in found if each.events]


def logged(ref: RunRef, entry: Entry, spec: RunSpec) -> Logged:
    """The events of an entry of a run."""
    events = list(enumerate(entry.events, entry.seq))
    if entry.n == 0:
        # The others are those of the run that this one was forked from.
        events = events[-1:]
    # As JSON, because the data of an event may contain message objects until it is stored.
    at = from_json(to_json(entry.at))
    return Logged(
        n=entry.n,
        at=entry.at,
        folder=hook_folder(ref),
        webhook=spec.webhook,
        as_of=spec.webhooks_at,
        events=[
            {
                "id": f"{ref.run_id}-{seq}",
                "seq": seq,
                "type": event.type,
                "time": at,
                "run_id": ref.run_id,
                "agent": event.agent,
                "data": from_json(to_json(event.data)),
            }
            for seq, event in events
            if event.type in EVENT_TYPES
        ],
    )


def source_of(sources: Mapping[str, Source], log_id: str) -> Source | None:
    """The source of the logs with such an id; the keys are prefixes, as `run_`."""
    return next((source for prefix, source in sources.items() if log_id.startswith(prefix)), None)
