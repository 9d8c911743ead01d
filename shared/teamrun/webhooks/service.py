"""The operations on webhooks of the HTTP API and the command line."""

import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from pydantic_core import from_json, to_json

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import (
    BatchNotFound,
    DestinationRefused,
    IdempotencyConflict,
    PreconditionFailed,
    RunNotFound,
)
from teamrun.json_types import JsonObject
from teamrun.net.destinations import Destinations
from teamrun.runs.log.keys import delivery_index
from teamrun.runs.log.webhook import EVENT_TYPES
from teamrun.runs.service.requests import request_digest
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.closing import Closing
from teamrun.webhooks.delivery_log import DeliveryLog, event_of
from teamrun.webhooks.endpoint import Endpoint
from teamrun.webhooks.endpoints import Endpoints
from teamrun.webhooks.log_deliveries import LogDeliveries
from teamrun.webhooks.public import (
    public_endpoint,
    public_secret,
    with_secret,
)
from teamrun.webhooks.requests import RedeliverRequest, WebhookPatch, WebhookRequest
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
from teamrun.webhooks.run_secrets import Secrets
from teamrun.webhooks.secret import OVERLAP, Secret
from teamrun.webhooks.sender import Sender
from teamrun.webhooks.sources import Source
from teamrun.webhooks.stored_endpoints import Stored

__all__ = ["Registered", "WebhookService"]


class Registered(NamedTuple):
    """A webhook, after a request to register it."""

    webhook: NewWebhook
    replayed: bool
    """The Idempotency-Key was used for the same request before."""


class WebhookService:
    """The webhooks of all tenants; each method takes a tenant and only accesses its own."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        secrets: Secrets,
        endpoints: Endpoints,
        sources: Mapping[str, Source],
        sender: Sender,
        destinations: Destinations,
        clock: Clock,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._endpoints = endpoints
        self._sender = sender
        self._destinations = destinations
        self._clock = clock
        self._closing = Closing(store, sources, endpoints, clock)
        self._log = DeliveryLog(store, sources, clock)
        deliveries = partial(
            LogDeliveries,
            store,
            endpoints=endpoints,
            redeliveries=self._log,
            clock=clock,
        )
        self._runs = deliveries(
            sources["run_"], kind="run", prefix="run_", path="/v1/runs", not_found=RunNotFound
        )
        self._batches = deliveries(
            sources["bat_"],
            kind="batch",
            prefix="bat_",
            path="/v1/batches",
            not_found=BatchNotFound,
        )

    # The webhooks that runs name

    async def secret(self, tenant: str) -> WebhookSecret:
        """The secret that signs the webhooks of the tenant's runs; created at first use.

        Raises:
            StorageError: Storage does not respond, or the stored secret is damaged.
        """
        return public_secret(await self._secrets.read(tenant), self._clock.now())

    async def rotate_run_secret(
        self, tenant: str, *, overlap: timedelta = OVERLAP
    ) -> WebhookSecret:
        """Replace that secret; other processes use the new one within ten seconds.

        Raises:
            StorageError: Storage does not respond, or the stored secret is damaged.
        """
        secret = await self._secrets.rotate(tenant, overlap=overlap)
        return public_secret(secret, self._clock.now())

    async def deliveries_of_run(
        self, tenant: str, run_id: str, *, limit: int = 100, after: str | None = None
    ) -> Deliveries:
        """The deliveries of a run's events, in the order of the events.

        Raises:
            RunNotFound: The tenant has no such run.
            UsageError: The cursor is invalid.
            StorageError: Storage does not respond, or the run is unreadable.
        """
        return await self._runs.page(RunRef(tenant, run_id), limit=limit, after=after)

    async def deliveries_of_batch(
        self, tenant: str, batch_id: str, *, limit: int = 100, after: str | None = None
    ) -> Deliveries:
        """The deliveries of a batch's events, in the order of the events.

        Raises:
            BatchNotFound: The tenant has no such batch.
            UsageError: The cursor is invalid.
            StorageError: Storage does not respond, or the batch is unreadable.
        """
        return await self._batches.page(RunRef(tenant, batch_id), limit=limit, after=after)

    async def redeliver_to_run(self, tenant: str, run_id: str, event_id: str) -> DeliveryResource:
        """Send an event of a run to the webhook that the run named, again.

        Raises:
            RunNotFound: The tenant has no such run.
            DeliveryNotFound: The run has no such event, or named no webhook.
            StorageError: Storage does not respond, or the run is unreadable.
        """
        return await self._runs.redeliver(RunRef(tenant, run_id), event_id)

    async def redeliver_to_batch(
        self, tenant: str, batch_id: str, event_id: str
    ) -> DeliveryResource:
        """Send an event of a batch to the webhook that the batch named, again.

        Raises:
            BatchNotFound: The tenant has no such batch.
            DeliveryNotFound: The batch has no such event, or named no webhook.
            StorageError: Storage does not respond, or the batch is unreadable.
        """
        return await self._batches.redeliver(RunRef(tenant, batch_id), event_id)

    # Registered webhooks

    async def create(
        self, tenant: str, request: WebhookRequest, *, idempotency_key: str | None = None
    ) -> NewWebhook:
        """Register a webhook. Its secret is only returned here and by `rotate_secret`.

        Raises:
            DestinationRefused: The URL is not allowed; has a `pointer`.
            TooManyEndpoints: The tenant has the maximum number already.
            IdempotencyConflict: The key was used with another request.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        return (await self.create_once(tenant, request, key=idempotency_key)).webhook

    async def create_once(
        self, tenant: str, request: WebhookRequest, *, key: str | None
    ) -> Registered:
        """The same as `create`; also tells whether the key was used for this webhook before.

        Raises:
            DestinationRefused: The URL is not allowed; has a `pointer`.
            TooManyEndpoints: The tenant has the maximum number already.
            IdempotencyConflict: The key was used with another request.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        self._check(request.url)
        now, digest = self._clock.now(), request_digest(request)
        endpoint = Endpoint(
            id=_new_id(tenant, key),
            secret=Secret(),
            created_at=now,
            updated_at=now,
            request_hash=digest,
            **request.model_dump(),
        )
        if key and await self._endpoints.was_deleted(tenant, endpoint.id):
            raise IdempotencyConflict(
                "The Idempotency-Key was used for a webhook that has been deleted; use a new key."
            )
        replayed = False
        try:
            stored = await self._endpoints.create(tenant, endpoint)
        except PreconditionFailed:  # the key has been used
            replayed = True
            stored = await self._endpoints.get(tenant, endpoint.id)
            if stored.endpoint.request_hash != digest:
                raise IdempotencyConflict(
                    "The Idempotency-Key was used with another request; use a new key."
                ) from None
        return Registered(with_secret(stored, self._clock.now()), replayed)

    async def list(self, tenant: str) -> WebhookPage:
        """All registered webhooks, the newest first.

        Raises:
            Unavailable: Storage does not respond.
        """
        known, now = await self._endpoints.reload(tenant), self._clock.now()
        stored = sorted(known.endpoints, key=lambda one: one.endpoint.created_at, reverse=True)
        return WebhookPage(data=[public_endpoint(one, now) for one in stored])

    async def get(self, tenant: str, webhook_id: str) -> Webhook:
        """A registered webhook.

        Raises:
            EndpointNotFound: The tenant has no such webhook.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        return self._shown(await self._endpoints.get(tenant, webhook_id))

    async def update(
        self, tenant: str, webhook_id: str, patch: WebhookPatch, *, version: int | None = None
    ) -> Webhook:
        """Change a registered webhook.

        Raises:
            EndpointNotFound: The tenant has no such webhook.
            DestinationRefused: The URL is not allowed; has a `pointer`.
            PreconditionFailed: The webhook has another version.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        fields = patch.model_dump(exclude_none=True)
        enabled = fields.pop("enabled", None)
        if "url" in fields:
            self._check(fields["url"])

        def change(endpoint: Endpoint, now: datetime) -> JsonObject:
            if enabled is None or enabled == (endpoint.disabled_because is None):
                return fields
            state = _ENABLED if enabled else {"disabled_because": "client", "disabled_at": now}
            return {**fields, **state}

        stored = await self._endpoints.change(tenant, webhook_id, change, version=version)
        return self._shown(stored)

    async def enable(self, tenant: str, webhook_id: str) -> Webhook:
        """Send events to a disabled webhook again, from now on.

        Raises:
            EndpointNotFound: The tenant has no such webhook.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        return await self.update(tenant, webhook_id, WebhookPatch(enabled=True))

    async def delete(self, tenant: str, webhook_id: str, *, version: int | None = None) -> None:
        """Delete a webhook with its secrets; deliveries that are pending end.

        Raises:
            EndpointNotFound: The tenant has no such webhook.
            PreconditionFailed: The webhook has another version.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        # Before anything is given up, a request that will be refused is refused.
        await self._endpoints.get(tenant, webhook_id, version=version)
        await self._closing.pre_erase(RunRef(tenant, webhook_id))
        await self._endpoints.remove(tenant, webhook_id, version=version)
        folder = delivery_index(tenant, webhook_id)
        while keys := await self._store.list(folder):
            await self._store.delete_many(keys)

    async def rotate_secret(
        self, tenant: str, webhook_id: str, *, overlap: timedelta = OVERLAP
    ) -> NewWebhook:
        """Replace the secret; other processes use the new one within ten seconds.

        Raises:
            EndpointNotFound: The tenant has no such webhook.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """

        def change(endpoint: Endpoint, now: datetime) -> JsonObject:
            assert endpoint.secret is not None, "a deleted endpoint is not changed"
            return {"secret": endpoint.secret.rotated(now, overlap=overlap)}

        stored = await self._endpoints.change(tenant, webhook_id, change)
        return with_secret(stored, self._clock.now())

    async def test(self, tenant: str, webhook_id: str, event_type: str) -> Tested:
        """Send an example of an event now, once, also to a disabled webhook.

        Raises:
            EndpointNotFound: The tenant has no such webhook.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        stored, now = await self._endpoints.get(tenant, webhook_id), self._clock.now()
        event: JsonObject = {
            "id": f"{webhook_id}-test_{uuid.uuid4().hex}",
            "seq": 0,
            "type": event_type,
            "time": from_json(to_json(now)),
            "webhook_id": webhook_id,
            "agent": None,
            "data": {"is_test": True},
        }
        sent = await self._sender.send(event, stored.target(tenant, now))
        is_accepted = sent.made.error is None
        if is_accepted:
            await self._endpoints.answered(tenant, webhook_id)
        return Tested(
            event_id=event["id"], is_accepted=is_accepted, request=sent.made, detail=sent.detail
        )

    async def deliveries(
        self,
        tenant: str,
        webhook_id: str,
        *,
        status: DeliveryStatus | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> Deliveries:
        """Deliveries to a webhook, newest event first.

        Raises:
            EndpointNotFound: The tenant has no such webhook.
            UsageError: The cursor is invalid.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        await self._endpoints.get(tenant, webhook_id)
        return await self._log.page(tenant, webhook_id, status=status, limit=limit, after=after)

    async def redeliver(self, tenant: str, webhook_id: str, event_id: str) -> DeliveryResource:
        """Send an event to a webhook, again or for the first time.

        Raises:
            EndpointNotFound: The tenant has no such webhook.
            DeliveryNotFound: There is no such event that webhooks can receive.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        await self._endpoints.get(tenant, webhook_id)
        ref, seq = event_of(tenant, event_id)
        return await self._log.redeliver(ref, seq, webhook_id)

    async def redeliver_since(
        self, tenant: str, webhook_id: str, request: RedeliverRequest
    ) -> Redelivered:
        """Send the events since a time again.

        Raises:
            EndpointNotFound: The tenant has no such webhook.
            UsageError: The cursor is invalid.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        await self._endpoints.get(tenant, webhook_id)
        return await self._log.redeliver_since(
            tenant,
            webhook_id,
            request.since,
            every=request.which == "all",
            after=request.after,
        )

    def event_types(self) -> EventTypes:
        """The event types that webhooks can subscribe to."""
        rows = EVENT_TYPES.items()
        return EventTypes(data=[EventType(type=name, description=text) for name, text in rows])

    def _check(self, url: str) -> None:
        try:
            self._destinations.check_url(url)
        except DestinationRefused as error:
            raise DestinationRefused(error.message, pointer="/url") from None

    def _shown(self, stored: Stored) -> Webhook:
        return public_endpoint(stored, self._clock.now())


_ENABLED: JsonObject = {"disabled_because": None, "disabled_at": None}


def _new_id(tenant: str, key: str | None) -> str:
    """A new id; the same for the same Idempotency-Key."""
    if key is None:
        return f"whe_{uuid.uuid4().hex}"
    return f"whe_{hashlib.sha256(f'{tenant} {key}'.encode()).hexdigest()[:32]}"
