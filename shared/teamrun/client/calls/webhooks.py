"""Calls of `/v1/webhooks`, and of the secret and the deliveries of other webhooks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from teamrun.client.building import changing, given, json_of, path_of, post, query_of
from teamrun.client.building import delete as delete_of
from teamrun.client.building import get as get_of
from teamrun.client.requests import Paged, Request
from teamrun.runs.log.webhook import Format, Payload
from teamrun.webhooks.resources import (
    Deliveries,
    DeliveryResource,
    DeliveryStatus,
    EventType,
    EventTypes,
    NewWebhook,
    Redelivered,
    Tested,
    Webhook,
    WebhookPage,
    WebhookSecret,
)

__all__ = [
    "batch_deliveries",
    "create",
    "delete",
    "deliveries",
    "enable",
    "event_types",
    "get",
    "list_webhooks",
    "redeliver",
    "redeliver_since",
    "redeliver_to_batch",
    "redeliver_to_run",
    "rotate_run_secret",
    "rotate_secret",
    "run_deliveries",
    "run_secret",
    "test",
    "update",
]

_WEBHOOK = json_of(Webhook)
_NEW = json_of(NewWebhook)
_PAGE = json_of(WebhookPage)
_SECRET = json_of(WebhookSecret)
_DELIVERIES = json_of(Deliveries)
_DELIVERY = json_of(DeliveryResource)
_REDELIVERED = json_of(Redelivered)
_TESTED = json_of(Tested)
_TYPES = json_of(EventTypes)


def create(
    url: str,
    *,
    events: Sequence[str],
    payload: Payload | None = None,
    format: Format | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Request[NewWebhook]:
    """Register a webhook; the result has its secret, which is not shown again.

    Args:
        url: Where to send events.
        events: The event types to send; `run.*` are all of a group, `*` are all.
        payload: `thin` leaves out the data of events.
        format: `cloudevents` adds the headers of CloudEvents.
        description: A text for people.
        metadata: Key-value pairs that each request contains.
        idempotency_key: The key; without one, a random key that all attempts share.
    """
    body = given(
        url=url,
        events=list(events),
        payload=payload,
        format=format,
        description=description,
        metadata=metadata,
    )
    return post(path_of("webhooks"), _NEW, body, idempotency_key=idempotency_key)


def list_webhooks() -> Paged[Webhook]:
    """List the registered webhooks, the newest first."""
    return Paged(get_of(path_of("webhooks"), _PAGE))


def get(webhook_id: str) -> Request[Webhook]:
    """Read a registered webhook."""
    return get_of(path_of("webhooks", webhook_id), _WEBHOOK)


def update(
    webhook_id: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    payload: Payload | None = None,
    format: Format | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    enabled: bool | None = None,
    version: int | None = None,
) -> Request[Webhook]:
    """Change the fields that are given.

    Args:
        webhook_id: The webhook.
        url: Where to send events.
        events: The event types to send.
        payload: `thin` leaves out the data of events.
        format: `cloudevents` adds the headers of CloudEvents.
        description: A text for people.
        metadata: Key-value pairs that each request contains.
        enabled: A disabled webhook is sent nothing; its events are recorded as `skipped`.
        version: The `version` that the change is based on; without it, any.
    """
    body = given(
        url=url,
        events=None if events is None else list(events),
        payload=payload,
        format=format,
        description=description,
        metadata=metadata,
        enabled=enabled,
    )
    return changing(post(path_of("webhooks", webhook_id), _WEBHOOK, body, method="PATCH"), version)


def delete(webhook_id: str) -> Request[None]:
    """Delete a webhook with its secrets; deliveries that are pending end."""
    return delete_of(path_of("webhooks", webhook_id))


def rotate_secret(webhook_id: str, *, overlap_seconds: float | None = None) -> Request[NewWebhook]:
    """Replace the secret of a webhook; the result has the new one, which is not shown again.

    Args:
        webhook_id: The webhook.
        overlap_seconds: How long requests are signed with the old secret, too; a day by default.
    """
    path = path_of("webhooks", webhook_id, "rotate-secret")
    return post(path, _NEW, given(overlap_seconds=overlap_seconds))


def test(webhook_id: str, *, event_type: str | None = None) -> Request[Tested]:
    """Send one signed request now; the result says whether it was accepted.

    Args:
        webhook_id: The webhook.
        event_type: The type of the event; by default `webhook.tested`.
    """
    return post(path_of("webhooks", webhook_id, "test"), _TESTED, given(type=event_type))


def enable(webhook_id: str) -> Request[Webhook]:
    """Send events to a disabled webhook again, from now on."""
    return post(path_of("webhooks", webhook_id, "enable"), _WEBHOOK, {})


def deliveries(
    webhook_id: str,
    *,
    status: DeliveryStatus | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> Paged[DeliveryResource]:
    """List the deliveries of a webhook, newest event first.

    Args:
        webhook_id: The webhook.
        status: Only deliveries with this status.
        limit: The number of deliveries per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    query = query_of({"status": status, "limit": limit, "after": after})
    return Paged(get_of(path_of("webhooks", webhook_id, "deliveries"), _DELIVERIES, query=query))


def redeliver(webhook_id: str, event_id: str) -> Request[DeliveryResource]:
    """Deliver one event again, or for the first time, with a new series of tries."""
    path = path_of("webhooks", webhook_id, "deliveries", event_id, "redeliver")
    return post(path, _DELIVERY, {})


def redeliver_since(
    webhook_id: str,
    since: datetime,
    *,
    which: Literal["undelivered", "all"] | None = None,
    after: str | None = None,
) -> Request[Redelivered]:
    """Deliver the recorded events since a time again, up to 1,000 per call.

    Args:
        webhook_id: The webhook.
        since: The time, with a time zone.
        which: `all` also delivers those again that were accepted.
        after: The `next_cursor` of the call before, while it `has_more`.
    """
    body = given(since=since, which=which, after=after)
    return post(path_of("webhooks", webhook_id, "redeliver"), _REDELIVERED, body)


def event_types() -> Paged[EventType]:
    """List the event types that webhooks can subscribe to."""
    return Paged(get_of(path_of("webhook-event-types"), _TYPES))


def run_secret() -> Request[WebhookSecret]:
    """Read the secret that signs the webhooks of runs; it is created at first use."""
    return get_of(path_of("webhook-secret"), _SECRET)


def rotate_run_secret(*, overlap_seconds: float | None = None) -> Request[WebhookSecret]:
    """Replace the secret that signs the webhooks of runs.

    Args:
        overlap_seconds: How long requests are signed with the old secret, too; a day by default.
    """
    path = path_of("webhook-secret", "rotate")
    return post(path, _SECRET, given(overlap_seconds=overlap_seconds))


def run_deliveries(
    run_id: str, *, limit: int | None = None, after: str | None = None
) -> Paged[DeliveryResource]:
    """List the webhook deliveries of a run, in the order of its events.

    Args:
        run_id: The run.
        limit: The number of deliveries per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    return _deliveries_of("runs", run_id, limit, after)


def batch_deliveries(
    batch_id: str, *, limit: int | None = None, after: str | None = None
) -> Paged[DeliveryResource]:
    """List the webhook deliveries of a batch, in the order of its events.

    Args:
        batch_id: The batch.
        limit: The number of deliveries per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    return _deliveries_of("batches", batch_id, limit, after)


def redeliver_to_run(run_id: str, event_id: str) -> Request[DeliveryResource]:
    """Deliver an event to the webhook that the run named, with a new series of tries."""
    path = path_of("runs", run_id, "deliveries", event_id, "redeliver")
    return post(path, _DELIVERY, {})


def redeliver_to_batch(batch_id: str, event_id: str) -> Request[DeliveryResource]:
    """Deliver an event to the webhook that the batch named, with a new series of tries."""
    path = path_of("batches", batch_id, "deliveries", event_id, "redeliver")
    return post(path, _DELIVERY, {})


def _deliveries_of(
    kind: str, log_id: str, limit: int | None, after: str | None
) -> Paged[DeliveryResource]:
    query = query_of({"limit": limit, "after": after})
    return Paged(get_of(path_of(kind, log_id, "deliveries"), _DELIVERIES, query=query))
