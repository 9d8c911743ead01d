"""Which failures of a model's server are transient."""

from teamrun.models.error_bodies import ErrorBody

__all__ = ["is_transient", "is_transient_status"]

_PASSING_STATUS = frozenset({408, 409, 425, 429})

_NEVER_PASSING = frozenset(
    {
        "1004",  # MiniMax: unknown key
        "1008",  # MiniMax: no balance
        "access_terminated",
        "account_deactivated",
        "arrearage",
        "billing_hard_limit_reached",
        "billing_not_active",
        "exceeded_current_quota_error",
        "insufficient_credits",
        "insufficient_quota",
        "payment_required",
    }
)
"""Codes and types, in lower case, that no wait mends, whatever the status."""
_REQUEST_FAULTS = frozenset(
    {
        "authentication_error",
        "bad_request",
        "badrequesterror",
        "content_filter",
        "context_length_exceeded",
        "invalid_api_key",
        "invalid_argument",
        "invalid_request_error",
        "model_not_found",
        "not_found",
        "not_found_error",
        "permission_denied",
        "permission_error",
        "request_too_large",
        "unauthenticated",
    }
)
"""The same for errors with HTTP status 200 that contain no status."""


def is_transient(body: ErrorBody, *, status: int | None, should_retry: str | None = None) -> bool:
    """Whether another attempt may succeed.

    Args:
        body: The error.
        status: The HTTP status; None if it was 200.
        should_retry: The header `x-should-retry`, which takes precedence.
    """
    if should_retry in ("true", "false"):
        return should_retry == "true"
    if body.kinds & _NEVER_PASSING:
        return False
    if status is None:
        return not body.kinds & _REQUEST_FAULTS
    return is_transient_status(status)


def is_transient_status(status: int) -> bool:
    """Whether another attempt may succeed after that HTTP status, if nothing else is known."""
    return status in _PASSING_STATUS or status >= 500
