"""Batches and files as clients see them: the resources of the HTTP API, as plain data.

`public.py` makes those of batches.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.batches.entries import BatchStatus
from teamrun.batches.spec import BatchLimits
from teamrun.core.tolerance import OPEN
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import EndStatus, ErrorRecord
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.output import Output
from teamrun.runs.log.spec import Metadata, RunInput, TeamRef
from teamrun.runs.log.usage import Usage
from teamrun.runs.log.webhook import BatchWebhook

__all__ = [
    "Batch",
    "BatchCounts",
    "BatchEvent",
    "BatchEventPage",
    "BatchItemPage",
    "BatchItemView",
    "BatchPage",
    "BatchUsage",
    "File",
    "FilePage",
    "ItemError",
    "ItemResult",
    "ItemStatus",
]

ItemStatus = Literal["queued", "running"] | EndStatus
"""`queued`: not started. `running`: in the queue of a worker, executed, or waiting for a person."""


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class File(_Resource):
    """An uploaded file."""

    id: str
    object: Annotated[Literal["file"], OPEN] = "file"
    name: str | None = None
    """The name that the client gave it."""
    size: int
    """Bytes."""
    sha256: str
    """Of the content, in hexadecimal."""
    created_at: datetime


class FilePage(_Resource):
    """Files, newest first."""

    data: list[File]
    next_cursor: str | None = None
    has_more: bool = False


class ItemResult(_Resource):
    """The result of one item: a line of the results of a batch."""

    custom_id: str
    index: int
    """The position of the item in the input, from 0."""
    status: Annotated[EndStatus, OPEN]
    stop_reason: str | None = None
    stop_code: str | None = None
    output: Output | None = None
    """Null if it is larger than 256 KiB; the result of the run has it then."""
    error: ErrorRecord | None = None
    usage: Usage
    run_id: str
    finished_at: datetime
    metadata: Metadata = {}


class ItemError(_Resource):
    """An item that never started, because its batch ended before: a line of the errors of a batch.

    It has the fields of `ItemResult`, without a run.
    """

    custom_id: str
    index: int
    status: Literal["cancelled"]
    stop_reason: str | None = None
    stop_code: str | None = None
    output: None = None
    error: None = None
    usage: Usage = Usage()
    run_id: None = None
    finished_at: datetime | None
    metadata: Metadata = {}


class BatchCounts(_Resource):
    """The number of items by status, exact at the time of the answer."""

    total: int
    queued: int
    running: int
    completed: int
    failed: int
    cancelled: int
    incomplete: int
    expired: int


class BatchUsage(_Resource):
    """What the items that have ended have used, in all rounds."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = None
    """US dollars, for models whose price is known; null if no price is known."""


class Batch(_Resource):
    """Many runs of one team."""

    id: str
    object: Annotated[Literal["batch"], OPEN] = "batch"
    status: Annotated[BatchStatus, OPEN]
    stop_reason: str | None = None
    stop_code: str | None = None
    revision: int
    """Grows with every change; `ETag` is `"r{revision}"`."""
    team: TeamRef
    counts: BatchCounts
    usage: BatchUsage
    expected_cost_usd: Decimal | None = None
    """The cost of the whole batch if the other items cost as much as those that have ended."""
    seconds_left: float | None = None
    """The time until the end if the batch goes on as since its beginning; null if unknown."""
    skipped: int = 0
    """The number of invalid lines of the input that were left out."""
    round: int = 1
    """1, and one more for each retry of failed items."""
    max_concurrency: int
    limits: BatchLimits
    item_limits: Limits
    input_file_id: str | None = None
    input_url: str | None = None
    webhook: BatchWebhook | None = None
    """Where the events of the batch are sent."""
    created_at: datetime
    finished_at: datetime | None = None
    urls: dict[str, str] = {}
    metadata: Metadata = {}
    tags: list[str] = []


class BatchPage(_Resource):
    """Batches, newest first."""

    data: list[Batch]
    next_cursor: str | None = None
    has_more: bool = False


class BatchItemView(_Resource):
    """An item of a batch."""

    custom_id: str
    index: int
    """The position of the item in the input, from 0."""
    status: Annotated[ItemStatus, OPEN]
    run_id: str | None = None
    """The run of the item; null if it has not started."""
    input: str | RunInput
    metadata: Metadata = {}
    result: ItemResult | None = None
    """The result, once the item has ended."""


class BatchItemPage(_Resource):
    """Items of a batch, in the order of the input."""

    data: list[BatchItemView]
    next_cursor: str | None = None
    has_more: bool = False


class BatchEvent(_Resource):
    """Something that happened to a batch."""

    id: str
    """`{batch_id}-{seq}`."""
    seq: int
    """The sequence number, from 1, without gaps."""
    type: str
    time: datetime
    batch_id: str
    data: JsonObject = Field(default_factory=dict)


class BatchEventPage(_Resource):
    """Events of a batch, oldest first."""

    data: list[BatchEvent]
    next_cursor: str | None = None
    has_more: bool = False
