"""Where a run stands, as its log says and clients see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.runs.log.entries import Decision

__all__ = ["TERMINAL", "Progress", "RequiredAction", "RunStatus"]

RunStatus = Literal[
    "scheduled",
    "queued",
    "running",
    "input_required",
    "paused",
    "cancelling",
    "completed",
    "failed",
    "cancelled",
    "incomplete",
    "expired",
    "unreadable",
]
"""Where a run stands; `completed` to `expired` are final.

`unreadable`: this server cannot read the run's log (`unreadable` of the run has the place). That is
not final: it passes if the object is restored, or a newer release is used.
"""


TERMINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
"""The statuses that nothing follows."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run has come."""

    turn: int = 0
    max_turns: int | None = None
    current_agent: str | None = None


class RequiredAction(BaseModel):
    """A question that a run waits for; `POST .../input` answers it."""

    model_config = ConfigDict(frozen=True, defer_build=True, serialize_by_alias=True)

    id: str
    type: Literal["input", "approval"]
    agent: str | None = None
    prompt: str
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    """JSON Schema that `data` of the answer has to fit, where there is one."""
    expires_at: datetime | None = None
    decisions: tuple[Decision, ...] = ()
    """The values that `decision` of the answer may have."""
