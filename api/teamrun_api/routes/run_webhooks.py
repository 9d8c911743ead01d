"""The webhooks that runs and batches name: the secret that signs them, and deliveries."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from teamrun.errors import BatchNotFound, DeliveryNotFound, RunNotFound, UsageError
from teamrun.webhooks.requests import RotateSecretRequest
from teamrun.webhooks.resources import Deliveries, DeliveryResource, WebhookSecret
from teamrun_api.answers import json_answer
from teamrun_api.batch_parts import After, BatchId, Limit
from teamrun_api.bodies import JsonBody
from teamrun_api.declare import BODY, IDEMPOTENCY_KEY, answer, problems, takes
from teamrun_api.dependencies import EventId, RunId, RunReader, RunWriter, WebhookWriter
from teamrun_api.faults import InvalidIdempotencyKey
from teamrun_api.queries import wrong_parameter
from teamrun_api.routes.webhooks import SECRET_HEADERS, NoFields
from teamrun_api.schemas import EmptyRequest

__all__ = ["router"]

router = APIRouter(tags=["webhooks"], default_response_class=Response)


@router.get(
    "/v1/webhook-secret",
    operation_id="getWebhookSecret",
    summary="Read the secret that signs the webhooks of runs",
    responses={200: answer("The secret.", WebhookSecret, "Secret"), **problems()},
)
async def get_secret(call: WebhookWriter) -> Response:
    """Read the secret that signs the webhooks that runs name in their requests.

    It is created when it is first needed. It belongs to the tenant of the key.
    """
    return json_answer(await call.webhooks.secret(call.tenant), headers=SECRET_HEADERS)


@router.post(
    "/v1/webhook-secret/rotate",
    operation_id="rotateWebhookSecret",
    summary="Replace the secret that signs the webhooks of runs",
    responses={
        200: answer("The new secret.", WebhookSecret, "SecretRotated"),
        **problems(*BODY, InvalidIdempotencyKey),
    },
    openapi_extra={
        "requestBody": takes(RotateSecretRequest, "RotateSecret", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def rotate_secret(
    call: WebhookWriter,
    request: Annotated[RotateSecretRequest, Depends(JsonBody(RotateSecretRequest, optional=True))],
) -> Response:
    """Replace the secret. Until the overlap is over, requests have a signature of each secret.

    A repeated request replaces it again; the secrets before stay in use for their overlap.
    """
    call.idempotency_key()  # only validated
    overlap = timedelta(seconds=request.overlap_seconds)
    secret = await call.webhooks.rotate_run_secret(call.tenant, overlap=overlap)
    return json_answer(secret, headers=SECRET_HEADERS)


@router.get(
    "/v1/runs/{run_id}/deliveries",
    operation_id="listRunDeliveries",
    summary="List the webhook deliveries of a run",
    responses={
        200: answer("A page of deliveries.", Deliveries, "Deliveries"),
        **problems(RunNotFound),
    },
)
async def list_run_deliveries(
    call: RunReader, run_id: RunId, limit: Limit = 100, after: After = None
) -> Response:
    """List the deliveries of the run's events in their order, with the outcome of each request.

    An event that is due is listed as `pending` before its first request.
    """
    with _named_cursor():
        page = await call.webhooks.deliveries_of_run(call.tenant, run_id, limit=limit, after=after)
    return json_answer(page)


@router.get(
    "/v1/batches/{batch_id}/deliveries",
    operation_id="listBatchDeliveries",
    summary="List the webhook deliveries of a batch",
    responses={
        200: answer("A page of deliveries.", Deliveries, "BatchDeliveries"),
        **problems(BatchNotFound),
    },
)
async def list_batch_deliveries(
    call: RunReader, batch_id: BatchId, limit: Limit = 100, after: After = None
) -> Response:
    """List the deliveries of the batch's events in their order, with the outcome of each request.

    Those of its runs are listed with the runs. An event that is due is listed as `pending` before
    its first request.
    """
    with _named_cursor():
        page = await call.webhooks.deliveries_of_batch(
            call.tenant, batch_id, limit=limit, after=after
        )
    return json_answer(page)


@router.post(
    "/v1/runs/{run_id}/deliveries/{event_id}/redeliver",
    operation_id="redeliverToRun",
    summary="Deliver an event to the run's webhook again",
    status_code=202,
    responses={
        202: answer("The delivery, which starts within seconds.", DeliveryResource, "Delivery"),
        **problems(*BODY, InvalidIdempotencyKey, RunNotFound, DeliveryNotFound),
    },
    openapi_extra={
        "requestBody": takes(EmptyRequest, "Nothing", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def redeliver_to_run(
    call: RunWriter, run_id: RunId, event_id: EventId, _: NoFields
) -> Response:
    """Deliver an event to the webhook that the run named, with a new series of tries.

    `webhook-id` is the same as before.
    """
    call.idempotency_key()  # only validated
    shown = await call.webhooks.redeliver_to_run(call.tenant, run_id, event_id)
    return json_answer(shown, status=202)


@router.post(
    "/v1/batches/{batch_id}/deliveries/{event_id}/redeliver",
    operation_id="redeliverToBatch",
    summary="Deliver an event to the batch's webhook again",
    status_code=202,
    responses={
        202: answer("The delivery, which starts within seconds.", DeliveryResource, "Delivery"),
        **problems(*BODY, InvalidIdempotencyKey, BatchNotFound, DeliveryNotFound),
    },
    openapi_extra={
        "requestBody": takes(EmptyRequest, "Nothing", required=False),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def redeliver_to_batch(
    call: RunWriter, batch_id: BatchId, event_id: EventId, _: NoFields
) -> Response:
    """Deliver an event to the webhook that the batch named, with a new series of tries.

    `webhook-id` is the same as before.
    """
    call.idempotency_key()  # only validated
    shown = await call.webhooks.redeliver_to_batch(call.tenant, batch_id, event_id)
    return json_answer(shown, status=202)


@contextmanager
def _named_cursor() -> Generator[None]:
    """Name the parameter of an invalid cursor."""
    try:
        yield
    except (RunNotFound, BatchNotFound):
        raise
    except UsageError as error:
        raise wrong_parameter("after", error.message, code="invalid_cursor") from None
