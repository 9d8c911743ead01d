"""The state of a run: a pure function of its log, never stored as truth.

`fold(entries)` makes it; `RunState.apply` is one step of that, for whoever follows a log.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import TypeAdapter

from teamrun.messages.llm import RequestUsage
from teamrun.runs.entries import (
    Accepted,
    ArtifactRecord,
    CallRecord,
    Claim,
    End,
    Entry,
    Intent,
    LoggedEvent,
    Signal,
    Step,
    Wait,
    Yield,
)
from teamrun.runs.public import Progress, RequiredAction, RunStatus, Usage
from teamrun.runs.spec import RunSpec

__all__ = ["RunState", "fold"]


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
    cancel: Signal | None = None
    actions: list[RequiredAction] = field(default_factory=list[RequiredAction])
    """Questions without an answer."""
    waiting: Wait | None = None
    """Set while the run waits and nothing has come since."""
    is_paused: bool = False
    intents: dict[str, str] = field(default_factory=dict[str, str])
    """Calls with outside effects that were begun and have no outcome yet."""
    unknown: list[str] = field(default_factory=list[str])
    """Calls with outside effects of which nobody knows whether they were made."""
    signal_keys: list[str] = field(default_factory=list[str])
    end: End | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    usage: Usage = field(default_factory=Usage)
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
        if self.actions:
            return "input_required"
        return "queued" if self.owner is None else "running"

    def is_waiting(self, now: datetime) -> bool:
        """Whether there is nothing to do until somebody speaks, or a question expires."""
        if self.end is not None or self.cancel is not None or self.owner is not None:
            return False
        if self.is_paused:
            return True
        until = self.waiting and self.waiting.until
        return self.waiting is not None and (until is None or now < until)

    def apply(self, entry: Entry) -> None:
        """Take the next entry into account.

        Raises:
            ValueError: It is not the next one, or follows the end.
        """
        if entry.n != self.entries or self.end is not None:
            raise ValueError(f"entry {entry.n} cannot follow {self.entries} entries")
        self.entries += 1
        self.at = entry.at
        self.seq = entry.seq + len(entry.events)
        self._apply_body(entry)
        for event in entry.events:
            self._follow(event)

    def _apply_body(self, entry: Entry) -> None:
        body = entry.body
        match body:
            case Claim():
                self.epoch, self.owner, self.waiting = entry.epoch, body.owner, None
                self.idle_claims += 1
                self.started_at = self.started_at or entry.at
            case Step():
                self.idle_claims = 0
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
                self.owner, self.idle_claims = None, 0
                self.waiting = body if isinstance(body, Wait) else None
                self.emitted += body.emitted
            case End():
                self.owner, self.end, self.finished_at = None, body, entry.at
                self.emitted += body.emitted
            case Accepted():
                pass

    def _hear(self, signal: Signal) -> None:
        if signal.key is not None:
            self.signal_keys.append(signal.key)
        match signal.signal:
            case "cancel":
                self.cancel = signal
            case "pause":
                self.is_paused = True
            case "resume":
                self.is_paused, self.waiting = False, None
            case "input":
                self.waiting = self.waiting if self.is_paused else None
            case "message":
                pass

    def _count(self, call: CallRecord) -> None:
        self.artifacts.extend(call.artifacts)
        self.intents.pop(call.call_id, None)
        if call.error is not None and call.error.code == "outcome_unknown":
            self.unknown.append(call.call_id)
        used = call.usage or RequestUsage(prompt_tokens=0, completion_tokens=0)
        usage = self.usage
        self.usage = Usage(
            input_tokens=usage.input_tokens + used.prompt_tokens,
            output_tokens=usage.output_tokens + used.completion_tokens,
            cached_tokens=usage.cached_tokens + used.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens + used.reasoning_tokens,
            model_calls=usage.model_calls + (call.kind == "model"),
            tool_calls=usage.tool_calls + (call.kind == "tool"),
        )

    def _follow(self, event: LoggedEvent) -> None:
        if event.type == "run.input_required":
            self.actions.append(RequiredAction.model_validate(event.data))
        elif event.type == "run.input_received":
            answered = event.data["action_id"]
            self.actions = [action for action in self.actions if action.id != answered]
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
            if not isinstance(entry.body, Accepted):
                raise ValueError("a log begins with entry 0, `accepted`")
            state = RunState(spec=entry.body.spec, at=entry.at)
        state.apply(entry)
    return state
