"""The items and the optional fields of a batch."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from teamrun.batches.requests import BatchItem
from teamrun.batches.spec import BatchLimits
from teamrun.json_types import JsonMapping
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.spec import Retry
from teamrun.runs.log.webhook import BatchWebhook
from teamrun.runs.service.requests import Overrides

__all__ = ["BatchOptions", "FileOptions", "Item", "item_of"]

Item: TypeAlias = str | BatchItem | JsonMapping
"""An item of a batch: its task, or an object with `input` and perhaps `custom_id`, `overrides`,
`output_schema` and `metadata`."""


class BatchOptions(TypedDict, total=False):
    """Fields of a new batch that have a default; None is the same as leaving the field out."""

    overrides: Overrides | JsonMapping | None
    """Settings of the team that all items override."""
    output_schema: JsonMapping | None
    """JSON Schema of an object that the output of each item has to fit."""
    max_concurrency: int | None
    """Maximum number of items in flight."""
    limits: BatchLimits | JsonMapping | None
    """Limits of the whole batch."""
    item_limits: Limits | JsonMapping | None
    """The limits of each run."""
    retry: Retry | JsonMapping | None
    """How each run is retried after a transient failure."""
    on_item_failure: Literal["continue", "stop"] | None
    """With `stop`, no more items start after one has failed."""
    max_failure_rate: float | None
    """No more items start if a larger share of those that ended has failed."""
    min_sample: int | None
    """How many items must have ended before `max_failure_rate` applies."""
    completion_window_seconds: float | None
    """If the batch takes longer, no more items start, and those in flight are cancelled."""
    priority: Literal["batch", "interactive"] | None
    """`interactive` executes items as soon as single runs."""
    metadata: Mapping[str, str] | None
    """Up to 16 key-value pairs."""
    tags: Sequence[str] | None
    """Up to 16 labels, also of each run."""
    webhook: BatchWebhook | JsonMapping | None
    """Where the events of the batch are sent, such as `{"url": "https://example.com/hook"}`."""


class FileOptions(BatchOptions, total=False):
    """`BatchOptions`, and how a file is read."""

    input_format: Literal["jsonl", "csv"] | None
    """The format of the file; by default CSV if its name ends in `.csv`, else JSONL."""
    input_template: str | None
    """The task of each row of a CSV file, with the names of columns in braces."""
    on_invalid: Literal["reject", "skip"] | None
    """`reject` refuses a file with invalid lines; `skip` leaves these lines out."""


def item_of(item: Item) -> Any:
    """An item as it is sent."""
    return {"input": item} if isinstance(item, str) else item
