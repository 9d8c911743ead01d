"""The status of a run, as clients see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.core.tolerance import OPEN
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import Decision

__all__ = ["AT_REST", "TERMINAL", "Progress", "RequiredAction", "RunStatus"]

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
"""The status of a run; `completed` to `expired` are final.

`unreadable`: this server cannot read the run's log (the run's `unreadable` field has the place).
That is not final: it ends when the object is restored or a newer release is used.
"""

TERMINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
"""The final statuses."""

AT_REST: frozenset[str] = frozenset({"input_required", "paused", "unreadable"})
"""The statuses in which a run waits for a person or an operator."""


@dataclass(slots=True)
class Progress:
    """The progress of a run."""

    turn: int = 0
    max_turns: int | None = None
    current_agent: str | None = None


class RequiredAction(BaseModel):
    """A question that a run waits for; `POST .../input` answers it."""

    model_config = ConfigDict(frozen=True, defer_build=True, serialize_by_alias=True)

    id: str
    type: Annotated[Literal["input", "approval"], OPEN]
    agent: str | None = None
    prompt: str
    schema_: JsonObject | None = Field(default=None, alias="schema")
    """JSON Schema of the answer's `data`, if the answer needs data."""
    expires_at: datetime | None = None
    decisions: tuple[Annotated[Decision, OPEN], ...] = ()
    """The allowed values of the answer's `decision`."""
