"""Errors of the client: a class for each family of problem codes.

    TeamrunError
      TeamrunAPIError                 the server reports an error
        RequestError                  the request is wrong (4xx); UsageError
          AuthenticationError         no API key, or one that is not known (401)
          PermissionDeniedError       the key or the origin does not allow the request (403)
          NotFoundError               there is no such resource (404, 410)
            RunNotFoundError          there is no such run
            RunDeletedError           the run of this idempotency key has been deleted
            BatchDeletedError         the batch of this idempotency key has been deleted
            TeamDeletedError          the team of this idempotency key has been deleted
            TeamNotFoundError         there is no such team, version or alias
            ArtifactNotFoundError     the run has no such file
            BatchNotFoundError        there is no such batch
            ThreadNotFoundError       there is no such thread
            UploadNotFoundError       there is no such uploaded file
          ConflictError               the state of the resource does not allow the request (409)
            RunNotFinishedError       the run has not ended
            RunEndedError             the run has ended
            StaleActionError          the question is not open
            UnreadableRunError        stored data of the run is damaged
            ThreadBusyError           a run of the thread has not ended
            RunInBatchError           the run belongs to a batch that has not ended
            BatchEndedError           the batch has ended
            BatchNotFinishedError     the batch has not ended
            TeamNameTakenError        another team has this name
            TeamReadOnlyError         the team is in the operator's file
          InvalidRequestError         a part of the request is invalid (400, 413, 415, 422)
            InvalidDefinitionError    the definition of the team is invalid
            UnfitAnswerError          the answer does not match the question
            InvalidItemsError         lines or the file of a batch are invalid; errors lists them
            FileTooLargeError         an uploaded file is too large
            NoSuchPointError          the run cannot continue from that point
            IdempotencyConflictError  the idempotency key was used for another request
        RateLimitedError              too many requests (429)
        ServerError                   the server failed (5xx); Unavailable
          ServiceUnavailableError     the server, or something that it needs, does not respond
      APIConnectionError              there is no complete answer; Unavailable
        ServerUnreachableError        no connection, and the server has not answered before
        APITimeoutError               the answer did not arrive in time
      InvalidAnswerError              the answer is not one of this API
      WaitTimeoutError                a run or batch did not end in time

Classes with a counterpart in `teamrun.errors` are subclasses of it, so `except RunNotFound` works
in the same way for the HTTP API and for an embedded engine.
"""

from collections.abc import Sequence
from typing import Any

from teamrun import errors
from teamrun.errors import TeamrunError, Unavailable, UsageError
from teamrun.json_types import JsonMapping

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "ArtifactNotFoundError",
    "AuthenticationError",
    "BatchDeletedError",
    "BatchEndedError",
    "BatchNotFinishedError",
    "BatchNotFoundError",
    "ConflictError",
    "FileTooLargeError",
    "IdempotencyConflictError",
    "InvalidAnswerError",
    "InvalidDefinitionError",
    "InvalidItemsError",
    "InvalidRequestError",
    "NoSuchPointError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitedError",
    "RequestError",
    "RunDeletedError",
    "RunEndedError",
    "RunInBatchError",
    "RunNotFinishedError",
    "RunNotFoundError",
    "ServerError",
    "ServerUnreachableError",
    "ServiceUnavailableError",
    "StaleActionError",
    "TeamDeletedError",
    "TeamNameTakenError",
    "TeamNotFoundError",
    "TeamReadOnlyError",
    "TeamrunAPIError",
    "ThreadBusyError",
    "ThreadNotFoundError",
    "UnfitAnswerError",
    "UnreadableRunError",
    "UploadNotFoundError",
    "WaitTimeoutError",
]


class TeamrunAPIError(TeamrunError):
    """The server reports an error.

    Attributes:
        status: The HTTP status.
        code: The stable code of the problem; `http_{status}` if the answer has none.
        detail: The server's text.
        errors: The invalid parts of the request: `pointer`, `parameter` or `header`, `detail` and
            `code` of each.
        request_id: The id of the request in the server's log.
        run_id: The run in question, if there is one.
        batch_id: The batch in question, if there is one.
        retry_after: The wait before another attempt that the server asks for, in seconds.
    """

    code = "api_error"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        detail: str = "",
        errors: Sequence[JsonMapping] = (),
        request_id: str | None = None,
        run_id: str | None = None,
        batch_id: str | None = None,
        retry_after: float | None = None,
        **data: Any,
    ) -> None:
        super().__init__(
            message,
            status=status,
            code=code,
            detail=detail,
            errors=errors,
            request_id=request_id,
            run_id=run_id,
            batch_id=batch_id,
            retry_after=retry_after,
            **data,
        )
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.request_id = request_id
        self.run_id = run_id
        self.batch_id = batch_id
        self.retry_after = retry_after


class RequestError(TeamrunAPIError, UsageError):
    """The request is wrong, or the state of the resource does not allow it."""


class AuthenticationError(RequestError):
    """The request has no API key, or one that the server does not know."""


class PermissionDeniedError(RequestError):
    """The key does not have the scope of the request, or the server refuses its origin."""


class NotFoundError(RequestError):
    """There is no such resource."""


class RunNotFoundError(NotFoundError, errors.RunNotFound):
    """There is no such run."""


class RunDeletedError(NotFoundError, errors.RunDeleted):
    """The run of this idempotency key has been deleted; use a new key."""


class BatchDeletedError(NotFoundError, errors.BatchDeleted):
    """The batch of this idempotency key has been deleted; use a new key."""


class TeamDeletedError(NotFoundError, errors.TeamDeleted):
    """The team of this idempotency key has been deleted; use a new key."""


class TeamNotFoundError(NotFoundError, errors.TeamNotFound):
    """There is no such team, or it has no such version or alias."""


class ArtifactNotFoundError(NotFoundError, errors.ArtifactNotFound):
    """The run has no such file."""


class BatchNotFoundError(NotFoundError, errors.BatchNotFound):
    """There is no such batch."""


class UploadNotFoundError(NotFoundError, errors.FileNotFound):
    """There is no such uploaded file. An unknown file of a new batch is an `InvalidItemsError`."""


class ConflictError(RequestError):
    """The state of the resource does not allow the request."""


class RunNotFinishedError(ConflictError, errors.RunNotFinished):
    """The run has not ended: wait for it, or cancel it first."""


class RunEndedError(ConflictError, errors.RunEnded):
    """The run has ended, or is being cancelled."""


class StaleActionError(ConflictError, errors.StaleAction):
    """The question is not open; read the run's `required_actions`."""


class UnreadableRunError(ConflictError):
    """Stored data of the run is damaged or missing; nothing is written to it."""


class RunInBatchError(ConflictError, errors.RunInBatch):
    """The run belongs to a batch that has not ended: cancel the batch, or wait for its end."""


class BatchEndedError(ConflictError, errors.BatchEnded):
    """The batch has ended."""


class BatchNotFinishedError(ConflictError, errors.BatchNotFinished):
    """The batch has not ended: wait for its end, or cancel it."""


class TeamNameTakenError(ConflictError, errors.TeamNameTaken):
    """Another team has this name; choose another one, or add a version to that team."""


class ThreadNotFoundError(NotFoundError, errors.ThreadNotFound):
    """There is no such thread."""


class ThreadBusyError(ConflictError, errors.ThreadBusy):
    """A run of the thread has not ended; wait for its end, or send another `on_busy_thread`."""


class TeamReadOnlyError(ConflictError, errors.TeamReadOnly):
    """The team is in the operator's file, so it cannot be changed over HTTP."""


class InvalidRequestError(RequestError):
    """A part of the request is invalid; `errors` lists each."""


class InvalidDefinitionError(InvalidRequestError, errors.DefinitionError):
    """The definition of the team is invalid; `errors` lists each fault."""


class UnfitAnswerError(InvalidRequestError, errors.UnfitAnswer):
    """The answer does not match its question."""


class InvalidItemsError(InvalidRequestError, errors.InvalidItems):
    """Items of a batch are invalid; nothing was accepted. `errors` has the line or pointer of each.

    If the input itself cannot be read, such as an unknown `input_file_id` or an `input_url` that is
    not allowed, `errors` has the `pointer` of that field in place of a line.
    """


class FileTooLargeError(InvalidRequestError, errors.FileTooLarge):
    """An uploaded file has more bytes than the server accepts."""


class NoSuchPointError(InvalidRequestError, errors.NoSuchPoint):
    """The run cannot continue from the requested point."""


class IdempotencyConflictError(InvalidRequestError, errors.IdempotencyConflict):
    """The idempotency key was used for another request; use a new one."""


class RateLimitedError(TeamrunAPIError):
    """The server received too many requests; `retry_after` is the wait that it asks for."""


class ServerError(TeamrunAPIError, Unavailable):
    """The server failed on the request; its log has the reason under `request_id`."""


class ServiceUnavailableError(ServerError):
    """The server, or a component that it needs, does not respond."""


class APIConnectionError(Unavailable):
    """There is no complete answer: the connection failed or was lost."""

    code = "connection_failed"


class ServerUnreachableError(APIConnectionError):
    """No connection could be made, and the server has not answered this client before."""

    code = "server_unreachable"


class APITimeoutError(APIConnectionError):
    """The answer did not arrive in time."""

    code = "timed_out"


class InvalidAnswerError(TeamrunError):
    """The answer is not one of this API: the URL leads to another service, or to a proxy."""

    code = "invalid_answer"


class WaitTimeoutError(TeamrunError, TimeoutError):
    """A run or batch did not end in time. It continues; wait again to follow it.

    Attributes:
        id: The run or batch.
        status: Its status when it was last read.
    """

    code = "wait_timeout"

    def __init__(self, message: str, *, id: str, status: str, **data: Any) -> None:
        super().__init__(message, id=id, status=status, **data)
        self.id = id
        self.status = status
