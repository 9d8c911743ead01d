"""Errors of the `anthropic` SDK, and of what its callers plug in: `ModelError`."""

from collections.abc import Mapping

import anthropic
import httpx2

from teamrun.errors import ModelError
from teamrun.models import http_errors
from teamrun.models.error_bodies import read_error
from teamrun.models.http_errors import answered, connection_error, in_band_error, secrets_of
from teamrun.models.unreadable import unreadable

__all__ = ["mapped_errors", "to_model_error"]

_REMEDIES = {
    401: "check api_key, or the variable that it is read from",
    404: "check the model's name and base_url",
}


class mapped_errors(http_errors.mapped_errors):
    """Inside the block every error that is not ours becomes a `ModelError` with its cause."""

    def to_model_error(self, error: Exception, remedies: Mapping[int, str]) -> ModelError:
        """The error in our terms."""
        return to_model_error(error)

    def request_of(self, error: Exception) -> httpx2.Request | None:
        """The request that failed, if the error has it."""
        if isinstance(error, anthropic.APIError):
            return error.request
        return super().request_of(error)


def to_model_error(error: Exception) -> ModelError:
    """The error in our terms, with the server's words and whether the call may be repeated.

    Args:
        error: Any exception of a call.
    """
    match error:
        case anthropic.APIStatusError():
            return answered(error.response, _body_of(error), _REMEDIES)
        case anthropic.APITimeoutError():
            return http_errors.to_model_error(TimeoutError())
        case anthropic.APIConnectionError():
            return connection_error(error.__cause__ or error, error.request)
        case anthropic.APIResponseValidationError():
            return unreadable(str(error))
        case anthropic.APIError():
            return in_band_error(read_error(error.body or error.message), secrets_of(error.request))
        case anthropic.AnthropicError():
            return ModelError(f"The Anthropic client refused the call: {error}")
        case _:
            return http_errors.to_model_error(error)


def _body_of(error: anthropic.APIStatusError) -> object:
    try:
        return error.response.content
    except httpx2.StreamError:  # a hook of the caller's raised before the body was read
        return error.body
