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
    LoggedEvent,
    Signal,
    Step,
    Yield,
)
from teamrun.runs.public import Progress, RunStatus, Usage
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
        if self.owner is None:
            return "queued"
        return "cancelling" if self.cancel is not None else "running"

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
                self.epoch, self.owner = entry.epoch, body.owner
                self.idle_claims += 1
                self.started_at = self.started_at or entry.at
            case Step():
                self.idle_claims = 0
                self.emitted += body.emitted
                for call in body.calls:
                    self._count(call)
            case Signal():
                self.cancel = body
            case Yield():
                self.owner, self.idle_claims = None, 0
                self.emitted += body.emitted
            case End():
                self.owner, self.end, self.finished_at = None, body, entry.at
                self.emitted += body.emitted
            case Accepted():
                pass

    def _count(self, call: CallRecord) -> None:
        self.artifacts.extend(call.artifacts)
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
        if event.type == "turn.started":
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
