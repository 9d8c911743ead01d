"""Drafts: forming the next entry of a run from outcomes and events that are not yet in the log.

A draft takes nothing out of the queues that it was formed from. Another writer may append first (a
signal, for example). Then the draft is dropped, the foreign entry is applied, and the decision is
made again: after a cancel, the same entry would be wrong. Only when a draft is durable does
`discard` remove what it contains.
"""

from dataclasses import dataclass
from datetime import datetime

from teamrun.core.call import agent_name
from teamrun.runs.engine.admission import Gate
from teamrun.runs.engine.calls import Calls, record_of
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import PendingCall
from teamrun.runs.log.entries import Body, CallRecord, End, Intent, LoggedEvent, Step, Wait, Yield
from teamrun.runs.log.events import call_events, end_event
from teamrun.runs.log.state import RunState

__all__ = ["Draft", "Drafts"]


@dataclass(slots=True)
class Draft:
    """An entry to write, and how much of each queue it contains."""

    body: Body
    events: list[LoggedEvent]
    emitted: int = 0
    """Events of run code."""
    done: int = 0
    """Completed calls."""
    progress: int = 0
    """Events from inside calls in flight."""
    intents: tuple[PendingCall, ...] = ()
    """Calls to start once the entry is durable."""
    at: datetime | None = None
    """The time of the entry, if run code has received its outcomes already."""


class Drafts:
    """Forms entries from the state, the journal and the calls of one execution."""

    def __init__(self, state: RunState, journal: Journal, calls: Calls, gate: Gate) -> None:
        self._state = state
        self._journal = journal
        self._calls = calls
        self._gate = gate

    def step(self) -> Draft:
        """An entry with the calls that have completed, and the new events.

        Events of run code come first: run code emitted them before it received these outcomes, and
        a replay drops them by their number.
        """
        events = self._gate.announced()
        emitted, progress = len(events), len(self._calls.events)
        events += self._calls.events
        records: list[CallRecord] = []
        versions = {artifact.name: artifact.version for artifact in self._state.artifacts}
        for item in self._calls.done:
            is_unawaited = (item.within or item.call.call_id) not in self._journal.pending
            record = record_of(item, unawaited=is_unawaited, versions=versions)
            records.append(record)
            agent = agent_name(item.call.agent)
            events += call_events(record, agent=agent, detail=item.outcome.detail)
        body = Step("step", records, emitted)
        return Draft(body, events, emitted, len(records), progress)

    def follow(self, draft: Draft) -> None:
        """Add what run code has emitted since it received the outcomes of a draft."""
        assert isinstance(draft.body, Step)
        self._gate.foresee(draft.body.calls)
        followed = self._gate.announced()[draft.emitted :]
        draft.events += followed
        draft.emitted += len(followed)
        draft.body.emitted, draft.body.followed = draft.emitted, len(followed)

    def conclude(self, draft: Draft, end: End) -> None:
        """Make the end of the run of a draft whose outcomes led to it."""
        step = draft.body
        assert isinstance(step, Step)
        draft.events.append(end_event(end))
        draft.body = end.model_copy(
            update={
                "calls": step.calls,
                "emitted": step.emitted,
                "followed": step.followed,
                "unknown_outcomes": self._state.doubtful(),
            }
        )

    def intent(self, calls: list[PendingCall]) -> Draft:
        """An entry that announces calls with outside effects, which start when it is durable."""
        body = Intent(calls={call.call_id: call.arguments_digest or "" for call in calls})
        draft = self.closing(body)
        draft.intents = tuple(calls)
        return draft

    def closing(self, body: End | Intent | Wait | Yield, *own: LoggedEvent) -> Draft:
        """An entry that completes no call.

        Args:
            body: The entry's body; the counts are filled in here.
            own: Events of the entry itself, which come last.
        """
        emitted, progress = self._gate.announced(), self._calls.events[:]
        if isinstance(body, End):
            own = (*own, end_event(body))
            body = body.model_copy(
                update={"emitted": len(emitted), "unknown_outcomes": self._state.doubtful()}
            )
        else:
            body = body.model_copy(update={"emitted": len(emitted)})
        events = [*emitted, *progress, *own]
        return Draft(body, events, emitted=len(emitted), progress=len(progress))

    def discard(self, draft: Draft) -> None:
        """Remove what a durable draft contains from the queues.

        By number, because more may have arrived at the ends of the queues while it was written.
        """
        self._calls.recorded(draft.done)
        del self._calls.events[: draft.progress]
        del self._journal.events[: draft.emitted]
