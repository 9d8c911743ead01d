"""Failures of model servers that are called over HTTP, whatever the SDK: `ModelError`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import cast
from urllib.parse import unquote_plus

import httpx2

from teamrun.core.retry_after import retry_after
from teamrun.errors import ModelError, TeamrunError
from teamrun.json_types import JsonObject
from teamrun.models.causes import without_secrets
from teamrun.models.error_bodies import ErrorBody, read_error, tidy
from teamrun.models.too_long import code_of
from teamrun.models.transient import is_transient
from teamrun.models.unreadable import unreadable

__all__ = [
    "answered",
    "connection_error",
    "in_band_error",
    "mapped_errors",
    "redirected",
    "request_of",
    "secrets_of",
    "to_model_error",
    "unwritable",
]

_HARMLESS_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "anthropic-beta",
        "anthropic-version",
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "openai-organization",
        "openai-project",
        "transfer-encoding",
        "user-agent",
    }
)
_SECRET_CHARS = 6
"""Shorter values are no keys, and too common to be replaced in a text."""


class mapped_errors:
    """Inside the block every error that is not ours becomes a `ModelError` with its cause.

    Not a list of types: token providers and HTTP hooks are the caller's code and may raise
    anything. Cancellation is no error and passes.

    Args:
        remedies: What to check after a refusal, by HTTP status.
    """

    def __init__(self, remedies: Mapping[int, str] | None = None) -> None:
        self._remedies = remedies or {}

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, TeamrunError):
            cause = without_secrets(error, secrets_of(self.request_of(error)))
            raise self.to_model_error(error, self._remedies) from cause

    def to_model_error(self, error: Exception, remedies: Mapping[int, str]) -> ModelError:
        """The error in our terms; an SDK's own errors are mapped by a subclass."""
        return to_model_error(error)

    def request_of(self, error: Exception) -> httpx2.Request | None:
        """The request that failed, if the error has it."""
        return request_of(error) if isinstance(error, httpx2.RequestError) else None


def to_model_error(error: Exception) -> ModelError:
    """The error in our terms, and whether the call may be repeated.

    Args:
        error: Any exception of a call but those of an SDK.
    """
    match error:
        case httpx2.TimeoutException() | TimeoutError():
            return ModelError(
                "The model did not respond in time; see timeout=.", retryable=True, timed_out=True
            )
        case httpx2.RequestError():
            return connection_error(error, request_of(error))
        case UnicodeEncodeError() | TypeError():
            return unwritable(error)
        case ValueError() | AttributeError() | LookupError():
            return unreadable(str(error))  # of the caller's code, too, so its words are kept
        case OSError():
            return ModelError(
                f"The connection to the model broke: {_text_of(error)}", retryable=True
            )
        case _:
            return ModelError(f"The model call failed: {type(error).__name__}: {error}")


def in_band_error(body: ErrorBody, secrets: Sequence[str]) -> ModelError:
    """The failure that a server reports under status 200, in a whole answer or within a stream.

    Args:
        body: The error as the server describes it.
        secrets: Values to remove from the message.
    """
    words = tidy(body.words, secrets) or "no reason is given"
    return ModelError(
        f"The model's server broke the answer off with an error: {words}{_filter(body)}",
        status_code=body.status,
        retryable=is_transient(body, status=body.status),
        cut=True,
        **_details(body, words),
    )


def unwritable(error: Exception) -> ModelError:
    """The failure of a request that JSON cannot express; another attempt would fail as well."""
    return ModelError(
        f"The request cannot be written as JSON: {error}. Check the tools' schemas, the model's "
        "arguments and extra_body for values that JSON does not have, such as NaN or Infinity."
    )


def redirected(url: httpx2.URL, request: httpx2.Request, status: int | None = None) -> ModelError:
    """The failure of a request that the server redirects to an address that is not followed.

    Args:
        url: The address that the server named.
        request: The request; its keys are removed from the message.
        status: Of the redirect, if it is known.
    """
    address = url.copy_with(username="", password="", query=None, fragment=None)
    place = tidy(str(address), secrets_of(request))
    return ModelError(
        f"The model's server redirects the request to {place}, where it was not sent. If that "
        "server may receive the conversation and the key, set base_url (azure_endpoint for Azure) "
        "to its address.",
        status_code=status,
    )


def secrets_of(request: httpx2.Request | None) -> list[str]:
    """The values of a request's headers and of its query that must not appear in a message."""
    if request is None:
        return []
    headers = cast(Mapping[str, str], request.headers)
    values = [
        value.removeprefix("Bearer ")
        for name, value in headers.items()
        if name.lower() not in _HARMLESS_HEADERS and not name.lower().startswith("x-stainless-")
    ]
    pairs = [pair.partition("=") for pair in request.url.query.decode("ascii").split("&")]
    for name, _, value in pairs:
        if name != "api-version":
            values += [value, unquote_plus(value)]
    values.append(request.url.password)
    return [value for value in dict.fromkeys(values) if len(value) >= _SECRET_CHARS]


def connection_error(cause: BaseException, request: httpx2.Request | None) -> ModelError:
    """The failure of a request that got no answer, or only a part of one.

    Args:
        cause: What the HTTP library raised.
        request: The request, if it is known.
    """
    match cause:
        case httpx2.LocalProtocolError():  # its text may quote the Authorization header
            return ModelError(
                "The request cannot be sent: a header has characters that HTTP does not allow; "
                "check api_key and default_headers for a line end."
            )
        case httpx2.TooManyRedirects():
            return ModelError(
                "The model's server redirects the request in a circle; check base_url."
            )
        case httpx2.DecodingError():
            return unreadable(str(cause))
        case httpx2.UnsupportedProtocol():
            # The address is not repeated: it may have a password in it.
            return ModelError("base_url must begin with http:// or https://.")
        case httpx2.RemoteProtocolError() | httpx2.ReadError():
            return ModelError(
                f"The model's server broke the connection off: {_text_of(cause)}",
                retryable=True,
                cut=True,
            )
        case _:
            where = "" if request is None else request.url.netloc.decode("ascii", "replace")
            return ModelError(
                f"The model cannot be reached at {where}: {_text_of(cause)}", retryable=True
            )


def answered(
    response: httpx2.Response, body: object, remedies: Mapping[int, str] | None = None
) -> ModelError:
    """The failure that a server reports by the HTTP status of its response.

    Args:
        response: The response.
        body: Its body: bytes, text or parsed JSON.
        remedies: What to check after a refusal, by HTTP status.
    """
    headers = cast(Mapping[str, str], response.headers)
    error, status = read_error(body, is_one=True), response.status_code
    if (target := _target(response)) is not None:
        return redirected(target, response.request, status)
    words = tidy(error.words, secrets_of(response.request)) or response.reason_phrase
    remedy = f" ({remedies[status]})" if remedies and status in remedies else ""
    data = _details(error, words)
    if (request_id := headers.get("x-request-id") or headers.get("request-id")) is not None:
        data["request_id"] = request_id
    wait = retry_after(headers, now=datetime.now(UTC))
    if wait is not None:
        data["retry_after"] = wait
    return ModelError(
        f"The model's server answered {status}: {words}{_filter(error)}{remedy}",
        status_code=status,
        retryable=is_transient(error, status=status, should_retry=headers.get("x-should-retry")),
        **data,
    )


def _text_of(error: BaseException) -> str:
    """The text of an error; some of the HTTP library's have none."""
    return str(error) or type(error).__name__


def request_of(error: httpx2.RequestError) -> httpx2.Request | None:
    """The request that failed, if the transport set it."""
    try:
        return error.request
    except RuntimeError:  # the transport did not set it
        return None


def _target(response: httpx2.Response) -> httpx2.URL | None:
    """The address to which the response redirects, if the client did not follow it itself."""
    if not response.has_redirect_location:
        return None
    try:
        return response.request.url.join(response.headers["location"])
    except httpx2.InvalidURL:
        return None


def _filter(body: ErrorBody) -> str:
    return f" (content filter: {', '.join(body.filtered)})" if body.filtered else ""


def _details(body: ErrorBody, words: str) -> JsonObject:
    details: JsonObject = {}
    if (code := code_of(body.code, words)) is not None:
        details["provider_code"] = tidy(code)
    if body.filtered:
        details["filtered"] = list(body.filtered)
    return details
