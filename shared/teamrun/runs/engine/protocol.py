"""The protocol of calls: run code asks for them, and the engine makes them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol

from teamrun.core.call import CallInfo
from teamrun.messages.llm import RequestUsage
from teamrun.runs.log.entries import ArtifactRecord, CallRecord, Decision, ErrorRecord

__all__ = ["CallContext", "CallKind", "Outcome", "PendingCall", "Perform", "Question"]

CallKind = Literal["model", "tool", "memory", "input", "agent"]
"""What is outside of run code."""


@dataclass(slots=True)
class Outcome:
    """What a call came to, as its performer reports it."""

    value: Any = None
    error: ErrorRecord | None = None
    usage: RequestUsage | None = None
    cost_usd: Decimal | None = None
    model: str | None = None
    artifacts: tuple[ArtifactRecord, ...] = ()
    """Without versions: those are given when the entry is formed."""
    state: dict[str, Any] | None = None
    scripted: bool = False
    """A script answered in place of a model."""
    detail: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the event that tells of the call says besides."""


class CallContext(Protocol):
    """What a call may use while it is under way, on the real loop."""

    info: CallInfo

    def emit(self, type: str, data: dict[str, Any]) -> None:
        """Add an event that belongs to the call; it becomes durable soon."""
        ...

    @property
    def is_cancelled(self) -> bool:
        """Whether the engine has asked for the end of the call."""
        ...

    def publish_delta(self, text: str) -> None:
        """Show a piece of text to live subscribers; nothing is kept."""
        ...

    async def make(
        self, kind: CallKind, name: str, position: int, perform: "Perform", arguments: str
    ) -> Outcome:
        """Make a call inside of this one, with a record, limits and events of its own.

        Args:
            kind: What sort of call it is.
            name: Of the model profile.
            position: Its number inside of this call.
            perform: Makes it.
            arguments: sha256 of what is asked, by which it is known again.
        """
        ...

    async def put_blob(self, data: bytes) -> str:
        """Store bytes beside the log; returns their sha256 in hexadecimal."""
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
"""Makes a call, on the real loop; what it raises becomes the recorded error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What run code asks a person."""

    agent: str
    """Path of the agent that asks."""
    type: Literal["input", "approval"]
    prompt: str
    schema: dict[str, Any] | None = None
    """JSON Schema of the answer's `data`."""
    expires_in: timedelta | None = None
    decisions: tuple[Decision, ...] = ("answer",)
    """The values that `decision` of the answer may have."""


@dataclass(slots=True, eq=False)
class PendingCall:
    """A call that run code waits for."""

    call_id: str
    kind: CallKind
    name: str
    agent: str
    position: int
    perform: Perform | None
    """None for a question: its answer comes from outside of the worker."""
    future: asyncio.Future[CallRecord] | None = None
    """None for a call inside another one, which waits for it by itself."""
    arguments_digest: str | None = None
    """sha256 of the arguments of a call with outside effects, which needs an intent first."""
    expires_at: datetime | None = None
