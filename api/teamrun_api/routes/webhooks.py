"""`/v1/webhooks`: registered webhooks, their secrets, tests and deliveries."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from teamrun.errors import (
    DeliveryNotFound,
    DestinationRefused,
    EndpointNotFound,
    IdempotencyConflict,
    PreconditionFailed,
    TooManyEndpoints,
    UsageError,
)
from teamrun.webhooks.requests import (
    RedeliverRequest,
    RotateSecretRequest,
    TestRequest,
    WebhookPatch,
    WebhookRequest,
)
from teamrun.webhooks.resources import (
    Deliveries,
    DeliveryResource,
    DeliveryStatus,
    EventTypes,
    NewWebhook,
    Redelivered,
    Tested,
    Webhook,
    WebhookPage,
)
from teamrun_api.answers import json_answer
from teamrun_api.bodies import JsonBody
from teamrun_api.conditional import version_in, version_tag
from teamrun_api.declare import (
    BODY,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    answer,
    problems,
    takes,
)
from teamrun_api.dependencies import EventId, WebhookId, WebhookReader, WebhookWriter
from teamrun_api.faults import InvalidIdempotencyKey, PreconditionRequired
from teamrun_api.queries import wrong_parameter
from teamrun_api.schemas import EmptyRequest

__all__ = ["SECRET_HEADERS", "NoFields", "router"]

router = APIRouter(tags=["webhooks"], default_response_class=Response)

SECRET_HEADERS = {"Cache-Control": "no-store"}

NoFields = Annotated[EmptyRequest, Depends(JsonBody(EmptyRequest, optional=True))]

_POSTED = (*BODY, InvalidIdempotencyKey)


def _tagged(
    webhook: Webhook, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    tag = {"ETag": version_tag(webhook.version)}
    return json_answer(webhook, status=status, headers={**tag, **(headers or {})})


@router.post(
    "/v1/webhooks",
    operation_id="createWebhook",
    summary="Register a webhook",
    status_code=201,
    responses={
        201: answer(
            "The webhook with its secret, which is not shown again.",
            NewWebhook,
            "WebhookCreated",
            "Location",
            "ETag",
            "Idempotency-Replayed",
        ),
        **problems(*_POSTED, DestinationRefused, IdempotencyConflict, TooManyEndpoints),
    },
    openapi_extra={
        "requestBody": takes(WebhookRequest, "CreateWebhook"),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def create_webhook(
    call: WebhookWriter, request: Annotated[WebhookRequest, Depends(JsonBody(WebhookRequest))]
) -> Response:
    """Register a URL that is sent the events of all runs of the tenant, from now on.

    A request with an Idempotency-Key can be repeated and returns the same webhook and secret.
    """
    key = call.idempotency_key()
    webhook, replayed = await call.webhooks.create_once(call.tenant, request, key=key)
    headers = {**SECRET_HEADERS, "Location": call.link(f"/v1/webhooks/{webhook.id}")}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return _tagged(webhook, status=201, headers=headers)


@router.get(
    "/v1/webhooks",
    operation_id="listWebhooks",
    summary="List webhooks",
    responses={200: answer("All webhooks.", WebhookPage, "Webhooks"), **problems()},
)
async def list_webhooks(call: WebhookReader) -> Response:
    """List the registered webhooks of the caller's tenant, the newest first, without secrets."""
    return json_answer(await call.webhooks.list(call.tenant))


@router.get(
    "/v1/webhooks/{webhook_id}",
    operation_id="getWebhook",
    summary="Read a webhook",
    responses={
        200: answer("The webhook.", Webhook, "Webhook", "ETag"),
        **problems(EndpointNotFound),
    },
)
async def get_webhook(call: WebhookReader, webhook_id: WebhookId) -> Response:
    """Read a registered webhook, without its secret."""
    return _tagged(await call.webhooks.get(call.tenant, webhook_id))


@router.patch(
    "/v1/webhooks/{webhook_id}",
    operation_id="updateWebhook",
    summary="Change a webhook",
    responses={
        200: answer("The webhook.", Webhook, "Webhook", "ETag"),
        **problems(
            *BODY, EndpointNotFound, DestinationRefused, PreconditionFailed, PreconditionRequired
        ),
    },
    openapi_extra={
        "requestBody": takes(WebhookPatch, "UpdateWebhook"),
        "parameters": [IF_MATCH],
    },
)
async def update_webhook(
    call: WebhookWriter,
    webhook_id: WebhookId,
    request: Annotated[WebhookPatch, Depends(JsonBody(WebhookPatch))],
) -> Response:
    """Change the fields that the body has; `If-Match` is required.

    A disabled webhook is sent nothing. Its events are recorded as `skipped`, and can be delivered
    later by `redeliver`.
    """
    version = version_in(call.header("if-match"))
    return _tagged(await call.webhooks.update(call.tenant, webhook_id, request, version=version))


@router.delete(
    "/v1/webhooks/{webhook_id}",
    operation_id="deleteWebhook",
    summary="Delete a webhook",
    status_code=204,
    responses={204: {"description": "The webhook is gone."}, **problems(EndpointNotFound)},
)
async def delete_webhook(call: WebhookWriter, webhook_id: WebhookId) -> Response:
    """Delete a webhook with its secrets. Deliveries that are pending end."""
    await call.webhooks.delete(call.tenant, webhook_id)
    return Response(status_code=204)


@router.post(
    "/v1/webhooks/{webhook_id}/rotate-secret",
    operation_id="rotateSecretOfWebhook",
    summary="Replace the secret of a webhook",
    responses={
        200: answer("The webhook with its new secret.", NewWebhook, "WebhookRotated", "ETag"),
        **problems(*_POSTED, EndpointNotFound),
    },
    openapi_extra={
        "requestBody": takes(RotateSecretRequest, "RotateSecret", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def rotate_secret_of_webhook(
    call: WebhookWriter,
    webhook_id: WebhookId,
    request: Annotated[RotateSecretRequest, Depends(JsonBody(RotateSecretRequest, optional=True))],
) -> Response:
    """Replace the secret. Until the overlap is over, requests have a signature of each secret.

    A repeated request replaces it again; the secrets before stay in use for their overlap.
    """
    call.idempotency_key()  # only validated
    overlap = timedelta(seconds=request.overlap_seconds)
    webhook = await call.webhooks.rotate_secret(call.tenant, webhook_id, overlap=overlap)
    return _tagged(webhook, headers=SECRET_HEADERS)


@router.post(
    "/v1/webhooks/{webhook_id}/test",
    operation_id="testWebhook",
    summary="Send a test event",
    responses={
        200: answer("The outcome of the request.", Tested, "Tested"),
        **problems(*_POSTED, EndpointNotFound),
    },
    openapi_extra={
        "requestBody": takes(TestRequest, "Test", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def test_webhook(
    call: WebhookWriter,
    webhook_id: WebhookId,
    request: Annotated[TestRequest, Depends(JsonBody(TestRequest, optional=True))],
) -> Response:
    """Send one signed request now, and return its outcome. It is not tried again.

    `data` of the event is `{"is_test": true}`, whatever its type.
    """
    call.idempotency_key()  # only validated
    return json_answer(await call.webhooks.test(call.tenant, webhook_id, request.type))


@router.post(
    "/v1/webhooks/{webhook_id}/enable",
    operation_id="enableWebhook",
    summary="Enable a webhook",
    responses={
        200: answer("The webhook.", Webhook, "Webhook", "ETag"),
        **problems(*BODY, InvalidIdempotencyKey, EndpointNotFound),
    },
    openapi_extra={
        "requestBody": takes(EmptyRequest, "Nothing", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def enable_webhook(call: WebhookWriter, webhook_id: WebhookId, _: NoFields) -> Response:
    """Send events to a disabled webhook again, from now on; `redeliver` sends those it missed."""
    call.idempotency_key()  # only validated: it is safe to repeat
    return _tagged(await call.webhooks.enable(call.tenant, webhook_id))


@router.get(
    "/v1/webhooks/{webhook_id}/deliveries",
    operation_id="listDeliveries",
    summary="List the deliveries of a webhook",
    responses={
        200: answer("A page of deliveries.", Deliveries, "Deliveries"),
        **problems(EndpointNotFound),
    },
)
async def list_deliveries(
    call: WebhookReader,
    webhook_id: WebhookId,
    status: Annotated[
        DeliveryStatus | None, Query(description="Only deliveries with this status.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of deliveries.")] = 20,
    after: Annotated[
        str | None, Query(max_length=256, description="`next_cursor` of the page before.")
    ] = None,
) -> Response:
    """List deliveries that have begun, newest event first, with the outcome of each request.

    A page may be short, or empty, and still have a `next_cursor`: go on while `has_more`.
    """
    try:
        page = await call.webhooks.deliveries(
            call.tenant, webhook_id, status=status, limit=limit, after=after
        )
    except EndpointNotFound:
        raise
    except UsageError as error:
        raise wrong_parameter("after", error.message, code="invalid_cursor") from None
    return json_answer(page)


@router.post(
    "/v1/webhooks/{webhook_id}/deliveries/{event_id}/redeliver",
    operation_id="redeliver",
    summary="Deliver an event again",
    status_code=202,
    responses={
        202: answer("The delivery, which starts within seconds.", DeliveryResource, "Delivery"),
        **problems(*BODY, InvalidIdempotencyKey, EndpointNotFound, DeliveryNotFound),
    },
    openapi_extra={
        "requestBody": takes(EmptyRequest, "Nothing", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def redeliver(
    call: WebhookWriter, webhook_id: WebhookId, event_id: EventId, _: NoFields
) -> Response:
    """Deliver one event again, or for the first time, with a new series of tries.

    `webhook-id` is the same as before.
    """
    call.idempotency_key()  # only validated
    shown = await call.webhooks.redeliver(call.tenant, webhook_id, event_id)
    return json_answer(shown, status=202)


@router.post(
    "/v1/webhooks/{webhook_id}/redeliver",
    operation_id="redeliverSince",
    summary="Deliver all events since a time again",
    status_code=202,
    responses={
        202: answer("How many deliveries have been started.", Redelivered, "Redelivered"),
        **problems(*_POSTED, EndpointNotFound),
    },
    openapi_extra={
        "requestBody": takes(RedeliverRequest, "Redeliver"),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def redeliver_since(
    call: WebhookWriter,
    webhook_id: WebhookId,
    request: Annotated[RedeliverRequest, Depends(JsonBody(RedeliverRequest))],
) -> Response:
    """Deliver recorded events again: those that failed or were skipped, or all.

    A request handles up to 1,000 deliveries. While `has_more`, send it again with `after`.
    """
    call.idempotency_key()  # only validated
    redelivered = await call.webhooks.redeliver_since(call.tenant, webhook_id, request)
    return json_answer(redelivered, status=202)


@router.get(
    "/v1/webhook-event-types",
    operation_id="listWebhookEventTypes",
    summary="List the event types of webhooks",
    responses={200: answer("All event types.", EventTypes, "EventTypes"), **problems()},
)
async def list_event_types(call: WebhookReader) -> Response:
    """List the event types that webhooks can subscribe to."""
    return json_answer(call.webhooks.event_types())
