"""The bodies of requests about webhooks."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from teamrun.runs.log.metadata import Metadata
from teamrun.runs.log.webhook import EVENT_TYPES, Format, Payload, Subscription
from teamrun.runs.service.requests import Moment

__all__ = [
    "RedeliverRequest",
    "RotateSecretRequest",
    "TestRequest",
    "WebhookPatch",
    "WebhookRequest",
]

Url = Annotated[str, StringConstraints(min_length=1, max_length=2_048)]
Description = Annotated[str, StringConstraints(max_length=512)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class WebhookRequest(_Body):
    """The body of `POST /v1/webhooks`."""

    url: Url = Field(examples=["https://example.com/hooks/teamrun"])
    """An `https://` URL with public addresses; operators can allow others."""
    events: Subscription
    """The event types to send; `run.*` are all of a group, `*` are all."""
    payload: Payload = "full"
    format: Format = "standard"
    description: Description = ""
    metadata: Metadata = {}
    """Key-value pairs that each request contains."""


class WebhookPatch(_Body):
    """The body of `PATCH /v1/webhooks/{webhook_id}`: the fields to change."""

    url: Url | None = None
    events: Subscription | None = None
    payload: Payload | None = None
    format: Format | None = None
    description: Description | None = None
    metadata: Metadata | None = None
    enabled: bool | None = None
    """A disabled webhook is sent nothing; its events are recorded as `skipped`."""


class RotateSecretRequest(_Body):
    """The body of a request that replaces a secret; all fields are optional."""

    overlap_seconds: float = Field(default=86_400, ge=0, le=30 * 86_400, strict=True)
    """How long requests are signed with the replaced secret, too; 0 revokes all replaced ones."""


def _known(name: str) -> str:
    if name not in EVENT_TYPES:
        raise ValueError(f"use one of {', '.join(EVENT_TYPES)}")
    return name


class TestRequest(_Body):
    """The body of `POST /v1/webhooks/{webhook_id}/test`; all fields are optional."""

    __test__ = False

    type: Annotated[str, AfterValidator(_known)] = Field(default="webhook.tested", max_length=64)
    """The type of the event to send; `GET /v1/webhook-event-types` lists them."""


class RedeliverRequest(_Body):
    """The body of `POST /v1/webhooks/{webhook_id}/redeliver`."""

    since: Moment
    """Events that were logged at or after this time are delivered again."""
    which: Literal["undelivered", "all"] = "undelivered"
    """`undelivered` leaves out those that were accepted; pending ones are tried at once."""
    after: str | None = Field(default=None, max_length=256)
    """`next_cursor` of the answer before, if there were more than fit into one request."""
