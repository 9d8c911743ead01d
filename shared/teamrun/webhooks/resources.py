"""Webhooks as clients see them: the resources of the HTTP API, as plain data."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.core.tolerance import OPEN
from teamrun.runs.log.metadata import Metadata
from teamrun.runs.log.webhook import Format, Payload
from teamrun.webhooks.target import DisabledBecause

__all__ = [
    "MOST_TRIES",
    "Deliveries",
    "DeliveryResource",
    "DeliveryStatus",
    "EventType",
    "EventTypes",
    "GivenUpBecause",
    "NewWebhook",
    "Redelivered",
    "Tested",
    "Try",
    "Webhook",
    "WebhookPage",
    "WebhookSecret",
]

MOST_TRIES = 50
"""How many requests of a delivery are shown."""

DeliveryStatus = Literal["pending", "delivered", "failed", "skipped"]
"""`pending`: it will be tried again. `failed`: it is given up. `skipped`: the webhook was
disabled."""

GivenUpBecause = Literal["run_deleted", "batch_deleted", "webhook_deleted"]
"""What the event was about was deleted before the delivery was over."""


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class WebhookSecret(_Resource):
    """The secret that signs the webhooks of a tenant's runs."""

    object: Annotated[Literal["webhook_secret"], OPEN] = "webhook_secret"
    secret: str = Field(repr=False)
    """`whsec_` and 32 bytes in Base64, as libraries for Standard Webhooks take it."""
    old_secret_until: datetime | None = None
    """Until when requests are signed with a replaced secret, too."""


class Webhook(_Resource):
    """A registered webhook."""

    id: str
    object: Annotated[Literal["webhook"], OPEN] = "webhook"
    url: str
    events: list[str]
    """The event types that it is sent; `run.*` are all of a group, `*` are all."""
    payload: Annotated[Payload, OPEN] = "full"
    format: Annotated[Format, OPEN] = "standard"
    description: str = ""
    metadata: Metadata = {}
    """Key-value pairs that each request contains."""
    enabled: bool = True
    disabled_because: Annotated[DisabledBecause | None, OPEN] = None
    disabled_at: datetime | None = None
    failing_since: datetime | None = None
    """Since when every request has failed; after five days the webhook is disabled."""
    old_secret_until: datetime | None = None
    """Until when requests are signed with a replaced secret, too."""
    version: int
    """Grows with every change; `ETag` is `"v{version}"`."""
    created_at: datetime
    updated_at: datetime


class NewWebhook(Webhook):
    """A registered webhook with its secret, which is not shown again."""

    secret: str = Field(repr=False)
    """`whsec_` and 32 bytes in Base64, as libraries for Standard Webhooks take it."""


class WebhookPage(_Resource):
    """All registered webhooks, the newest first."""

    data: list[Webhook]
    next_cursor: str | None = None
    has_more: bool = False


class Try(_Resource):
    """One request, and what became of it."""

    type: str
    """The type of the event."""
    at: datetime
    duration_ms: int
    status: int | None = None
    """The HTTP status; null if there was no answer."""
    error: str | None = None
    """Why it failed: a code; null if the receiver accepted the event."""
    next_at: datetime | None = None
    """When it is tried again; null if it is not."""


class DeliveryResource(_Resource):
    """The delivery of one event to one receiver."""

    event_id: str
    """The `webhook-id` of its requests."""
    event_type: str
    webhook_id: str
    """`own` is the webhook that the run or the batch named in its request."""
    status: Annotated[DeliveryStatus, OPEN]
    tries: list[Try]
    """The newest 50 requests, the oldest first, with those before a redelivery."""
    next_try_at: datetime | None = None
    """Null if the delivery is over. A time in the past: it is due, and waits for the process that
    delivers, or until a host that did not answer is asked again."""
    given_up_because: Annotated[GivenUpBecause | None, OPEN] = None
    """Why a delivery has failed although tries were left; null otherwise."""


class Deliveries(_Resource):
    """Deliveries of events."""

    data: list[DeliveryResource]
    next_cursor: str | None = None
    has_more: bool = False


class Redelivered(_Resource):
    """The deliveries that a request has started again."""

    redelivered: int
    """Their number."""
    next_cursor: str | None = None
    """Send it as `after` to continue, if `has_more`."""
    has_more: bool = False


class Tested(_Resource):
    """The outcome of a test."""

    event_id: str
    is_accepted: bool
    """Whether the receiver answered with a 2xx status."""
    request: Try
    detail: str | None = None
    """Why it was not accepted, and what to do; null if it was."""


class EventType(_Resource):
    """An event type that webhooks can subscribe to."""

    type: str
    description: str


class EventTypes(_Resource):
    """All event types that webhooks can subscribe to."""

    data: list[EventType]
    next_cursor: str | None = None
    has_more: bool = False
