"""The specification of a run, pinned in entry 0 of its log."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from teamrun.components.definitions.base import TeamDefinition
from teamrun.dispatch.queues import Queue
from teamrun.json_types import JsonObject
from teamrun.messages.construct import made
from teamrun.messages.recordable import encodable, recordable
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.metadata import Metadata
from teamrun.runs.log.webhook import RunWebhook

__all__ = [
    "BEHAVIOUR",
    "INTERRUPTING",
    "BusyPolicy",
    "ForkPoint",
    "InputMessage",
    "ItemRef",
    "JsonData",
    "Metadata",
    "Retry",
    "RunInput",
    "RunSpec",
    "TeamRef",
    "Text",
    "ThreadPart",
]

BEHAVIOUR = 2
"""The version of the engine's behaviour; it increases when a replay would make other calls.

1: the first version. 2: turns and termination counts continue after a handoff to a person, and the
answer goes to the agent that asked; a selector that cannot decide chooses among its candidates;
names inside `<think>` are not mentions; agents and teams used as tools are run code instead of a
single call. Code checks it with `teamrun.core.behaviour.has_behaviour`.
"""

Text = Annotated[str, AfterValidator(encodable)]
"""Text that UTF-8 can encode: a lone surrogate is replaced by U+FFFD."""

JsonData = Annotated[Any, AfterValidator(recordable)]
"""JSON data that a log can store; see `teamrun.messages.recordable`."""


class InputMessage(BaseModel):
    """One message of a task."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    content: Text
    source: Text = "user"


class RunInput(BaseModel):
    """A task of several messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    messages: list[InputMessage] = Field(min_length=1)


class Retry(BaseModel):
    """How a run is retried after a transient failure, such as an overloaded model."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    max_attempts: int = Field(default=1, ge=1, le=20, strict=True)
    """Maximum number of attempts; 1 means no retry."""
    backoff_seconds: float = Field(default=10, ge=0, le=86_400, strict=True)
    """Delay before the second attempt; it doubles with each further attempt."""
    max_backoff_seconds: float = Field(default=600, ge=0, le=86_400, strict=True)

    def delay(self, attempts: int) -> float:
        """Seconds to wait after that many attempts."""
        return min(self.backoff_seconds * 2 ** (attempts - 1), self.max_backoff_seconds)


class TeamRef(BaseModel):
    """The team that a run executes."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    digest: str
    """sha256 of the canonical definition, in hexadecimal."""
    id: str | None = None
    """The name by which a request refers to the team, or the id of a stored team; null if the
    request contained the definition."""
    version: str | None = None
    """The version of the registered team, before `overrides`: the number of that of a stored team,
    otherwise the first 12 digits of its digest."""


class ForkPoint(BaseModel):
    """The run and the event that a run was forked from."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    run_id: str
    after_seq: int


BusyPolicy = Literal["enqueue", "reject", "interrupt", "rollback"]
"""What a new run does if its thread has a run that has not ended: wait for it, be refused, cancel
it and go on from what it has said, or cancel it and go on as if it had never been."""

INTERRUPTING = frozenset[BusyPolicy]({"interrupt", "rollback"})
"""The policies by which a run cancels those before it."""


class ThreadPart(BaseModel):
    """The thread that a run continues."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    thread_id: str
    on_busy: BusyPolicy = "enqueue"
    as_of: str | None = None
    """For a fork or retry: the run of the thread whose beginning it shares. It does not belong to
    the thread itself."""


class ItemRef(BaseModel):
    """The item of a batch that a run executes."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    batch_id: str
    index: int
    """The position of the item in the input, from 0."""
    position: int
    """The position of the item in the round, from 0."""
    round: int = 1
    """The round of the batch; each retry of failed items begins one."""
    custom_id: str
    queue: Queue = Queue.BATCH
    """The queue of the batch's runs."""


def _is_absent(value: object) -> bool:
    return value is None


class RunSpec(BaseModel):
    """Everything that determines what a run does, pinned when it is accepted; never a secret."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    tenant: str
    run_id: str
    team: TeamRef
    definition: TeamDefinition
    models: dict[str, str]
    """The model profiles that the definition uses, with their digests."""
    tools: dict[str, str]
    """The registered tools that the definition uses, with their digests."""
    agents: dict[str, str] = {}
    """The registered custom agents that the definition uses, with their digests."""
    functions: dict[str, str] = {}
    """The registered functions that the definition uses, with their digests."""
    input: str | RunInput
    metadata: Metadata = {}
    tags: list[str] = []
    temperature: float | None = None
    """Sent to the model with every call."""
    output_schema: JsonObject | None = None
    """JSON Schema of the output, as the client sent it."""
    seed: str
    """Hexadecimal; the ids and random numbers of the run are derived from it."""
    behaviour: int = BEHAVIOUR
    limits: Limits = Field(default_factory=Limits)
    retry: Retry = Field(default_factory=Retry)
    run_at: datetime | None = None
    expires_at: datetime | None = None
    deadline: datetime | None = None
    parent_run_id: str | None = None
    """The run that this one is a retry or a fork of."""
    forked_from: ForkPoint | None = None
    batch: ItemRef | None = None
    """The item of a batch that this run executes."""
    thread: ThreadPart | None = None
    """The thread that this run continues."""
    created_at: datetime
    request_hash: str
    """`request_digest` of the request, to recognize a repeated request."""
    webhook: RunWebhook | None = None
    """Where the events of the run are sent."""
    webhooks_at: datetime | None = None
    """The newest change of the tenant's registered webhooks, as known at the acceptance. A process
    that knows only older ones reads them again."""
    traceparent: Annotated[str | None, Field(exclude_if=_is_absent)] = None
    """That of the request (W3C Trace Context), if it is valid."""
    idempotency: str | None = None
    """The key of the Idempotency-Key's record; the record is deleted with the run."""

    def sharing(self, other: "RunSpec") -> "RunSpec":
        """The same specification, made of the parts of another one wherever they are equal.

        Runs of one team have the same definition, profiles, tools and limits; alone, each run in
        flight would keep its own copy of them.
        """
        theirs = vars(other)
        shared = {
            name: theirs[name] if theirs[name] == value else value
            for name, value in vars(self).items()
        }
        return made(RunSpec, shared)

    @property
    def queue(self) -> Queue:
        """The queue on which workers are asked to execute the run."""
        return Queue.INTERACTIVE if self.batch is None else self.batch.queue
