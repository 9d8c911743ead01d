"""The typed client of the HTTP API: `Client`, and `AsyncClient` for asyncio.

    from teamrun.client import Client

    with Client("http://127.0.0.1:8080") as client:
        run = client.runs.submit_and_wait("analysts", "Which region sold most?")

It needs the extra `client`. It imports neither the engine nor a model provider.
"""

# ruff: noqa: E402 - the package is checked before a module imports it
from teamrun.core.optional import require

require("httpx2", extra="client", needed_by="`teamrun.client`")

from teamrun.batches.requests import BatchItem
from teamrun.batches.resources import Batch, BatchEvent, BatchItemView, File, ItemResult
from teamrun.batches.spec import BatchLimits
from teamrun.client.aio import AsyncClient
from teamrun.client.calls.batch_options import BatchOptions, FileOptions
from teamrun.client.calls.run_options import RunOptions
from teamrun.client.errors import (
    APIConnectionError,
    APITimeoutError,
    ArtifactNotFoundError,
    AuthenticationError,
    BatchDeletedError,
    BatchEndedError,
    BatchNotFinishedError,
    BatchNotFoundError,
    ConflictError,
    FileTooLargeError,
    IdempotencyConflictError,
    InvalidAnswerError,
    InvalidDefinitionError,
    InvalidItemsError,
    InvalidRequestError,
    NoSuchPointError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RequestError,
    RunDeletedError,
    RunEndedError,
    RunInBatchError,
    RunNotFinishedError,
    RunNotFoundError,
    ServerError,
    ServerUnreachableError,
    ServiceUnavailableError,
    StaleActionError,
    TeamDeletedError,
    TeamNameTakenError,
    TeamNotFoundError,
    TeamReadOnlyError,
    TeamrunAPIError,
    ThreadBusyError,
    ThreadNotFoundError,
    UnfitAnswerError,
    UnreadableRunError,
    UploadNotFoundError,
    WaitTimeoutError,
)
from teamrun.client.retries import RetryPolicy
from teamrun.client.sync import Client
from teamrun.components.resources import TeamSummary, Validation
from teamrun.errors import TeamrunError, UsageError
from teamrun.runs.log.limits import AgentLimits, Limits
from teamrun.runs.log.output import RunResult
from teamrun.runs.log.spec import InputMessage, Retry, RunInput
from teamrun.runs.log.status import RequiredAction, RunStatus
from teamrun.runs.service.requests import Overrides
from teamrun.runs.service.resources import Artifact, Delta, Event, Run

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "AgentLimits",
    "Artifact",
    "ArtifactNotFoundError",
    "AsyncClient",
    "AuthenticationError",
    "Batch",
    "BatchDeletedError",
    "BatchEndedError",
    "BatchEvent",
    "BatchItem",
    "BatchItemView",
    "BatchLimits",
    "BatchNotFinishedError",
    "BatchNotFoundError",
    "BatchOptions",
    "Client",
    "ConflictError",
    "Delta",
    "Event",
    "File",
    "FileOptions",
    "FileTooLargeError",
    "IdempotencyConflictError",
    "InputMessage",
    "InvalidAnswerError",
    "InvalidDefinitionError",
    "InvalidItemsError",
    "InvalidRequestError",
    "ItemResult",
    "Limits",
    "NoSuchPointError",
    "NotFoundError",
    "Overrides",
    "PermissionDeniedError",
    "RateLimitedError",
    "RequestError",
    "RequiredAction",
    "Retry",
    "RetryPolicy",
    "Run",
    "RunDeletedError",
    "RunEndedError",
    "RunInBatchError",
    "RunInput",
    "RunNotFinishedError",
    "RunNotFoundError",
    "RunOptions",
    "RunResult",
    "RunStatus",
    "ServerError",
    "ServerUnreachableError",
    "ServiceUnavailableError",
    "StaleActionError",
    "TeamDeletedError",
    "TeamNameTakenError",
    "TeamNotFoundError",
    "TeamReadOnlyError",
    "TeamSummary",
    "TeamrunAPIError",
    "TeamrunError",
    "ThreadBusyError",
    "ThreadNotFoundError",
    "UnfitAnswerError",
    "UnreadableRunError",
    "UploadNotFoundError",
    "UsageError",
    "Validation",
    "WaitTimeoutError",
]
