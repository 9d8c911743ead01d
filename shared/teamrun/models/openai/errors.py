"""Errors of the `openai` SDK, and of what its callers plug in: `ModelError`."""

from collections.abc import Mapping

import httpx2
import openai

from teamrun.errors import ModelError
from teamrun.models import http_errors
from teamrun.models.error_bodies import read_error
from teamrun.models.http_errors import answered, connection_error, in_band_error, secrets_of
from teamrun.models.unreadable import unreadable

__all__ = ["mapped_errors", "to_model_error"]


class mapped_errors(http_errors.mapped_errors):
    """Inside the block every error that is not ours becomes a `ModelError` with its cause."""

    def to_model_error(self, error: Exception, remedies: Mapping[int, str]) -> ModelError:
        """The error in our terms."""
        return to_model_error(error, remedies)

    def request_of(self, error: Exception) -> httpx2.Request | None:
        """The request that failed, if the error has it."""
        return error.request if isinstance(error, openai.APIError) else super().request_of(error)


def to_model_error(error: Exception, remedies: Mapping[int, str] | None = None) -> ModelError:
    """The error in our terms, with the server's words and whether the call may be repeated.

    Args:
        error: Any exception of a call.
        remedies: What to check after a refusal, by HTTP status.
    """
    match error:
        case openai.APIStatusError():
            return answered(error.response, _body_of(error), remedies)
        case openai.APITimeoutError():
            return http_errors.to_model_error(TimeoutError())
        case openai.APIConnectionError():
            return connection_error(error.__cause__ or error, error.request)
        case openai.APIResponseValidationError():
            return unreadable(str(error))
        case openai.APIError():
            return in_band_error(read_error(error.body or error.message), secrets_of(error.request))
        case openai.OpenAIError():
            return ModelError(f"The OpenAI client refused the call: {error}")
        case _:
            return http_errors.to_model_error(error)


def _body_of(error: openai.APIStatusError) -> object:
    try:
        return error.response.content
    except httpx2.StreamError:  # a hook of the caller's raised before the body was read
        return error.body
