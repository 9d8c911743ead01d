"""The keys of objects of batches and files. No other module builds them."""

import hashlib
from datetime import UTC, datetime
from typing import NamedTuple, Self

from teamrun.core.ids import derived_id, id_time
from teamrun.runs.log.keys import batch_marker, list_place

__all__ = [
    "GONE_BATCHES",
    "UPLOADS",
    "BatchRef",
    "batch_folder",
    "batch_list_folder",
    "batch_list_key",
    "chunk_key",
    "done_folder",
    "entry_key",
    "file_folder",
    "file_list_folder",
    "file_list_key",
    "gone_batch_marker",
    "hour_of_gone_batches",
    "hour_of_uploads",
    "invalid_key",
    "item_run_id",
    "items_folder",
    "live_marker",
    "log_folder",
    "name_in_list",
    "part_key",
    "place_in_list",
    "results_key",
    "snapshot_key",
    "source_key",
    "todo_key",
    "upload_marker",
]

GONE_BATCHES = "gone-batches/"
"""The plans of deletions of batches, by the hour from which the runs are removed."""

UPLOADS = "uploads/"
"""The markers of uploads that have begun, by hour."""


class BatchRef(NamedTuple):
    """Names one batch."""

    tenant: str
    batch_id: str

    def __str__(self) -> str:
        """The name of the marker: `{tenant}.{batch_id}`."""
        return f"{self.tenant}.{self.batch_id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The reference with that form.

        Raises:
            ValueError: The text does not have that form.
        """
        tenant, dot, batch_id = text.partition(".")
        if not (tenant and dot and batch_id) or "/" in text or "." in batch_id:
            raise ValueError(f"{text!r} is not of the form tenant.batch_id")
        return cls(tenant, batch_id)


def live_marker(ref: BatchRef) -> str:
    """The marker of a batch that has not ended."""
    return batch_marker(*ref)


def batch_folder(ref: BatchRef) -> str:
    """The folder of all objects of a batch."""
    spread = hashlib.sha256(ref.batch_id.encode()).hexdigest()[:2]
    return f"t/{ref.tenant}/batches/{spread}/{ref.batch_id}/"


def log_folder(ref: BatchRef) -> str:
    """The folder of the entries of a batch's log."""
    return f"{batch_folder(ref)}log/"


def entry_key(ref: BatchRef, n: int) -> str:
    """Entry `n` of a batch's log."""
    return f"{log_folder(ref)}{n:06d}.json"


def snapshot_key(ref: BatchRef) -> str:
    """A state of the batch, from which its log can be read on; derived."""
    return f"{batch_folder(ref)}state.json"


def items_folder(ref: BatchRef) -> str:
    """The folder of the items of the batch."""
    return f"{batch_folder(ref)}items/"


def chunk_key(ref: BatchRef, first: int) -> str:
    """The items of the batch from index `first` on, one JSON document per line."""
    return f"{items_folder(ref)}{first:07d}.jsonl"


def source_key(ref: BatchRef) -> str:
    """The version of the object that the items were read from."""
    return f"{items_folder(ref)}source"


def invalid_key(ref: BatchRef) -> str:
    """The lines of the input that were skipped."""
    return f"{batch_folder(ref)}invalid.jsonl"


def todo_key(ref: BatchRef, number: int) -> str:
    """The indices of the items of a round after the first."""
    return f"{batch_folder(ref)}r{number:03d}/todo.json"


def done_folder(ref: BatchRef, number: int) -> str:
    """The folder of the results of single items that belong to no block yet."""
    return f"{batch_folder(ref)}r{number:03d}/done/"


def results_key(ref: BatchRef, number: int, block: int) -> str:
    """The results of one block of items, in the order of the input."""
    return f"{batch_folder(ref)}r{number:03d}/results/{block:06d}.jsonl"


def item_run_id(ref: BatchRef, number: int, index: int) -> str:
    """The id of the run of an item in a round: the same whoever creates the run."""
    return derived_id("run", id_time(ref.batch_id), ref, number, index)


def batch_list_folder(tenant: str) -> str:
    """The markers by which batches are listed, newest first."""
    return f"t/{tenant}/batch-list/"


def batch_list_key(ref: BatchRef) -> str:
    """The marker by which a batch is listed."""
    return batch_list_folder(ref.tenant) + name_in_list(ref.batch_id)


def file_list_folder(tenant: str) -> str:
    """The descriptions of files, newest first."""
    return f"t/{tenant}/file-list/"


def file_list_key(tenant: str, file_id: str) -> str:
    """The description of a file; a file exists if and only if this object does."""
    return file_list_folder(tenant) + name_in_list(file_id)


def name_in_list(item_id: str) -> str:
    """The name of an id in a list that is sorted from the newest to the oldest."""
    return f"{list_place(id_time(item_id)):013d}.{item_id}"


def place_in_list(key: str) -> str:
    """The id that a key of a list names."""
    return key.rpartition("/")[2].partition(".")[2]


def file_folder(tenant: str, file_id: str) -> str:
    """The folder of the parts of a file."""
    return f"t/{tenant}/files/{file_id}/"


def part_key(tenant: str, file_id: str, number: int) -> str:
    """One part of a file."""
    return f"{file_folder(tenant, file_id)}{number:06d}"


def upload_marker(tenant: str, file_id: str) -> str:
    """The marker of an upload that has begun."""
    return f"{UPLOADS}{id_time(file_id).astimezone(UTC):%Y%m%d%H}/{tenant}.{file_id}"


def hour_of_uploads(at: datetime) -> str:
    """The folder of the uploads that began in the hour of `at`."""
    return f"{UPLOADS}{at.astimezone(UTC):%Y%m%d%H}/"


def gone_batch_marker(ref: BatchRef, at: datetime) -> str:
    """The plan of a deletion whose runs are removed after the hour of `at`."""
    return f"{hour_of_gone_batches(at)}{ref}"


def hour_of_gone_batches(at: datetime) -> str:
    """The folder of the deletions whose runs are removed after the hour of `at`."""
    return f"{GONE_BATCHES}{at.astimezone(UTC):%Y%m%d%H}/"
