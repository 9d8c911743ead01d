"""Errors as RFC 9457 problems: the status of each class, and the text for clients.

The only place that turns an exception into a response. An exception that is not in the table is a
defect of the server: the client gets 500 and a request id, the log gets the traceback.
"""

import http
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

from teamrun import errors
from teamrun.errors import TeamrunError
from teamrun.resources import FieldError, Problem
from teamrun_api import faults
from teamrun_api.faults import RequestFault

__all__ = ["MEDIA_TYPE", "problem_of", "problem_response", "status_of"]

MEDIA_TYPE = "application/problem+json"

RETRY_AFTER_SECONDS = 1
"""When a client may retry after 503, or poll a run that has not ended."""

_STATUS: dict[type[TeamrunError], int] = {
    faults.InvalidJson: 400,
    faults.InvalidParameter: 400,
    faults.InvalidRequest: 400,
    faults.AmbiguousLength: 400,
    errors.UsageError: 400,
    faults.Unauthenticated: 401,
    faults.MissingScope: 403,
    faults.HostNotAllowed: 403,
    faults.OriginNotAllowed: 403,
    faults.RouteNotFound: 404,
    errors.TeamNotFound: 404,
    errors.TeamVersionNotFound: 404,
    errors.ThreadNotFound: 404,
    errors.RunNotFound: 404,
    errors.ArtifactNotFound: 404,
    errors.EndpointNotFound: 404,
    errors.DeliveryNotFound: 404,
    faults.MethodNotAllowed: 405,
    faults.NotAcceptable: 406,
    faults.RequestTimeout: 408,
    errors.RunDeleted: 410,
    errors.BatchDeleted: 410,
    errors.TeamDeleted: 410,
    errors.BatchNotFound: 404,
    errors.FileNotFound: 404,
    errors.RunInBatch: 409,
    errors.BatchEnded: 409,
    errors.BatchNotFinished: 409,
    errors.RunNotFinished: 409,
    errors.RunEnded: 409,
    errors.StaleAction: 409,
    errors.TooManyEndpoints: 409,
    errors.ThreadBusy: 409,
    errors.TeamNameTaken: 409,
    errors.TeamReadOnly: 409,
    errors.TooManyTeams: 409,
    errors.PreconditionFailed: 412,
    faults.BodyTooLarge: 413,
    faults.UnsupportedMediaType: 415,
    faults.RangeNotSatisfiable: 416,
    faults.PreconditionRequired: 428,
    faults.InvalidBody: 422,
    errors.DefinitionError: 422,
    errors.InvalidItems: 422,
    errors.FileTooLarge: 413,
    errors.IdempotencyConflict: 422,
    errors.UnfitAnswer: 422,
    errors.NoSuchPoint: 422,
    errors.ImpossibleTime: 422,
    errors.DestinationRefused: 422,
    errors.MissingPackage: 500,
    faults.NotReady: 503,
    errors.UnreadableEntry: 409,
    errors.DamagedBlob: 409,
    errors.NotFound: 500,
    errors.StorageError: 503,
    errors.DeliveryError: 503,
}

_TITLES = {
    "unknown_api_version": "The API has no such version",
    "unknown_team": "There is no registered team of this name",
    "unknown_version": "The version of a team, or of the format, is unknown",
}
"""Titles of codes that say more than their class."""

_DAMAGED = (errors.UnreadableEntry, errors.DamagedBlob)
"""Errors that retrying does not resolve."""

_SHOWN = (faults.NotReady, *_DAMAGED)
"""Storage errors whose text names nothing but the key of a run's object."""

_WAIT = (errors.RunNotFinished, errors.BatchNotFinished, errors.StorageError, errors.DeliveryError)

_WITH_POINTER = (
    errors.UnfitAnswer,
    errors.NoSuchPoint,
    errors.ImpossibleTime,
    errors.DestinationRefused,
)

_INTERNAL = "The server failed on this request; its log has the reason under the request id."


def status_of(kind: type[TeamrunError]) -> int:
    """The HTTP status of an error class: its own, or that of its nearest parent in the table."""
    for parent in kind.__mro__:
        if parent in _STATUS:
            return _STATUS[parent]
    return 500


def title_of(kind: type[TeamrunError]) -> str:
    """The title of the error: the first sentence of its class."""
    return (kind.__doc__ or kind.__name__).partition("\n")[0].partition(". ")[0].rstrip(".")


def problem_of(error: Exception, request_id: str) -> Problem:
    """The problem for the client; without internal details if the error is a defect."""
    if not isinstance(error, TeamrunError) or status_of(type(error)) == 500:
        return _problem("internal", http.HTTPStatus(500).phrase, 500, _INTERNAL, request_id)
    kind = type(error)
    title = _TITLES.get(error.code) or title_of(kind)
    problem = _problem(error.code, title, status_of(kind), _detail_of(error), request_id)
    return problem.model_copy(
        update={
            "run_id": error.data.get("run_id"),
            "batch_id": error.data.get("batch_id"),
            "errors": [FieldError(**fault._asdict()) for fault in _faults_of(error)],
        }
    )


def problem_response(
    error: Exception, scope: Scope, *, headers: Iterable[tuple[str, str]] = ()
) -> Response:
    """The response for an error, to the request of `scope`."""
    request_id = str(scope.get("state", {}).get("request_id", ""))
    problem = problem_of(error, request_id)
    response = Response(
        problem.model_dump_json(exclude_none=True),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store"},
    )
    for name, value in (*_headers_of(error), *headers):
        response.headers[name] = value
    return response


def _problem(code: str, title: str, status: int, detail: str, request_id: str) -> Problem:
    return Problem(
        type=f"urn:teamrun:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        request_id=request_id,
    )


def _detail_of(error: TeamrunError) -> str:
    # The text of a storage or queue error may name hosts and keys, so it stays in the log.
    hidden = isinstance(error, errors.StorageError | errors.DeliveryError)
    if hidden and not isinstance(error, _SHOWN):
        return f"{title_of(type(error))}."
    return error.message


def _faults_of(error: TeamrunError) -> tuple[RequestFault, ...]:
    if isinstance(error, errors.DefinitionError):
        return _definition_faults(error)
    if isinstance(error, _WITH_POINTER):
        return (RequestFault(error.message, error.code, pointer=error.pointer),)
    if isinstance(error, errors.InvalidItems):
        return tuple(
            RequestFault(
                item["detail"], item["code"], item.get("pointer"), line=item["line"] or None
            )
            for item in error.problems
        )
    if isinstance(error, faults.InvalidBody | faults.InvalidParameter | faults.NotReady):
        return error.faults
    return ()


def _definition_faults(error: errors.DefinitionError) -> tuple[RequestFault, ...]:
    found: list[dict[str, str]] = error.data.get("problems", [])
    if not found:
        return (RequestFault(error.message, error.code, pointer=error.pointer),)
    return tuple(RequestFault(item["detail"], item["code"], item["pointer"]) for item in found)


def _headers_of(error: Exception) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if isinstance(error, _WAIT) and not isinstance(error, _DAMAGED):
        found.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
    if isinstance(error, faults.RequestTimeout):
        found.append(("Connection", "close"))
    if isinstance(error, faults.Unauthenticated):
        found.append(("WWW-Authenticate", 'Bearer realm="teamrun"'))
    if isinstance(error, faults.RangeNotSatisfiable):  # RFC 9110, 14.4
        found.append(("Content-Range", f"bytes */{error.size}"))
    if isinstance(error, faults.MissingScope):
        scope: Any = error.data.get("scope", "")
        found.append(("WWW-Authenticate", f'Bearer error="insufficient_scope", scope="{scope}"'))
    return found
