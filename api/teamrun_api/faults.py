"""Errors of the HTTP request itself; all others are in `teamrun.errors`.

    UsageError
      Unauthenticated          no key, or one that is not known
      MissingScope             the key does not allow this
      HostNotAllowed           without keys, only a loopback name is allowed
      OriginNotAllowed         without keys, web pages of other origins are refused
      BodyTooLarge             more bytes than the limit
      UnsupportedMediaType     not JSON, or a compressed body
      InvalidJson              the body is no JSON, or nested too deep
      InvalidBody              a field of the body is invalid
      InvalidParameter         a query parameter, path part or header is invalid
        InvalidIdempotencyKey  not 1 to 255 printable ASCII characters
      PreconditionRequired     a change needs `If-Match`
      NotAcceptable            no representation that `Accept` allows
      RangeNotSatisfiable      `Range` begins after the end
      ResponseTooLarge         more bytes than the platform can send at once
      InvalidRequest           not HTTP/1.1
      AmbiguousLength          the body's length is given in two ways
      RequestTimeout           the body does not arrive
      RouteNotFound            the path does not exist
        UnknownVersion         a path of another API version
      MethodNotAllowed         the path exists, the method does not
    StorageError
      NotReady                 a component that the API needs does not respond

`problems.py` maps each to a status.
"""

from collections.abc import Sequence
from typing import NamedTuple

from teamrun.errors import StorageError, UsageError

__all__ = [
    "AmbiguousLength",
    "BodyTooLarge",
    "HostNotAllowed",
    "InvalidBody",
    "InvalidIdempotencyKey",
    "InvalidJson",
    "InvalidParameter",
    "InvalidRequest",
    "MethodNotAllowed",
    "MissingScope",
    "NotAcceptable",
    "NotReady",
    "OriginNotAllowed",
    "PreconditionRequired",
    "RangeNotSatisfiable",
    "RequestFault",
    "RequestTimeout",
    "ResponseTooLarge",
    "RouteNotFound",
    "Unauthenticated",
    "UnknownVersion",
    "UnsupportedMediaType",
]


class RequestFault(NamedTuple):
    """One error and its location: in the body, a parameter or a header."""

    detail: str
    code: str
    pointer: str | None = None
    """JSON pointer (RFC 6901) into the body; the empty one is the whole body."""
    parameter: str | None = None
    header: str | None = None
    line: int | None = None


class Unauthenticated(UsageError):
    """The request has no valid API key."""

    code = "unauthenticated"


class MissingScope(UsageError):
    """The key does not have the scope that the operation needs."""

    code = "missing_scope"


class HostNotAllowed(UsageError):
    """Without API keys, `Host` must be a loopback name."""

    code = "host_not_allowed"


class OriginNotAllowed(UsageError):
    """Without API keys, requests from pages of another origin are refused."""

    code = "origin_not_allowed"


class BodyTooLarge(UsageError):
    """The request body is too large."""

    code = "body_too_large"


class UnsupportedMediaType(UsageError):
    """The request body is not plain JSON."""

    code = "unsupported_media_type"


class InvalidJson(UsageError):
    """The request body is not valid JSON."""

    code = "invalid_json"


class _WithFieldErrors(UsageError):
    def __init__(self, message: str, *, faults: Sequence[RequestFault] = ()) -> None:
        super().__init__(message, faults=tuple(faults))
        self.faults = tuple(faults)


class InvalidBody(_WithFieldErrors):
    """The request body is invalid; `errors` lists each fault."""

    code = "invalid_body"


class InvalidParameter(_WithFieldErrors):
    """A query parameter, path part or header is invalid; `errors` lists each fault."""

    code = "invalid_parameter"


class InvalidIdempotencyKey(InvalidParameter):
    """The Idempotency-Key is not 1 to 255 printable ASCII characters."""

    code = "invalid_idempotency_key"


class PreconditionRequired(UsageError):
    """The change needs the header If-Match, with the ETag of the resource."""

    code = "precondition_required"


class NotAcceptable(UsageError):
    """None of the representations of the resource is in the request's Accept header."""

    code = "not_acceptable"


class RangeNotSatisfiable(UsageError):
    """The requested range begins after the end of the content. `size` is that of the content."""

    code = "range_not_satisfiable"

    def __init__(self, message: str, *, size: int) -> None:
        super().__init__(message)
        self.size = size


class InvalidRequest(UsageError):
    """The request is not valid HTTP/1.1."""

    code = "invalid_request"


class AmbiguousLength(UsageError):
    """The request has two lengths of its body."""

    code = "ambiguous_length"


class RequestTimeout(UsageError):
    """The request body did not arrive in time."""

    code = "request_timeout"


class ResponseTooLarge(UsageError):
    """The response is too large for the platform of the API; ask for a part of it."""

    code = "response_too_large"


class RouteNotFound(UsageError):
    """The path does not exist."""

    code = "route_not_found"


class UnknownVersion(RouteNotFound):
    """This server does not have that version of the API."""

    code = "unknown_api_version"


class MethodNotAllowed(UsageError):
    """The resource does not support this method."""

    code = "method_not_allowed"


class NotReady(StorageError):
    """A component that the API needs does not respond; `errors` lists each."""

    code = "not_ready"

    def __init__(self, message: str, *, faults: Sequence[RequestFault] = ()) -> None:
        super().__init__(message, faults=tuple(faults))
        self.faults = tuple(faults)
