"""The entries of a batch's log.

An entry is a JSON object `{v, n, kind, writer, nonce, at, seq, events[], body}`, as in the log of a
run, and is appended by the same rules (`docs/design/batches.md`).
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.batches.spec import BatchSpec
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import EndStatus

__all__ = [
    "BEFORE",
    "DELETED",
    "FINAL",
    "FORMAT",
    "Accepted",
    "BatchBody",
    "BatchEntry",
    "BatchEvent",
    "BatchStatus",
    "End",
    "Settled",
    "Signal",
    "Step",
    "Stop",
    "Tally",
]

FORMAT = 1
"""`v` of the envelope."""

DELETED = "deleted"
"""The `stop_code` in the place of entry 0 of a deleted batch."""

FinalStatus = Literal["completed", "failed", "cancelled"]

BatchStatus = Literal[
    "in_progress", "paused", "finalizing", "cancelling", "completed", "failed", "cancelled"
]
"""The status of a batch; `completed`, `failed` and `cancelled` are final until a retry.

`finalizing`: no more items start, and those in flight end.
"""

FINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled"})


BEFORE: Mapping[str, EndStatus | None] = MappingProxyType(
    {"f": "failed", "c": "cancelled", "i": "incomplete", "e": "expired", "n": None}
)
"""The letters of `Signal.before`; None: the item has never started."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Tally(_Record):
    """How items ended, and what they used."""

    by_status: dict[str, int] = {}
    """The number of items by the final status of their runs."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = None
    """None if the price of no model is known."""

    @property
    def count(self) -> int:
        """The number of items."""
        return sum(self.by_status.values())

    def plus(self, *others: "Tally") -> "Tally":
        """The sum of several."""
        every, by_status = (self, *others), dict[str, int]()
        for each in every:
            for status, count in each.by_status.items():
                by_status[status] = by_status.get(status, 0) + count
        costs = [each.cost_usd for each in every if each.cost_usd is not None]
        return Tally(
            by_status=by_status,
            input_tokens=sum(each.input_tokens for each in every),
            output_tokens=sum(each.output_tokens for each in every),
            cost_usd=sum(costs, Decimal()) if costs else None,
        )


class Settled(_Record):
    """A block of items that have all ended; their results are one object."""

    block: int
    tally: Tally
    size: int
    """The bytes of the results."""


class Accepted(_Record):
    """Entry 0: the batch is accepted."""

    kind: Literal["accepted"] = "accepted"
    spec: BatchSpec


class Step(_Record):
    """Items start, blocks of items are over."""

    kind: Literal["step"] = "step"
    fed: int
    """The number of items of the round that have started, in the order of the round."""
    settled: list[Settled] = []


class Signal(_Record):
    """A request of a client."""

    kind: Literal["signal"] = "signal"
    signal: Literal["cancel", "pause", "resume", "retry"]
    reason: str | None = None
    count: int = 0
    """The number of items of the round that a retry begins."""
    before: str = ""
    """The status of each of these items so far, one letter per item; see `BEFORE`."""
    limits: JsonObject | None = None
    """The limits of the batch that a retry changes; null removes one."""
    key: str | None = None
    """Digests of the Idempotency-Key and the request, to recognize a repeated one."""


class Stop(_Record):
    """No more items start, because of a limit or of failures."""

    kind: Literal["stop"] = "stop"
    code: str
    reason: str
    interrupts: bool = False
    """Whether the items in flight are cancelled; otherwise they end by themselves."""


class End(_Record):
    """The round is over; only a retry follows."""

    kind: Literal["end"] = "end"
    status: FinalStatus
    stop_code: str | None = None
    stop_reason: str | None = None
    void: bool = False
    """Closes an acceptance that was interrupted: there is no batch."""


BatchBody = Accepted | Step | Signal | Stop | End


class BatchEvent(_Record):
    """An event of a batch; `seq` and time come from the envelope."""

    type: str
    data: JsonObject = {}


class BatchEntry(_Record):
    """One numbered entry with its envelope."""

    v: Literal[1] = FORMAT
    n: Annotated[int, Field(ge=0)]
    writer: str
    nonce: str
    at: datetime
    seq: Annotated[int, Field(ge=1)]
    """The number of the first of `events`, or of the next event if there are none."""
    events: list[BatchEvent] = []
    body: Annotated[BatchBody, Field(discriminator="kind")]
