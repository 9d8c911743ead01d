"""The protocol of calls: run code requests them, and the engine makes them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Protocol

from teamrun.core.call import CallInfo
from teamrun.json_types import JsonObject
from teamrun.messages.llm import RequestUsage
from teamrun.runs.log.entries import ArtifactRecord, CallRecord, Decision, ErrorRecord

__all__ = ["CallContext", "Outcome", "PendingCall", "Perform", "Question"]


@dataclass(slots=True)
class Outcome:
    """The outcome of a call, as the code that made it returns it."""

    value: Any = None
    error: ErrorRecord | None = None
    usage: RequestUsage | None = None
    cost_usd: Decimal | None = None
    model: str | None = None
    scripted: bool = False
    """A script answered in place of a model."""
    detail: JsonObject = field(default_factory=JsonObject)
    """Additional data for the event of the call."""
    is_recordable: bool = False
    """All of it has been made recordable already."""
    artifacts: tuple[ArtifactRecord, ...] = ()
    """Without versions; those are assigned when the entry is formed."""
    state: JsonObject | None = None


class CallContext(Protocol):
    """What a call can use while it is in flight, on the real loop."""

    info: CallInfo

    def emit(self, type: str, data: JsonObject) -> None:
        """Add an event that belongs to the call; it becomes durable soon."""
        ...

    @property
    def is_cancelled(self) -> bool:
        """Whether the engine has cancelled the call."""
        ...

    def waited(self, seconds: float) -> None:
        """Exclude time from the duration of the call: it waited for its turn."""
        ...

    def publish_delta(self, text: str) -> None:
        """Publish a piece of text to live subscribers; it is not stored."""
        ...

    async def make(
        self, kind: str, name: str, position: int, perform: "Perform", arguments: str
    ) -> Outcome:
        """Make a call inside this one, with its own record, limits and events.

        Args:
            kind: The name of a row of `CALL_KINDS`.
            name: The name of the model profile.
            position: Its number inside this call.
            perform: Makes the call.
            arguments: The sha256 of the request. A turn that is repeated finds the record by it.
        """
        ...

    async def put_blob(self, data: bytes) -> str:
        """Store bytes beside the log; returns their hexadecimal sha256."""
        ...

    async def get_blob(self, sha256: str) -> bytes:
        """Read bytes stored beside the log."""
        ...

    def artifact(self, name: str) -> ArtifactRecord | None:
        """The newest durable version of an artifact of this run."""
        ...

    def artifact_names(self) -> list[str]:
        """Names of the durable artifacts of this run."""
        ...


Perform = Callable[[CallContext], Awaitable[Outcome]]
"""Makes a call, on the real loop; an exception becomes the recorded error."""


class Question(NamedTuple):
    """A question from run code to a person."""

    agent: str
    """The path of the agent that asks."""
    type: Literal["input", "approval"]
    prompt: str
    schema: JsonObject | None = None
    """JSON Schema of the answer's `data`."""
    expires_in: timedelta | None = None
    decisions: tuple[Decision, ...] = ("answer",)
    """The allowed values of the answer's `decision`."""


@dataclass(slots=True, eq=False)
class PendingCall:
    """A call that run code waits for."""

    call_id: str
    kind: str
    """The name of a row of `CALL_KINDS`."""
    name: str
    agent: str
    position: int
    perform: Perform | None
    """None for a question, whose answer is a signal in the log."""
    future: asyncio.Future[CallRecord] | None = None
    """None for a call inside another one, which awaits it directly."""
    arguments_digest: str | None = None
    """The sha256 of the arguments if the call has outside effects and so needs an intent."""
    expires_at: datetime | None = None
