"""Why there is no token of Microsoft Entra ID, and whether asking again may help."""

import contextlib
import os
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from teamrun.errors import ModelError
from teamrun.json_types import JsonObject
from teamrun.models.error_bodies import tidy
from teamrun.models.transient import is_transient_status

__all__ = ["Attempts", "hidden_secrets", "no_token", "not_in_time", "provider_failed"]

Attempts = Sequence[tuple[str, Exception]]
"""Names of credentials, in the order in which they were asked, and their failures."""

_CODE: Final = "no_token"
_REPEATED_SECONDS: Final = 60.0
"""For this long after a status 429 or 5xx, `msal` repeats it and sends nothing."""
_REASON_CHARS: Final = 300
_STATUS: Final = re.compile(r"(?:HTTP Error:|Token request error: \(invalid_scope\)) (\d{3})\b")
"""`msal` keeps the status of a token endpoint in the text of its error only."""
_SECRETS: Final = (
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
    "IDENTITY_HEADER",
    "MSI_SECRET",
)
_REMEDY: Final = (
    "Pass api_key= or set AZURE_OPENAI_API_KEY; or make one of these available: a service "
    "principal (AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET), a managed identity "
    "(AZURE_CLIENT_ID selects a user-assigned one), or `az login`."
)


def no_token(attempts: Attempts, *, had_one: bool, is_renewed: bool) -> ModelError:
    """The failure of a credential, with all ways that it tried.

    Args:
        attempts: The failures.
        had_one: Whether the credential gave a token before.
        is_renewed: Whether the next attempt has a new credential.
    """
    hidden = hidden_secrets()
    tried = "; ".join(f"{one} ({_reason(one, why, hidden)})" for one, why in attempts)
    retryable = _may_pass(attempts, had_one=had_one)
    data: JsonObject = {"provider_code": _CODE, "tried": [one for one, _ in attempts]}
    if retryable and not is_renewed and any(_STATUS.search(str(why)) for _, why in attempts):
        data["retry_after"] = _REPEATED_SECONDS
    return ModelError(
        f"There is no token of Microsoft Entra ID for Azure OpenAI. Tried: {tried}. {_REMEDY}",
        retryable=retryable,
        **data,
    )


def provider_failed(error: Exception) -> ModelError:
    """The failure of a token provider of the caller's own."""
    why = tidy(f"{type(error).__name__}: {error}", hidden_secrets())
    return ModelError(
        f"azure_ad_token_provider failed: {why}",
        retryable=_is_passing(error, is_reachable=True),
        provider_code=_CODE,
    )


def not_in_time(patience: timedelta) -> ModelError:
    """The failure of a request for a token that is not answered."""
    return ModelError(
        f"Microsoft Entra ID gave no token within {patience.total_seconds():g} seconds.",
        retryable=True,
        timed_out=True,
        provider_code=_CODE,
    )


def hidden_secrets() -> list[str]:
    """Secrets of an identity in the environment, which a server could repeat."""
    return [value for name in _SECRETS if len(value := os.environ.get(name, "")) > 3]


def _may_pass(attempts: Attempts, *, had_one: bool) -> bool:
    """Whether the same request may succeed later.

    A chain goes on after a credential that is not available, and stops at one that failed. That
    a service cannot be reached means nothing for the first kind: on a machine without an identity
    there is no metadata service, unless it gave a token before.
    """
    from azure.identity import CredentialUnavailableError

    return any(
        _is_passing(
            error,
            is_reachable=len(attempts) == 1
            or had_one
            or not isinstance(error, CredentialUnavailableError),
        )
        for _, error in attempts
    )


def _is_passing(error: BaseException | None, *, is_reachable: bool) -> bool:
    """Whether an error is transient.

    Args:
        error: Its causes count, too.
        is_reachable: Whether there is a service, so that a broken connection is a failure of it.
    """
    broken: tuple[type[BaseException], ...] = (OSError,)
    answered: tuple[type[Any], ...] = ()
    with contextlib.suppress(ImportError):  # a provider of the caller's own may do without it
        from azure.core import exceptions

        broken = (OSError, exceptions.ServiceRequestError, exceptions.ServiceResponseError)
        answered = (exceptions.HttpResponseError,)
    while error is not None:
        if isinstance(error, broken):
            return is_reachable
        status: int | None = error.status_code if isinstance(error, answered) else None
        if status is None and (written := _STATUS.search(str(error))):
            status = int(written[1])
        if status is not None:
            return is_transient_status(status)
        error = error.__cause__ or error.__context__
    return False


def _reason(name: str, error: Exception, secrets: list[str]) -> str:
    """Why a credential gave no token: what a server answered, else the first sentence."""
    text = " ".join(str(getattr(error, "message", None) or error).split())
    text = text.removeprefix(f"{name} authentication unavailable").lstrip("., ")
    _, answered, answer = text.partition("Token request error: ")
    text = answer if answered else re.split(r"(?<=[^.])\. |, no response from", text)[0]
    text = tidy(text, secrets).rstrip(".") or "not available"
    return text if len(text) <= _REASON_CHARS else f"{text[: _REASON_CHARS - 1]}…"
