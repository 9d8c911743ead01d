"""The webhook of one run, and the event types that webhooks can subscribe to."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from teamrun.runs.log.metadata import Metadata

__all__ = [
    "DEFAULT_BATCH_EVENTS",
    "DEFAULT_EVENTS",
    "EVENT_TYPES",
    "BatchWebhook",
    "Format",
    "Payload",
    "RunWebhook",
    "Subscription",
    "matches",
]

EVENT_TYPES = {
    "run.queued": "A run was accepted and waits for a worker.",
    "run.scheduled": "A run was accepted and starts later.",
    "run.started": "A worker started a run for the first time.",
    "run.retried": "A run failed for a transient reason and will be retried.",
    "run.input_required": "A run asks a person.",
    "run.input_received": "A question of a run is closed.",
    "run.paused": "A run is paused until it is resumed.",
    "run.resumed": "A paused run may continue.",
    "run.completed": "The team of a run has stopped.",
    "run.failed": "A run cannot continue.",
    "run.cancelled": "A client cancelled a run.",
    "run.incomplete": "A limit stopped a run.",
    "run.expired": "A run did not start in time.",
    "batch.started": "A batch was accepted, or retried.",
    "batch.progressed": "Items of a batch have ended.",
    "batch.completed": "All items of a batch have ended.",
    "batch.failed": "A batch was stopped by a limit or by failures.",
    "batch.cancelled": "A client cancelled a batch.",
    "webhook.disabled": "A registered webhook is sent nothing more.",
    "webhook.tested": "A client has tested a registered webhook.",
}
"""The event types that webhooks can subscribe to, with a sentence for each."""

DEFAULT_EVENTS = (
    "run.input_required",
    "run.completed",
    "run.failed",
    "run.cancelled",
    "run.incomplete",
    "run.expired",
)
"""What a run's webhook is sent if it names no types: a person is needed, or the run has ended."""

DEFAULT_BATCH_EVENTS = ("batch.completed", "batch.failed", "batch.cancelled")
"""What a batch's webhook is sent if it names no types."""

Payload = Literal["full", "thin"]
"""`full` is the whole event; `thin` is the event without its `data`."""

Format = Literal["standard", "cloudevents"]
"""`cloudevents` adds the headers of CloudEvents 1.0, in binary mode, to the same body."""


def _pattern_of(group: str, pattern: str) -> str:
    """Check a pattern of event types.

    Args:
        group: The types that can occur begin with it.
        pattern: The pattern.

    Raises:
        ValueError: No type that can occur matches the pattern.
    """
    names = [name for name in EVENT_TYPES if name.startswith(group)]
    prefix = pattern.removesuffix("*")
    if pattern in names or pattern == "*":
        return pattern
    if pattern.endswith(".*") and any(name.startswith(prefix) for name in names):
        return pattern
    raise ValueError(
        f"{pattern!r} is not an event type that is sent here; use one of {', '.join(names)}, "
        f"all of a group ({group or 'run.'}*), or all (*)"
    )


_Pattern = Annotated[str, StringConstraints(max_length=64)]
_Size = Field(min_length=1, max_length=50)

Subscription = Annotated[list[Annotated[_Pattern, AfterValidator(partial(_pattern_of, ""))]], _Size]
"""The event types that a webhook is sent: names, all of a group (`run.*`) or all (`*`)."""

_OfRun = Annotated[list[Annotated[_Pattern, AfterValidator(partial(_pattern_of, "run."))]], _Size]
_OfBatch = Annotated[
    list[Annotated[_Pattern, AfterValidator(partial(_pattern_of, "batch."))]], _Size
]


def matches(patterns: Iterable[str], event_type: str) -> bool:
    """Whether a subscription includes the type."""
    group = f"{event_type.partition('.')[0]}.*"
    return any(pattern in (event_type, group, "*") for pattern in patterns)


class RunWebhook(BaseModel):
    """Where to send the events of one run; signed with the secret of `GET /v1/webhook-secret`."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    url: Annotated[str, StringConstraints(min_length=1, max_length=2_048)] = Field(
        examples=["https://example.com/hooks/teamrun"]
    )
    """An `https://` URL with public addresses; operators can allow others."""
    events: _OfRun = list(DEFAULT_EVENTS)
    """The event types to send; by default questions to people, and the end of the run."""
    metadata: Metadata = {}
    """Key-value pairs that each request contains."""
    payload: Payload = "full"
    format: Format = "standard"


class BatchWebhook(RunWebhook):
    """Where to send the events of one batch; signed with the secret of `GET /v1/webhook-secret`."""

    events: _OfBatch = list(DEFAULT_BATCH_EVENTS)
    """The event types to send; by default the end of the batch."""
