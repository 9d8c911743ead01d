"""The state of a run: a pure function of its log, never stored as truth.

`fold(entries)` makes it; `RunState.apply` is one step of that, for whoever follows a log.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ConfigDict, TypeAdapter, with_config

from teamrun.runs.log.entries import (
    Accepted,
    ArtifactRecord,
    CallRecord,
    Claim,
    End,
    Entry,
    Intent,
    LoggedEvent,
    Prefix,
    Signal,
    Step,
    Wait,
    Yield,
)
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.spec import RunSpec
from teamrun.runs.log.status import Progress, RequiredAction, RunStatus
from teamrun.runs.log.usage import RunUsage, count

__all__ = ["RunState", "fold"]

_FOLLOWED = frozenset({"run.input_required", "run.input_received", "limit.warned", "turn.started"})
"""Types of events that change a state; few of all."""


@with_config(ConfigDict(defer_build=True))
@dataclass(slots=True)
class RunState:
    """What the first `entries` entries of a log say."""

    spec: RunSpec
    at: datetime
    """The time of the newest entry."""
    entries: int = 0
    epoch: int = 0
    """The number of claims so far; the one in force."""
    owner: str | None = None
    """Who executes; None where nobody has claimed the run or its owner has let go."""
    seq: int = 1
    """The number of the next event."""
    emitted: int = 0
    """How many of the events came from run code."""
    idle_claims: int = 0
    """Claims in a row that ended without a step or a yield."""
    idle_yields: int = 0
    """Hand-overs in a row without a call that was completed."""
    cancel: Signal | None = None
    actions: list[RequiredAction] = field(default_factory=list[RequiredAction])
    """Questions without an answer."""
    waiting: Wait | None = None
    """Set while the run waits and nothing has come since."""
    is_paused: bool = False
    limits: Limits = field(default_factory=Limits)
    """As raised since."""
    warned: list[str] = field(default_factory=list[str])
    """Limits that a warning has been given of."""
    attempts: int = 1
    """Which attempt at the run this is: one more than its retries."""
    not_before: datetime | None = None
    """When a scheduled run, or the next attempt, may begin."""
    diverged_since: datetime | None = None
    """Since when replays of the run have met other code than made its record."""
    replay_from: int = 0
    """The first entry that a replay takes into account."""
    seconds: float = 0.0
    """Time at work, up to the newest entry."""
    intents: dict[str, str] = field(default_factory=dict[str, str])
    """Calls with outside effects that were begun and have no outcome yet."""
    unknown: list[str] = field(default_factory=list[str])
    """Calls with outside effects of which nobody knows whether they were made."""
    signal_keys: list[str] = field(default_factory=list[str])
    end: End | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    usage: RunUsage = field(default_factory=RunUsage)
    scripted: bool = False
    """A script answered at least one model call."""
    artifacts: list[ArtifactRecord] = field(default_factory=list[ArtifactRecord])
    progress: Progress = field(default_factory=Progress)

    def to_json(self) -> bytes:
        """The form in which states are shared between processes."""
        return _STATE.dump_json(self)

    @staticmethod
    def from_json(data: bytes) -> "RunState":
        """Read the shared form.

        Raises:
            pydantic.ValidationError: Another release wrote it.
        """
        return _STATE.validate_json(data)

    @property
    def status(self) -> RunStatus:
        """The status that clients see."""
        if self.end is not None:
            return self.end.status
        if self.cancel is not None:
            return "cancelling"
        if self.is_paused and self.owner is None:
            return "paused"
        if self.not_before is not None and self.epoch == 0:
            return "scheduled"
        if self.actions:
            return "input_required"
        return "queued" if self.owner is None else "running"

    def is_waiting(self, now: datetime) -> bool:
        """Whether there is nothing to do until somebody speaks, or a question expires."""
        if self.end is not None or self.cancel is not None or self.owner is not None:
            return False
        due = self.due_at()
        waits = self.is_paused or self.waiting is not None or self.not_before is not None
        return waits and (due is None or now < due)

    def due_at(self) -> datetime | None:
        """When something has to be done though nobody speaks; None where nothing has."""
        times = [self.spec.deadline, self.spec.expires_at if self.epoch == 0 else None]
        if not self.is_paused:
            times += [self.not_before, self.waiting and self.waiting.until]
        return min((time for time in times if time is not None), default=None)

    def doubtful(self) -> list[str]:
        """Calls of which nobody would know whether they were made, should the run end here."""
        return [*self.unknown, *self.intents]

    def apply(self, entry: Entry) -> None:
        """Take the next entry into account.

        Raises:
            ValueError: It is not the next one, or follows the end.
        """
        if entry.n != self.entries or self.end is not None:
            raise ValueError(f"entry {entry.n} cannot follow {self.entries} entries")
        self.entries += 1
        if self.owner is not None:
            self.seconds += (entry.at - self.at).total_seconds()
        self.at = entry.at
        self.seq = entry.seq + len(entry.events)
        self._apply_body(entry)
        for event in entry.events:
            if event.type in _FOLLOWED:
                self._follow(event)

    def _apply_body(self, entry: Entry) -> None:
        body = entry.body
        match body:
            case Claim():
                self.epoch, self.owner = entry.epoch, body.owner
                self.waiting = self.not_before = None
                self.idle_claims += 1
                self.started_at = self.started_at or entry.at
            case Step():
                self.idle_claims = 0
                if body.calls:
                    self.idle_yields, self.diverged_since = 0, None
                self.emitted += body.emitted
                for call in body.calls:
                    self._count(call)
            case Intent():
                self.idle_claims = 0
                self.intents.update(body.calls)
                self.emitted += body.emitted
            case Signal():
                self._hear(body)
            case Wait() | Yield():
                self._let_go(body)
            case End():
                self.owner, self.end, self.finished_at = None, body, entry.at
                self.unknown = self.doubtful()
                self.emitted += body.emitted
            case Accepted():
                self._inherit(body.prefix)

    def _inherit(self, prefix: Prefix | None) -> None:
        if prefix is not None:
            self.emitted = prefix.emitted
            self.artifacts = list(prefix.artifacts)
            self.scripted = prefix.scripted

    def _let_go(self, body: Wait | Yield) -> None:
        self.owner, self.idle_claims = None, 0
        self.emitted += body.emitted
        if isinstance(body, Wait):
            self.waiting = body
            self.is_paused = self.is_paused or body.why in ("limit", "diverged")
        elif body.why == "shutdown":
            self.idle_yields += 1
        elif body.why == "diverged":
            self.not_before = body.until
            self.diverged_since = self.diverged_since or self.at
        else:
            self.attempts += 1
            self.not_before = body.until
            self.emitted = self.emitted if body.undo is None else body.undo.said

    def _hear(self, signal: Signal) -> None:
        if signal.key is not None:
            self.signal_keys.append(signal.key)
        match signal.signal:
            case "cancel":
                self.cancel = signal
            case "pause":
                self.is_paused = True
            case "resume":
                if self.is_paused:  # else it only raises limits
                    self.is_paused, self.waiting, self.diverged_since = False, None, None
                if signal.anew:
                    self.replay_from, self.emitted, self.actions = self.entries, 0, []
                if signal.limits is not None:
                    self.limits = self.limits.raised(Limits.model_validate(signal.limits))
            case "input":
                self.waiting = self.waiting if self.is_paused else None
            case "message":
                pass

    def _count(self, call: CallRecord) -> None:
        self.artifacts.extend(call.artifacts)
        self.scripted = self.scripted or call.scripted
        self.intents.pop(call.call_id, None)
        if call.error is not None and call.error.code == "outcome_unknown":
            self.unknown.append(call.call_id)
        count(self.usage, call)

    def _follow(self, event: LoggedEvent) -> None:
        if event.type == "run.input_required":
            self.actions.append(RequiredAction.model_validate(event.data))
        elif event.type == "run.input_received":
            answered = event.data["action_id"]
            self.actions = [action for action in self.actions if action.id != answered]
        elif event.type == "limit.warned":
            self.warned.append(event.data["kind"])
        elif event.type == "turn.started":
            self.progress = Progress(
                turn=event.data["turn"],
                max_turns=self.spec.definition.max_turns,
                current_agent=event.agent,
            )


_STATE = TypeAdapter(RunState)


def fold(entries: Iterable[Entry]) -> RunState | None:
    """The state after these entries, the first of which is entry 0; None where there are none.

    Raises:
        ValueError: They do not form a log.
    """
    state: RunState | None = None
    for entry in entries:
        if state is None:
            if isinstance(entry.body, End):
                return None  # void: its acceptance broke off, and nobody was told of it
            if not isinstance(entry.body, Accepted):
                raise ValueError("a log begins with entry 0, `accepted`")
            spec = entry.body.spec
            state = RunState(spec, entry.at, limits=spec.limits, not_before=spec.run_at)
        state.apply(entry)
    return state
