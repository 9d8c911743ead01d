"""Problem details of the API (RFC 9457) as errors: the tables of codes and of statuses."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from teamrun.client import errors
from teamrun.client.errors import InvalidAnswerError, TeamrunAPIError
from teamrun.client.requests import Reply
from teamrun.components.reading.problems import ProblemCode
from teamrun.core.retry_after import retry_after
from teamrun.errors import TeamrunError

__all__ = ["CODES", "STATUSES", "error_of"]

CODES: Mapping[str, type[TeamrunAPIError]] = {
    **dict.fromkeys(get_args(ProblemCode), errors.InvalidDefinitionError),
    "batch_ended": errors.BatchEndedError,
    "batch_not_finished": errors.BatchNotFinishedError,
    "batch_not_found": errors.BatchNotFoundError,
    "file_not_found": errors.UploadNotFoundError,
    "file_too_large": errors.FileTooLargeError,
    "invalid_items": errors.InvalidItemsError,
    "run_in_batch": errors.RunInBatchError,
    "artifact_not_found": errors.ArtifactNotFoundError,
    "damaged_blob": errors.UnreadableRunError,
    "idempotency_conflict": errors.IdempotencyConflictError,
    "no_such_point": errors.NoSuchPointError,
    "run_deleted": errors.RunDeletedError,
    "batch_deleted": errors.BatchDeletedError,
    "run_ended": errors.RunEndedError,
    "run_not_finished": errors.RunNotFinishedError,
    "run_not_found": errors.RunNotFoundError,
    "stale_action": errors.StaleActionError,
    "team_deleted": errors.TeamDeletedError,
    "team_name_taken": errors.TeamNameTakenError,
    "team_not_found": errors.TeamNotFoundError,
    "team_read_only": errors.TeamReadOnlyError,
    "team_version_not_found": errors.TeamNotFoundError,
    "thread_busy": errors.ThreadBusyError,
    "thread_not_found": errors.ThreadNotFoundError,
    "unfit_answer": errors.UnfitAnswerError,
    "unreadable_entry": errors.UnreadableRunError,
}
"""The class of each code that has one of its own."""

STATUSES: Mapping[int, type[TeamrunAPIError]] = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    410: errors.NotFoundError,
    413: errors.InvalidRequestError,
    415: errors.InvalidRequestError,
    422: errors.InvalidRequestError,
    429: errors.RateLimitedError,
    502: errors.ServiceUnavailableError,
    503: errors.ServiceUnavailableError,
    504: errors.ServiceUnavailableError,
}
"""The class of all other codes, by status; of a status that is not here, `RequestError` or
`ServerError`."""

_SHOWN_CHARACTERS = 200


class _FieldError(BaseModel):
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    line: int | None = None
    detail: str = ""
    code: str = ""

    @property
    def place(self) -> str:
        if self.line is not None:
            return f"line {self.line}"
        return self.pointer or self.parameter or self.header or "the request"


class _Problem(BaseModel):
    title: str = ""
    detail: str = ""
    code: str = ""
    request_id: str | None = None
    run_id: str | None = None
    batch_id: str | None = None
    errors: list[_FieldError] = []

    def message(self, otherwise: str) -> str:
        told = self.detail or self.title or self.code or otherwise
        if len(self.errors) == 1 and self.errors[0].detail in told:
            place = self.errors[0].place
            begins = (place.lower(), f"{place.removeprefix('/')}: ".lower())
            return told if told.lower().startswith(begins) else f"{place}: {told}"
        return told + "".join(f"\n  {fault.place}: {fault.detail}" for fault in self.errors)


_PROBLEM = TypeAdapter(_Problem)


def error_of(reply: Reply) -> TeamrunError:
    """The error that an answer reports: a status of 400 or above, or a redirect."""
    if reply.status < 400:
        return _redirect(reply)
    try:
        problem = _PROBLEM.validate_json(reply.content)
    except ValidationError:  # a proxy's page
        problem = _Problem()
    kind = _class_of(reply.status, problem.code)
    shown = f"HTTP {reply.status}: {reply.text[:_SHOWN_CHARACTERS]}"
    pointer = next((each.pointer for each in problem.errors if each.pointer), None)
    data: dict[str, Any] = {"pointer": pointer} if pointer is not None else {}
    return kind(
        problem.message(shown),
        status=reply.status,
        code=problem.code or f"http_{reply.status}",
        detail=problem.detail or problem.title or shown,
        errors=[each.model_dump(exclude_none=True) for each in problem.errors],
        request_id=problem.request_id or reply.headers.get("x-request-id"),
        run_id=problem.run_id,
        batch_id=problem.batch_id,
        retry_after=retry_after(reply.headers, now=datetime.now(UTC)),
        **data,
    )


def _class_of(status: int, code: str) -> type[TeamrunAPIError]:
    if status >= 500:  # `storage` and `internal` say nothing about the request
        return STATUSES.get(status, errors.ServerError)
    return CODES.get(code) or STATUSES.get(status, errors.RequestError)


def _redirect(reply: Reply) -> InvalidAnswerError:
    return InvalidAnswerError(
        f"The server redirects (HTTP {reply.status}) to {reply.headers.get('location', '')!r}. "
        "Redirects are not followed, because the API key would be sent along. If that place is the "
        "API, set base_url (TEAMRUN_URL) to its URL.",
        status=reply.status,
    )
