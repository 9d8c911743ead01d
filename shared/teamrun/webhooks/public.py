"""What clients see of secrets, endpoints, and the record of deliveries."""

from datetime import datetime

from teamrun.json_types import JsonObject
from teamrun.webhooks.records import Record
from teamrun.webhooks.resources import (
    MOST_TRIES,
    DeliveryResource,
    NewWebhook,
    Try,
    Webhook,
    WebhookSecret,
)
from teamrun.webhooks.secret import Secret
from teamrun.webhooks.stored_endpoints import Stored

__all__ = ["public_due", "public_endpoint", "public_record", "public_secret", "with_secret"]


def public_secret(secret: Secret, now: datetime) -> WebhookSecret:
    """A secret as its owner sees it."""
    return WebhookSecret(secret=secret.secret, old_secret_until=secret.old_until(now))


def public_endpoint(stored: Stored, now: datetime) -> Webhook:
    """An endpoint as clients see it."""
    endpoint = stored.endpoint
    return Webhook(
        id=endpoint.id,
        url=endpoint.url,
        events=endpoint.events,
        payload=endpoint.payload,
        format=endpoint.format,
        description=endpoint.description,
        metadata=endpoint.metadata,
        enabled=endpoint.disabled_because is None,
        disabled_because=endpoint.disabled_because,
        disabled_at=endpoint.disabled_at,
        failing_since=stored.failing_since,
        old_secret_until=None if endpoint.secret is None else endpoint.secret.old_until(now),
        version=stored.version,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
    )


def with_secret(stored: Stored, now: datetime) -> NewWebhook:
    """An endpoint with its secret, for the one answer that shows it."""
    assert stored.endpoint.secret is not None, "a deleted endpoint is not shown"
    shown = public_endpoint(stored, now).model_dump()
    return NewWebhook(**shown, secret=stored.endpoint.secret.secret)


def public_record(record: Record, log_id: str) -> DeliveryResource | None:
    """A delivery as clients see it; None before the first try of its round."""
    settled, made = record.settled, record.made
    if settled is None and not made:
        return None
    return DeliveryResource(
        event_id=f"{log_id}-{record.delivery.seq}",
        event_type=made[-1].type if settled is None else settled.type,
        webhook_id=record.delivery.target,
        status="pending" if settled is None else settled.outcome,
        tries=_shown(record),
        next_try_at=made[-1].next_at if settled is None else None,
    )


def public_due(event: JsonObject, record: Record, at: datetime) -> DeliveryResource:
    """A delivery that waits for the first try of its round.

    Args:
        event: The event.
        record: What is known about the delivery.
        at: The time of the event: since then it is due, unless a client has asked for it later.
    """
    return DeliveryResource(
        event_id=event["id"],
        event_type=event["type"],
        webhook_id=record.delivery.target,
        status="pending",
        tries=_shown(record),
        next_try_at=record.begun_at or at,
    )


def _shown(record: Record) -> list[Try]:
    return [*record.earlier, *record.made][-MOST_TRIES:]
