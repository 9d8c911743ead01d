"""The entries of a run's log: what may be appended, and how it is stored.

An entry is a JSON object `{v, n, kind, epoch, writer, nonce, at, seq, events[], body}`.
`docs/design/log.md` has the rules of appending.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, with_config
from pydantic_core import from_json, to_json

from teamrun.json_types import JsonObject
from teamrun.messages.llm import RequestUsage
from teamrun.messages.recordable import recordable
from teamrun.runs.log.kinds import KindName
from teamrun.runs.log.spec import RunSpec

__all__ = [
    "DELETED",
    "FORMAT",
    "KINDS",
    "Accepted",
    "ArtifactRecord",
    "Body",
    "CallRecord",
    "CancelMode",
    "Claim",
    "Decision",
    "End",
    "EndStatus",
    "Entry",
    "ErrorRecord",
    "Intent",
    "LoggedEvent",
    "Prefix",
    "Signal",
    "Step",
    "Undo",
    "Wait",
    "WrittenEvents",
    "Yield",
    "calls_of",
    "read_entry",
    "read_events",
]

FORMAT = 1
"""`v` of the envelope."""

EndStatus = Literal["completed", "failed", "cancelled", "incomplete", "expired"]

CancelMode = Literal["graceful", "now"]
"""`graceful` lets calls in flight complete; `now` interrupts them."""

Decision = Literal["approve", "reject", "answer"]
"""A person's decision on a question."""

_LATER = ConfigDict(defer_build=True, serialize_by_alias=True)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


@with_config(_LATER)
@dataclass(slots=True)
class LoggedEvent:
    """An event in an entry; `seq`, `time` and `run_id` come from the envelope."""

    # A dataclass, because each turn makes several, and a pydantic model costs ten times as much.
    type: str
    agent: str | None = None
    data: JsonObject = field(default_factory=JsonObject)


class ErrorRecord(_Body):
    """An exception as data."""

    type: str
    code: str
    message: str
    retryable: bool = False
    status_code: int | None = None
    """HTTP status of the service that failed, if there was one."""
    agent: str | None = None


class ArtifactRecord(_Body):
    """A file that a tool stored; its content is the blob with that digest."""

    name: str
    version: int
    media_type: str
    size: int
    """Bytes."""
    sha256: str
    agent: str | None = None


# Entries, steps and records are dataclasses for the same reason.


@dataclass(slots=True)
class CallRecord:
    """A completed call, whose outcome a replay delivers again."""

    call_id: str
    kind: KindName
    name: str
    value: Any = None
    error: ErrorRecord | None = None
    usage: RequestUsage | None = None
    cost_usd: Decimal | None = None
    """None if the price of the model is unknown."""
    model: str | None = None
    scripted: bool = False
    """A script answered in place of a model."""
    artifacts: list[ArtifactRecord] = field(default_factory=list[ArtifactRecord])
    state: JsonObject | None = None
    """The tool's `ToolContext.state` after the call, if the call changed it."""
    unawaited: bool = False
    """Run code no longer awaited the outcome when it was written."""
    arguments_digest: Annotated[str | None, Field(alias="intent")] = None
    """sha256 of the arguments, if the call has outside effects or was made inside another."""
    within: str | None = None
    """The id of the custom agent's turn in which this call was made."""
    duration_ms: float = 0


class Prefix(_Body):
    """The part of its parent's log that a fork or retry shares."""

    blob: str
    """sha256 of the blob with the shared entries, a JSON array."""
    emitted: int
    """How many of the shared events run code emitted."""
    artifacts: list[ArtifactRecord] = []
    scripted: bool = False
    """A script answered a shared model call."""


class Undo(_Body):
    """What the next attempt leaves out: the failure that ended the run, and its consequences."""

    calls: list[str]
    """The failed calls, which are made again."""
    said: int
    """How many events run code had emitted before the failure was delivered."""


class Accepted(_Body):
    """Entry 0: the run is accepted."""

    kind: Literal["accepted"] = "accepted"
    spec: RunSpec
    prefix: Prefix | None = None


class Claim(_Body):
    """A worker claims the run; the epoch increases by one."""

    kind: Literal["claim"] = "claim"
    owner: str
    until: datetime | None = None
    """When the ownership ends unless it is renewed; None if a lease in the live state decides."""
    term_seconds: float | None = None
    """Each later entry of the owner extends the ownership to this long after it; None if nothing
    does, because a platform ends the owner at `until`."""


@with_config(_LATER)
@dataclass(slots=True)
class Step:
    """Calls that have completed, with the events that belong to them."""

    kind: Literal["step"] = "step"
    calls: list[CallRecord] = field(default_factory=list[CallRecord])
    emitted: int = 0
    """How many of `events` run code emitted; they come first, the others belong to the calls."""
    followed: int = 0
    """How many of `emitted` come last instead: run code emitted them after it had received the
    outcomes."""


class Intent(_Body):
    """Calls with outside effects that are about to start; they start once this is durable."""

    kind: Literal["intent"] = "intent"
    calls: dict[str, str]
    """The ids of the calls, each with the sha256 of its arguments."""
    emitted: int = 0


class Signal(_Body):
    """A request from a person or program to the run."""

    kind: Literal["signal"] = "signal"
    signal: Literal["cancel", "input", "pause", "resume", "message", "turn"]
    """`turn` lets a run of a thread begin: all runs before it have ended."""
    reason: str | None = None
    mode: CancelMode = "now"
    """How a cancel treats the calls in flight."""
    action_id: str | None = None
    """The question that an input answers."""
    decision: Decision | None = None
    content: str | None = None
    data: Any = None
    source: str = "user"
    limits: JsonObject | None = None
    """Limits that a resume raises."""
    anew: bool = False
    """A resume restarts the run: a replay leaves out the entries before it."""
    key: str | None = None
    """`{sha256 of the Idempotency-Key}.{sha256 of the body}`, to recognize a repeated request."""


class Wait(_Body):
    """The run waits for a person; its owner releases it, and it uses no worker meanwhile."""

    kind: Literal["wait"] = "wait"
    why: Literal["input", "paused", "limit", "diverged"]
    until: datetime | None = None
    """When the first of the questions expires."""
    emitted: int = 0


class Yield(_Body):
    """The owner releases the run so that another worker continues it."""

    kind: Literal["yield"] = "yield"
    why: Literal["shutdown", "retry", "diverged"]
    until: datetime | None = None
    """When the next attempt starts."""
    undo: Undo | None = None
    """Set if the next attempt continues from before a failure."""
    emitted: int = 0


class End(_Body):
    """The last entry, with the calls that led to the end.

    An earlier release ignores the fields `calls` and `followed`.
    """

    kind: Literal["end"] = "end"
    status: EndStatus
    stop_reason: str | None = None
    stop_code: str | None = None
    output: JsonObject | None = None
    error: ErrorRecord | None = None
    unread: list[str] = []
    """Messages that arrived too late for the team to read them."""
    unknown_outcomes: list[str] = []
    """Calls with outside effects that may or may not have taken effect."""
    state: JsonObject | None = None
    """What the team's `save_state` returns, of a run of a thread whose team has stopped by itself;
    the next one loads it."""
    undo: Undo | None = None
    """Set if the failure of a call was the cause; a later retry uses it."""
    calls: list[CallRecord] = []
    """Calls whose outcomes let run code end; see `Step`."""
    emitted: int = 0
    followed: int = 0
    """How many of `emitted` come after the events of the calls; see `Step`."""


Body = Accepted | Claim | Step | Intent | Signal | Wait | Yield | End


def calls_of(body: Body) -> list[CallRecord]:
    """The completed calls that an entry records."""
    return body.calls if isinstance(body, Step | End) else []


DELETED = "deleted"
"""The `stop_code` of the `end` that replaces the entries of a deleted run."""

KINDS = frozenset({"accepted", "claim", "step", "intent", "signal", "wait", "yield", "end"})
"""The kinds of entries that this release reads."""


@with_config(_LATER)
@dataclass(slots=True)
class Entry:
    """One numbered entry with its envelope."""

    n: Annotated[int, Field(ge=0)]
    epoch: Annotated[int, Field(ge=0)]
    writer: str
    nonce: str
    at: datetime
    seq: Annotated[int, Field(ge=1)]
    """The number of the first of `events`, or of the next event if there are none."""
    body: Annotated[Body, Field(discriminator="kind")]
    events: list[LoggedEvent] = field(default_factory=list[LoggedEvent])
    v: Literal[1] = FORMAT

    def to_json(self) -> bytes:
        """The stored form, with the kind in the envelope too, and each event on its own line.

        Raises:
            ValueError: The entry contains text that UTF-8 cannot encode, or a value that is not
                JSON; see `mended`.
        """
        envelope = {
            "v": self.v,
            "n": self.n,
            "kind": self.body.kind,
            "epoch": self.epoch,
            "writer": self.writer,
            "nonce": self.nonce,
            "at": self.at,
            "seq": self.seq,
        }
        events = b",\n".join(map(_EVENT.serializer.to_json, self.events))
        # Serializing with a known type is twice as fast as inspecting the value.
        step = isinstance(self.body, Step)
        body = _STEP.serializer.to_json(self.body) if step else _to_json(self.body)
        return b"".join((to_json(envelope)[:-1], _EVENTS, events, _BODY, body, b"}"))

    def mended(self) -> "Entry":
        """The entry with encodable text and JSON values only.

        Outcomes of calls are recordable already. This is for what run code adds, such as names and
        texts of a definition that was made in Python.

        Raises:
            ValueError: The entry is too large or too deep.
        """
        return read_entry(_to_json(recordable(_ENTRY.dump_python(self))))


_ENTRY = TypeAdapter(Entry)

_EVENT = TypeAdapter(LoggedEvent)

_STEP = TypeAdapter(Step)

_to_json = partial(to_json, inf_nan_mode="null")  # as the adapters do; JSON has no NaN

_EVENTS, _BODY = b',"events":[\n', b'\n],"body":'


def read_entry(data: bytes) -> Entry:
    """Parse stored bytes.

    Raises:
        pydantic.ValidationError: They are not an entry of a known kind and format.
    """
    return _ENTRY.validate_json(data)


class WrittenEvents(NamedTuple):
    """The events of a stored entry, in their stored form."""

    head: bytes
    """The JSON object of the entry up to its events, without the brace at its end."""
    events: list[bytes]
    """Each is a JSON object: `{"type":...,"agent":...,"data":...}`."""

    @property
    def envelope(self) -> JsonObject:
        """The fields of the entry before its events."""
        return from_json(self.head + b"}")

    @property
    def seq(self) -> int:
        """The number of the first event; it is the last field of the envelope."""
        return int(self.head.rpartition(b":")[2])


def read_events(data: bytes) -> WrittenEvents:
    """The events of a stored entry, copied without being parsed."""
    if _EVENTS not in data:  # formatted by another program
        data = read_entry(data).to_json()
    head, _, rest = data.partition(_EVENTS)
    # JSON escapes newlines in text, so these are the only ones.
    lines = rest[: rest.index(_BODY)]
    events = lines.split(b",\n") if lines else []
    return WrittenEvents(head, events)
