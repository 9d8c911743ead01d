"""The state of a run: a pure function of its log.

`fold(entries)` computes it from the whole log. `RunState.apply` adds one entry, for code that
follows a log. The state is cached but never stored as truth: two writers that read the same entries
must reach the same state, and a cache that was lost or is stale must not change what a run does.
For the same reason nothing here reads a clock; times come from the entries.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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

__all__ = ["INDEXED", "RunState", "fold"]

INDEXED = 64
"""The state has the `seq` of each entry whose number is a multiple of this."""

_FOLLOWED = frozenset({"run.input_required", "run.input_received", "limit.warned", "turn.started"})
"""The event types that change the state. Checked first, because most events do not."""


@with_config(ConfigDict(defer_build=True))
@dataclass(slots=True)
class RunState:
    """The state of a run after the first `entries` entries of its log."""

    spec: RunSpec
    at: datetime
    """The time of the newest entry."""
    entries: int = 0
    epoch: int = 0
    """The number of claims so far. A writer with a lower epoch has lost the run."""
    owner: str | None = None
    """The worker that executes the run; None if it is unclaimed or was released."""
    until: datetime | None = None
    """When the ownership ends unless the owner renews it; None if a lease decides."""
    term_seconds: float | None = None
    """How long an entry of the owner extends the ownership; None if entries do not."""
    seq: int = 1
    """The sequence number of the next event."""
    emitted: int = 0
    """The number of events that run code has emitted. A replay drops that many."""
    idle_claims: int = 0
    """Consecutive claims without progress, counting the current one. Each probably crashed."""
    idle_yields: int = 0
    """Consecutive hand-overs without a completed call."""
    cancel: Signal | None = None
    actions: list[RequiredAction] = field(default_factory=list[RequiredAction])
    """Open questions to people."""
    waiting: Wait | None = None
    """The wait that the run is in; None once a signal or a claim has followed it."""
    released_by: str | None = None
    """The worker that last wrote a wait, and may keep the code of the run in memory."""
    is_paused: bool = False
    has_turn: bool = False
    """All runs of its thread before it have ended."""
    limits: Limits = field(default_factory=Limits)
    """The limits in force, including those raised by a resume."""
    warned: list[str] = field(default_factory=list[str])
    """Limits that `limit.warned` was emitted for. Each is warned about once."""
    attempts: int = 1
    """The number of the current attempt: one more than the number of retries."""
    not_before: datetime | None = None
    """When a scheduled run, or the next attempt, may start."""
    diverged_since: datetime | None = None
    """When a replay first failed because the code does not match the log."""
    replay_from: int = 0
    """The first entry that a replay delivers; greater than 0 after a resume from the start."""
    seconds: float = 0.0
    """Execution time up to the newest entry; time in the queue or in a wait does not count."""
    intents: dict[str, str] = field(default_factory=dict[str, str])
    """Calls with outside effects that have started and have no outcome yet, with the digest of
    their arguments."""
    unknown: list[str] = field(default_factory=list[str])
    """Calls with outside effects that may or may not have taken effect."""
    signal_keys: list[str] = field(default_factory=list[str])
    end: End | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    usage: RunUsage = field(default_factory=RunUsage)
    scripted: bool = False
    """A script answered at least one model call."""
    artifacts: list[ArtifactRecord] = field(default_factory=list[ArtifactRecord])
    index: list[int] = field(default_factory=list[int])
    """The `seq` of every `INDEXED`th entry; a page of events is found by it."""
    progress: Progress = field(default_factory=Progress)

    @staticmethod
    def initial(spec: RunSpec, at: datetime) -> "RunState":
        """The state before entry 0, which an acceptance writes."""
        return RunState(spec, at, limits=spec.limits, not_before=spec.run_at)

    def to_json(self) -> bytes:
        """Serialize the state, to share it between processes."""
        return _STATE.dump_json(self)

    @staticmethod
    def from_json(data: bytes) -> "RunState":
        """Parse the shared form.

        Raises:
            ValueError: Another release wrote it, in another form.
        """
        state = _STATE.validate_json(data)
        if len(state.index) != -(-state.entries // INDEXED):
            raise ValueError("the index does not cover the entries")
        return state

    def entry_before(self, seq: int) -> int:
        """The number of the last indexed entry at or before the event `seq`."""
        return max(0, bisect_right(self.index, seq) - 1) * INDEXED

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

    @property
    def is_held(self) -> bool:
        """Whether the run waits for its turn in a thread."""
        thread = self.spec.thread
        return thread is not None and thread.as_of is None and not self.has_turn

    def is_waiting(self, now: datetime) -> bool:
        """Whether the run has nothing to do until a signal arrives or a time is reached."""
        if self.end is not None or self.cancel is not None or self.owner is not None:
            return False
        due = self.due_at()
        waits = self.is_paused or self.waiting is not None or self.not_before is not None
        waits = waits or self.is_held
        return waits and (due is None or now < due)

    def due_at(self) -> datetime | None:
        """When the run needs a worker even if no signal arrives; None if it never does."""
        times = [self.spec.deadline, self.spec.expires_at if self.epoch == 0 else None]
        if not self.is_paused:
            times += [self.not_before, self.waiting and self.waiting.until]
        return min((time for time in times if time is not None), default=None)

    def free_at(self, tolerance: timedelta) -> datetime | None:
        """When another worker may take over a claimed run; None if no time in the log decides.

        Args:
            tolerance: For clocks that differ, and for the writes of a slow owner.
        """
        return None if self.owner is None or self.until is None else self.until + tolerance

    def doubtful(self) -> list[str]:
        """Calls whose effect would be unknown if the run ended now."""
        return [*self.unknown, *self.intents]

    def apply(self, entry: Entry) -> None:
        """Apply the next entry.

        Raises:
            ValueError: The entry is not the next one, or the run has ended.
        """
        if entry.n != self.entries or self.end is not None:
            raise ValueError(f"entry {entry.n} cannot follow {self.entries} entries")
        if entry.n % INDEXED == 0:
            self.index.append(entry.seq)
        self.entries += 1
        if self.owner is not None:  # the time since the last entry was spent executing
            self.seconds += (entry.at - self.at).total_seconds()
        self.at = entry.at
        self.seq = entry.seq + len(entry.events)
        self._apply_body(entry)
        if self.term_seconds is not None and isinstance(entry.body, Claim | Step | Intent):
            self.until = entry.at + timedelta(seconds=self.term_seconds)
        for event in entry.events:
            if event.type in _FOLLOWED:
                self._apply_event(event)

    def _apply_body(self, entry: Entry) -> None:
        body = entry.body
        match body:
            case Step():  # first: most entries are steps
                self._apply_step(body, entry)
            case Claim():
                self._apply_claim(body, entry)
            case Intent():
                self.idle_claims = 0
                self.intents.update(body.calls)
                self.emitted += body.emitted
            case Signal():
                self._apply_signal(body)
            case Wait() | Yield():
                self._apply_release(body)
            case End():
                for call in body.calls:
                    self._apply_call(call)
                self.owner, self.end, self.finished_at = None, body, entry.at
                self.until = self.term_seconds = None
                # An intent without an outcome can get none after the end.
                self.unknown = self.doubtful()
                self.emitted += body.emitted
            case Accepted():
                self._inherit(body.prefix)

    def _apply_claim(self, claim: Claim, entry: Entry) -> None:
        self.epoch, self.owner = entry.epoch, claim.owner
        self.until, self.term_seconds = claim.until, claim.term_seconds
        self.waiting = self.not_before = None
        # Counted before any progress is known: a run that kills its worker writes nothing after
        # its claim. A step, intent, wait or yield resets the count.
        self.idle_claims += 1
        self.started_at = self.started_at or entry.at

    def _apply_step(self, step: Step, entry: Entry) -> None:
        if step.calls or entry.events:  # an empty step only renews the ownership
            self.idle_claims = 0
        if step.calls:  # a step of events alone is no progress: a hand-over repeats it
            self.idle_yields, self.diverged_since = 0, None
        self.emitted += step.emitted
        for call in step.calls:
            self._apply_call(call)

    def _inherit(self, prefix: Prefix | None) -> None:
        if prefix is not None:  # its usage was paid by the parent and does not count here
            self.emitted = prefix.emitted
            self.artifacts = list(prefix.artifacts)
            self.scripted = prefix.scripted

    def _apply_release(self, body: Wait | Yield) -> None:
        releaser, self.owner, self.idle_claims = self.owner, None, 0
        self.until = self.term_seconds = None
        self.emitted += body.emitted
        if isinstance(body, Wait):
            self.waiting, self.released_by = body, releaser
            self.is_paused = self.is_paused or body.why in ("limit", "diverged")
        elif body.why == "shutdown":
            self.idle_yields += 1
        elif body.why == "diverged":
            self.not_before = body.until
            # The first time counts: the patience is for all workers together.
            self.diverged_since = self.diverged_since or self.at
        else:
            self.attempts += 1
            self.not_before = body.until
            # The replay leaves out the failure, so run code emits again from that point.
            self.emitted = self.emitted if body.undo is None else body.undo.said

    def _apply_signal(self, signal: Signal) -> None:
        if signal.key is not None:
            self.signal_keys.append(signal.key)
        self.has_turn = self.has_turn or signal.signal == "turn"
        match signal.signal:
            case "cancel":
                self.cancel = signal
            case "pause":
                self.is_paused = True
            case "resume":
                if self.is_paused:  # otherwise the resume only raises limits
                    self.is_paused, self.waiting, self.diverged_since = False, None, None
                if signal.anew:  # run code starts over, and emits all of its events again
                    self.replay_from, self.emitted, self.actions = self.entries, 0, []
                if signal.limits is not None:
                    self.limits = self.limits.raised(Limits.model_validate(signal.limits))
            case "input":
                # An answer wakes a waiting run, but a paused one waits for its resume.
                self.waiting = self.waiting if self.is_paused else None
            case "message" | "turn":
                pass

    def _apply_call(self, call: CallRecord) -> None:
        self.artifacts.extend(call.artifacts)
        self.scripted = self.scripted or call.scripted
        self.intents.pop(call.call_id, None)
        if call.error is not None and call.error.code == "outcome_unknown":
            self.unknown.append(call.call_id)
        count(self.usage, call)

    def _apply_event(self, event: LoggedEvent) -> None:
        if event.type == "run.input_required":
            self.actions.append(RequiredAction.model_validate(event.data))
        elif event.type == "run.input_received":
            answered = event.data["action_id"]
            self.actions = [action for action in self.actions if action.id != answered]
        elif event.type == "limit.warned":
            self.warned.append(event.data["kind"])
        elif event.type == "turn.started":
            max_turns = self.spec.definition.max_turns
            self.progress = Progress(event.data["turn"], max_turns, event.agent)


_STATE = TypeAdapter(RunState)


def fold(entries: Iterable[Entry]) -> RunState | None:
    """The state after these entries, starting with entry 0; None if there is no run.

    There is no run without entries, or if entry 0 is an `end`: an unfinished acceptance that the
    reaper closed, or the tombstone of a deleted run.

    Raises:
        ValueError: The entries do not form a log.
    """
    state: RunState | None = None
    for entry in entries:
        if state is None:
            if isinstance(entry.body, End):
                return None
            if not isinstance(entry.body, Accepted):
                raise ValueError("a log starts with entry 0, `accepted`")
            state = RunState.initial(entry.body.spec, entry.at)
        state.apply(entry)
    return state
