"""The bodies of requests about batches, the same over HTTP and in process."""

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from teamrun.batches.spec import BatchLimits
from teamrun.json_types import JsonObject
from teamrun.messages.recordable import encodable, recordable
from teamrun.runs.log.limits import Limits, Seconds
from teamrun.runs.log.spec import Metadata, Retry, RunInput, Text
from teamrun.runs.log.webhook import BatchWebhook
from teamrun.runs.service.requests import OutputSchema, Overrides

__all__ = ["MAX_INLINE_ITEMS", "MAX_ITEMS", "BatchItem", "BatchRequest"]

MAX_INLINE_ITEMS = 1_000
"""Maximum number of items in the body of a request."""

MAX_ITEMS = 100_000
"""Maximum number of items of a batch."""

CustomId = Annotated[
    str, StringConstraints(min_length=1, max_length=256), AfterValidator(encodable)
]


class BatchItem(BaseModel):
    """One task of a batch: an item of `items`, or a line of a JSONL file."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    custom_id: CustomId | None = None
    """The client's name of the item, unique in the batch; by default its position, from 1."""
    input: Text | RunInput
    """The task."""
    overrides: Overrides | None = None
    """Settings of the team that this item overrides, besides those of the batch."""
    output_schema: OutputSchema | None = None
    """JSON Schema that the output of this item has to fit, in place of that of the batch."""
    metadata: Metadata = {}
    """Key-value pairs of the client."""


class BatchRequest(BaseModel):
    """The body of `POST /v1/batches`.

    Exactly one of `team` and `team_spec` is required, and one of `items`, `input_file_id` and
    `input_url`.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        defer_build=True,
    )

    team: str | None = Field(default=None, min_length=1, max_length=256, examples=["analysts"])
    """The name of a team that the operator registered."""
    team_spec: Annotated[JsonObject, AfterValidator(recordable)] | None = None
    """A team definition that uses registered models and tools."""
    items: list[BatchItem] | None = Field(default=None, min_length=1, max_length=MAX_INLINE_ITEMS)
    """The tasks."""
    input_file_id: str | None = Field(default=None, min_length=1, max_length=64)
    """An uploaded file with the tasks: JSONL with an item per line, or CSV with a header."""
    input_url: str | None = Field(
        default=None, min_length=1, max_length=2048, examples=["s3://my-bucket/tasks/jan.jsonl"]
    )
    """An object with the tasks below a prefix that the operator allows (`TEAMRUN_BATCH_INPUTS`)."""
    input_format: Literal["jsonl", "csv"] | None = None
    """The format of the file; by default CSV if its name ends in `.csv`, else JSONL."""
    input_template: Text | None = Field(
        default=None, min_length=1, max_length=65_536, examples=["Summarise {title}: {body}"]
    )
    """The task of each row of a CSV file, with the names of columns in braces; `{{` is a brace. By
    default the column `input`."""
    on_invalid: Literal["reject", "skip"] = "reject"
    """`reject` refuses a file with invalid lines; `skip` leaves these lines out."""
    overrides: Overrides = Overrides()
    """Settings of the team that all items override."""
    output_schema: OutputSchema | None = None
    """JSON Schema that the output of each item has to fit, as in the request of a run."""
    max_concurrency: int = Field(default=100, ge=1, le=5_000, strict=True)
    """Maximum number of items in flight; those that wait for a person do not count."""
    limits: BatchLimits = BatchLimits()
    """Limits of the whole batch."""
    item_limits: Limits = Limits()
    """The limits of each run."""
    retry: Retry = Retry()
    """How each run is retried after a transient failure."""
    completion_window_seconds: Seconds | None = None
    """If the batch takes longer, no more items start, and those in flight are cancelled."""
    on_item_failure: Literal["continue", "stop"] = "continue"
    """With `stop`, no more items start after one has failed."""
    max_failure_rate: float | None = Field(default=None, ge=0, le=1, strict=True)
    """No more items start if a larger share of those that ended has failed."""
    min_sample: int = Field(default=20, ge=1, le=1_000_000, strict=True)
    """How many items must have ended before `max_failure_rate` applies."""
    priority: Literal["batch", "interactive"] = "batch"
    """`interactive` executes items as soon as single runs; with `batch`, single runs come first."""
    metadata: Metadata = {}
    """Key-value pairs of the client."""
    tags: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(
        default=[], max_length=16
    )
    """Labels of the client, also of each run."""
    webhook: BatchWebhook | None = None
    """Where the events of the batch are sent."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.team is None) == (self.team_spec is None):
            raise ValueError("give exactly one of `team` and `team_spec`")
        if [self.items, self.input_file_id, self.input_url].count(None) != 2:
            raise ValueError("give exactly one of `items`, `input_file_id` and `input_url`")
        if self.items is not None and (self.input_template or self.input_format):
            raise ValueError(
                "`input_template` and `input_format` are only for `input_file_id` and `input_url`"
            )
        return self
