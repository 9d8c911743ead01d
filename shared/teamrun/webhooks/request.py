"""The request of a delivery: its body, headers and signature.

https://github.com/standard-webhooks/standard-webhooks: `webhook-id` is the id of the event and the
same in all tries; `webhook-timestamp` is the time of the try; `webhook-signature` has one signature
for each secret.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pydantic_core import to_json

from teamrun.core.optional import require
from teamrun.json_types import JsonObject
from teamrun.version import VERSION
from teamrun.webhooks.target import Target

if TYPE_CHECKING:
    from standardwebhooks import Webhook

__all__ = ["MOST_BYTES", "Request", "request_of", "signed"]

MOST_BYTES = 20_000
"""Maximum length of a body; the `data` of a larger event is left out. Receivers limit requests, and
Standard Webhooks recommends less than 20 kB."""


class Request(NamedTuple):
    """What is sent by POST."""

    headers: dict[str, str]
    body: bytes


def request_of(event: JsonObject, target: Target, *, at: datetime) -> Request:
    """The signed request that delivers an event.

    Args:
        event: The event as clients read it.
        target: The receiver.
        at: The time of the try.

    Raises:
        MissingPackage: The package `standardwebhooks` is not installed.
    """
    body = _body(event, target)
    headers = {"content-type": "application/json", "user-agent": f"Teamrun/{VERSION}"}
    if target.format == "cloudevents":
        headers |= _cloud_event(event)
    return Request(headers | signed(event["id"], body, secrets=target.secrets, at=at), body)


def signed(webhook_id: str, body: bytes, *, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """The headers that identify and sign a request.

    Raises:
        MissingPackage: The package `standardwebhooks` is not installed.
    """
    signer, text = _signer(), body.decode()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(
            signer(secret).sign(webhook_id, at, text) for secret in secrets
        ),
    }


@cache
def _signer() -> "type[Webhook]":
    """The library's class; its version is checked once, as that reads files."""
    require("standardwebhooks", extra="webhooks", needed_by="A webhook", lowest=(1, 1))
    from standardwebhooks import Webhook

    return Webhook


def _body(event: JsonObject, target: Target) -> bytes:
    # `timestamp` is the name in Standard Webhooks; `time` is the one of all our events.
    whole = {**event, "timestamp": event["time"], "metadata": target.metadata}
    if target.payload == "full":
        body = to_json(whole)
        if len(body) <= MOST_BYTES:
            return body
    return to_json({**whole, "data": {}, "data_omitted": True})


_PLACES = {
    "run_id": "/v1/runs",
    "batch_id": "/v1/batches",
    "webhook_id": "/v1/webhooks",
}
"""The resource that an event is about, by the field with its id."""


def _place(event: JsonObject) -> str:
    return next((f"{path}/{event[key]}" for key, path in _PLACES.items() if key in event), "/v1")


def _cloud_event(event: JsonObject) -> dict[str, str]:
    """The headers of the binary content mode (CloudEvents HTTP protocol binding 1.0, 3.1)."""
    return {
        "ce-specversion": "1.0",
        "ce-id": event["id"],
        "ce-source": _place(event),
        "ce-type": f"teamrun.{event['type']}",
        "ce-time": event["time"],
    }
