"""Errors of the `openai` SDK, of its HTTP library and of credentials, as `ModelError`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, cast

import httpx2
import openai

from teamrun.errors import ModelError, TeamrunError
from teamrun.models.retry import retry_after

__all__ = ["mapped_errors", "to_model_error"]

_PASSING_STATUS = frozenset({408, 409, 425, 429})
_NEVER_PASSING = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Codes under status 429 that no wait mends."""
_REMEDIES = {
    400: "the request does not suit the model",
    401: "check api_key, or OPENAI_API_KEY",
    403: "the key may not use this model",
    404: "check the model's name and base_url",
    413: "the request is too large",
}


class mapped_errors:
    """Inside the block every error that is not ours becomes a `ModelError` with its cause.

    Not a list of types: token providers and HTTP hooks are the caller's code and may raise
    anything. Cancellation is no error and passes.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, TeamrunError):
            raise to_model_error(error) from error


def to_model_error(error: Exception) -> ModelError:
    """The error in our terms, with what the server said about trying again."""
    match error:
        case openai.APIStatusError():
            return _status_error(error)
        case openai.APITimeoutError() | TimeoutError():
            return ModelError("The model did not answer in time; see timeout=.", retryable=True)
        case openai.APIConnectionError():
            return _connection_error(error)
        case openai.APIResponseValidationError():
            return _unreadable(error)
        case openai.APIError():  # an error event within a stream
            return _stream_error(error)
        case openai.OpenAIError():
            return ModelError(f"The OpenAI client refused the call: {error}")
        case UnicodeEncodeError() | TypeError():
            return ModelError(f"The request cannot be written: {error}")
        case ValueError() | AttributeError() | LookupError():
            return _unreadable(error)
        case OSError():
            return ModelError(f"The connection to the model broke: {error}", retryable=True)
        case _:
            return ModelError(f"The model call failed: {type(error).__name__}: {error}")


def _connection_error(error: openai.APIConnectionError) -> ModelError:
    match error.__cause__:
        case httpx2.LocalProtocolError():  # its text may quote the Authorization header
            return ModelError(
                "The request cannot be sent: a header holds what HTTP does not allow; "
                "check api_key and default_headers for a line end."
            )
        case httpx2.UnsupportedProtocol():
            return ModelError(
                f"base_url must begin with http:// or https://, not {str(error.request.url)!r}."
            )
        case httpx2.RemoteProtocolError() | httpx2.ReadError() as cause:
            return ModelError(
                f"The model's server broke the connection off: {cause}", retryable=True, cut=True
            )
        case cause:
            where = error.request.url.netloc.decode("ascii", "replace")
            return ModelError(
                f"The model cannot be reached at {where}: {cause or error}", retryable=True
            )


def _status_error(error: openai.APIStatusError) -> ModelError:
    headers = cast(Mapping[str, str], error.response.headers)
    data: dict[str, Any] = {"provider_code": error.code, "request_id": error.request_id}
    wait = retry_after(headers, now=datetime.now(UTC))
    if wait is not None:
        data["retry_after"] = wait
    status = error.status_code
    remedy = f" ({_REMEDIES[status]})" if status in _REMEDIES else ""
    return ModelError(
        f"The model's server answered {status}: {error.message}{remedy}",
        status_code=status,
        retryable=_is_passing(error, headers.get("x-should-retry")),
        **{name: value for name, value in data.items() if value is not None},
    )


def _is_passing(error: openai.APIStatusError, should_retry: str | None) -> bool:
    if should_retry in ("true", "false"):
        return should_retry == "true"
    if error.code in _NEVER_PASSING or error.type in _NEVER_PASSING:
        return False
    return error.status_code in _PASSING_STATUS or error.status_code >= 500


def _stream_error(error: openai.APIError) -> ModelError:
    kinds = {error.code, error.type}
    return ModelError(
        f"The model's stream broke off with an error: {error.message}",
        retryable="invalid_request_error" not in kinds and not kinds & _NEVER_PASSING,
        cut=True,
        provider_code=error.code or error.type,
    )


def _unreadable(error: Exception) -> ModelError:
    return ModelError(
        f"The model's answer cannot be read: {error}", retryable=True, unreadable=True
    )
