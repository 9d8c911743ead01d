"""Forming the next entry of a run out of what waits to be written.

A draft says how much of that it holds, so that nothing is lost where another writer was first: the
entry is then formed anew, with what has come since.
"""

from dataclasses import dataclass

from teamrun.core.call import agent_name
from teamrun.runs.engine.admission import Gate
from teamrun.runs.engine.calls import Calls, record_of
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import PendingCall
from teamrun.runs.log.entries import Body, End, Intent, LoggedEvent, Step, Wait, Yield
from teamrun.runs.log.events import call_events, end_event
from teamrun.runs.log.state import RunState

__all__ = ["Draft", "Drafts"]


@dataclass(slots=True)
class Draft:
    """An entry as it is to be written, and how much of what waits it holds."""

    body: Body
    events: list[LoggedEvent]
    said: int = 0
    done: int = 0
    progress: int = 0
    intents: tuple[PendingCall, ...] = ()


class Drafts:
    """Forms entries from the state, the journal and the calls of one execution."""

    def __init__(self, state: RunState, journal: Journal, calls: Calls, gate: Gate) -> None:
        self._state = state
        self._journal = journal
        self._calls = calls
        self._gate = gate

    def step(self) -> Draft:
        """Calls that have completed, and events."""
        done, progress = self._calls.done[:], self._calls.events[:]
        said = self._gate.announced()
        versions = {artifact.name: artifact.version for artifact in self._state.artifacts}
        records = [
            record_of(
                item,
                unawaited=(item.within or item.call.call_id) not in self._journal.pending,
                versions=versions,
            )
            for item in done
        ]
        events = said + progress
        for item, record in zip(done, records, strict=True):
            agent = agent_name(item.call.agent)
            events += call_events(record, agent=agent, detail=item.outcome.detail)
        body = Step(calls=records, emitted=len(said))
        return Draft(body, events, said=len(said), done=len(done), progress=len(progress))

    def intent(self, calls: list[PendingCall]) -> Draft:
        """Calls with outside effects are about to begin."""
        body = Intent(calls={call.call_id: call.arguments_digest or "" for call in calls})
        draft = self.closing(body)
        draft.intents = tuple(calls)
        return draft

    def closing(self, body: End | Intent | Wait | Yield, *own: LoggedEvent) -> Draft:
        """An entry that completes no call; `own` are events of its own, told last."""
        said, progress = self._gate.announced(), self._calls.events[:]
        if isinstance(body, End):
            own = (*own, end_event(body))
            body = body.model_copy(
                update={"emitted": len(said), "unknown_outcomes": self._state.doubtful()}
            )
        else:
            body = body.model_copy(update={"emitted": len(said)})
        return Draft(body, [*said, *progress, *own], said=len(said), progress=len(progress))

    def discard(self, draft: Draft) -> None:
        """The draft is durable: what it holds waits no longer."""
        del self._calls.done[: draft.done]
        del self._calls.events[: draft.progress]
        del self._journal.events[: draft.said]
