"""The keys of objects. No other module builds them.

Every key of a tenant's data starts with that tenant. Text from clients is part of a key only if it
was validated before.
"""

import hashlib
from datetime import UTC, datetime, timedelta

from teamrun.core.refs import RunRef

__all__ = [
    "BATCHES",
    "GONE",
    "HOOKS",
    "OPEN",
    "answered_folder",
    "artifact_blob",
    "batch_marker",
    "delivery_index",
    "due_folder",
    "due_marker",
    "due_time",
    "endpoint_hook_folder",
    "entry_key",
    "entry_name",
    "entry_number",
    "events_key",
    "failing_key",
    "gone_folder",
    "gone_marker",
    "hook_folder",
    "hook_marker",
    "idempotency_key",
    "idle_marker",
    "is_list_name",
    "list_folder",
    "list_marker",
    "list_path",
    "list_place",
    "log_folder",
    "open_marker",
    "ref_of_list_marker",
    "ref_of_marker",
    "result_key",
    "run_folder",
    "snapshot_key",
    "webhook_folder",
    "webhooks_folder",
    "with_webhooks",
]

OPEN = "open/"
"""The markers of runs that should be executed now, spread over 16 folders."""


BATCHES = "batches/"
"""The markers of batches that have not ended."""


_IDLE = timedelta(hours=6)
"""How long a run may wait before the reaper checks it again."""

_LAST_MS = 10**13 - 1  # 13 digits of milliseconds reach the year 2286


def run_folder(ref: RunRef) -> str:
    """The folder of all objects of a run."""
    return f"t/{ref.tenant}/runs/{_digest(ref)[:2]}/{ref.run_id}/"


def _digest(ref: RunRef) -> str:
    return hashlib.sha256(ref.run_id.encode()).hexdigest()


def log_folder(ref: RunRef) -> str:
    """The folder of a run's log entries."""
    return f"{run_folder(ref)}log/"


def entry_number(ref: RunRef, key: str) -> int | None:
    """The number of the log entry with that key; None for another object, also beside the log."""
    digits = key.removeprefix(log_folder(ref)).removesuffix(".json")
    is_number = digits.isascii() and digits.isdigit()
    return int(digits) if is_number and entry_key(ref, int(digits)) == key else None


def entry_name(n: int) -> str:
    """The name of log entry `n` in the folder of the log."""
    return f"{n:06d}.json"


def entry_key(ref: RunRef, n: int) -> str:
    """The key of log entry `n`."""
    return log_folder(ref) + entry_name(n)


def artifact_blob(ref: RunRef, sha256: str) -> str:
    """The key of the bytes with that digest: an artifact, or a very large entry."""
    return f"{run_folder(ref)}blob/{sha256}"


def result_key(ref: RunRef) -> str:
    """The result document of an ended run."""
    return f"{run_folder(ref)}result.json"


def snapshot_key(ref: RunRef) -> str:
    """The newest snapshot of a long run."""
    return f"{run_folder(ref)}snapshot.json"


def events_key(ref: RunRef) -> str:
    """All events of an ended run, one JSON document per line."""
    return f"{run_folder(ref)}events.jsonl"


def open_marker(ref: RunRef) -> str:
    """The marker of a run that should be executed now."""
    return f"{OPEN}{_in_shard(ref)}"


def _in_shard(ref: RunRef) -> str:
    return f"{_digest(ref)[2]}/{ref}"


def batch_marker(tenant: str, batch_id: str) -> str:
    """The marker of a batch that has not ended."""
    return f"{BATCHES}{tenant}.{batch_id}"


def list_folder(tenant: str) -> str:
    """The markers by which runs are listed, newest first."""
    return f"t/{tenant}/index/"


def list_path(name: str) -> str:
    """Where a list marker of that name is in `list_folder`.

    The subfolders cover 28 hours, 17 minutes and 10 seconds. A store in a folder therefore reads
    a few small folders for a page, however many runs there are. Paths sort like names.
    """
    return f"{name[:5]}/{name[5:7]}/{name[7:9]}/{name}"


def is_list_name(name: str) -> bool:
    """Whether a list marker may have that name; cursors of lists are such names."""
    place, dot, run_id = name.partition(".")
    is_place = len(place) == 13 and place.isascii() and place.isdigit()
    return is_place and bool(dot and run_id) and "/" not in run_id


def list_place(created_at: datetime) -> int:
    """The number that the names of list markers start with, 13 digits: lower for newer runs."""
    return min(max(_LAST_MS - int(created_at.timestamp() * 1000), 0), _LAST_MS)


def list_marker(ref: RunRef, created_at: datetime) -> str:
    """The marker by which a run is listed."""
    return list_folder(ref.tenant) + list_path(f"{list_place(created_at):013d}.{ref.run_id}")


def due_marker(ref: RunRef, at: datetime) -> str:
    """The marker of a run that needs a worker at that time: a question expires, or it is due."""
    return f"{due_time(at)}/{_in_shard(ref)}"


def idle_marker(ref: RunRef, now: datetime) -> str:
    """The marker of a waiting run that the reaper should check in some hours, as a precaution."""
    hour = due_folder(now + _IDLE).removesuffix("/")
    return f"{hour}~/{_in_shard(ref)}"  # sorts between two hours


def due_time(at: datetime) -> str:
    """The prefix of the due markers of that millisecond; those of later times sort after it.

    Each time has its own marker. Otherwise a second time in the same hour would be missed.
    """
    return f"{due_folder(at)}{at.astimezone(UTC):%M%S%f}"[:-3]


def due_folder(at: datetime) -> str:
    """The folder of the due markers of one hour."""
    return f"due/{at.astimezone(UTC):%Y%m%d%H}/"


HOOKS = "hooks/"
"""The markers of log entries whose events are to be delivered to webhooks, by time."""


def hook_marker(ref: RunRef, n: int, at: datetime) -> str:
    """The marker of entry `n` of a log, whose events are due for delivery at that time."""
    return f"{HOOKS}{due_time(at).removeprefix('due/')}/{_in_shard(ref)}-{n}"


def webhook_folder(tenant: str, webhook_id: str) -> str:
    """The versions of a registered webhook, or of the secret for the webhooks of runs."""
    return f"{webhooks_folder(tenant)}{webhook_id}/"


def webhooks_folder(tenant: str) -> str:
    """The registered webhooks of a tenant."""
    return f"t/{tenant}/webhooks/"


def failing_key(tenant: str, webhook_id: str) -> str:
    """Since when a registered webhook has accepted nothing."""
    return f"{webhook_folder(tenant, webhook_id)}failing"


def answered_folder(tenant: str, webhook_id: str) -> str:
    """The time at which a registered webhook last accepted a test, as the name of an object."""
    return f"{webhook_folder(tenant, webhook_id)}answered/"


def with_webhooks(tenant: str) -> str:
    """The marker of a tenant that has registered webhooks."""
    return f"webhooks/{tenant}"


def delivery_index(tenant: str, webhook_id: str) -> str:
    """The deliveries to a registered webhook, newest first."""
    return f"t/{tenant}/deliveries/{webhook_id}/"


def endpoint_hook_folder(ref: RunRef) -> str:
    """The record of the deliveries of the events of a registered webhook itself."""
    return f"t/{ref.tenant}/webhook-hooks/{ref.run_id}/"


def hook_folder(ref: RunRef) -> str:
    """The record of the deliveries of a run's events, beside its log."""
    return f"{run_folder(ref)}hook/"


GONE = "gone/"
"""The folder of the plans of deletions."""


def gone_marker(ref: RunRef, at: datetime | None = None) -> str:
    """The plan of a deletion: in progress, or with traces to remove after the hour of `at`.

    The plans of an hour are spread over folders: each removal of one changes its folder.
    """
    if at is None:
        return f"{GONE}0000000000/{ref}"
    return f"{gone_folder(at)}{_digest(ref)[:2]}/{ref}"


def gone_folder(at: datetime) -> str:
    """The folder of the deletions whose traces are removed after the hour of `at`."""
    return f"{GONE}{at.astimezone(UTC):%Y%m%d%H}/"


def ref_of_marker(key: str) -> RunRef:
    """The run that an open marker names."""
    return RunRef.parse(key.rpartition("/")[2])


def ref_of_list_marker(tenant: str, key: str) -> RunRef:
    """The run that a list marker names.

    Raises:
        ValueError: The key names no run.
    """
    return RunRef.parse(f"{tenant}.{key.rpartition('/')[2].partition('.')[2]}")


def idempotency_key(tenant: str, scope: str, key: str) -> str:
    """The record of an Idempotency-Key."""
    digest = hashlib.sha256(f"{scope}\n{key}".encode()).hexdigest()
    return f"idem/{tenant}/{digest}"
