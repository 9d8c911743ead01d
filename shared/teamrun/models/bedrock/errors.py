"""Errors of botocore, of its HTTP library and of Bedrock: `ModelError`.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
"""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, NamedTuple

from botocore import exceptions as aws
from botocore.eventstream import ParserError
from botocore.parsers import ResponseParserError
from urllib3 import exceptions as http

from teamrun.core.retry_after import retry_after
from teamrun.errors import ModelError, TeamrunError
from teamrun.json_types import JsonObject
from teamrun.models.bedrock.connection import Line
from teamrun.models.causes import without_secrets
from teamrun.models.error_bodies import tidy
from teamrun.models.too_long import code_of
from teamrun.models.unreadable import READING, unreadable, unreadable_by

__all__ = ["mapped_errors", "to_model_error"]

_CREDENTIALS = "check the AWS credentials of this process"


_METADATA_OFF: Final = "AWS_EC2_METADATA_DISABLED"
_ROLE: Final = {
    False: "or give the machine a role; on a machine that is not in AWS, "
    f"{_METADATA_OFF}=true saves the time of looking for one",
    True: f"or unset {_METADATA_OFF} to use the role of the machine",
}
"""By whether the environment forbids to ask the machine for its role."""


class _Kind(NamedTuple):
    """An error that Bedrock names."""

    status: int
    retryable: bool = False
    remedy: str = ""


_ACCESS = _Kind(
    403,
    remedy="allow bedrock:InvokeModel and, for streams, bedrock:InvokeModelWithResponseStream, and "
    "check that the account has access to the model in this region",
)
_UNSIGNED = _Kind(403, remedy=_CREDENTIALS)
_EXPIRED = _Kind(403, remedy="the AWS credentials have expired: renew them")
_CLOCK = _Kind(403, remedy="check the clock of this machine")

_KINDS: Final[Mapping[str, _Kind]] = {
    "accessdenied": _ACCESS,
    "accessdeniedexception": _ACCESS,
    "expiredtoken": _EXPIRED,
    "expiredtokenexception": _EXPIRED,
    "incompletesignature": _UNSIGNED,
    "internalfailure": _Kind(500, True),
    "internalserverexception": _Kind(500, True),
    "invalidclienttokenid": _UNSIGNED,
    "invalidsignatureexception": _UNSIGNED,
    "missingauthenticationtoken": _UNSIGNED,
    "modelerrorexception": _Kind(424, True),
    "modelnotreadyexception": _Kind(429, True),
    "modelstreamerrorexception": _Kind(424, True),
    "modeltimeoutexception": _Kind(408, True),
    "requestexpired": _CLOCK,
    "requesttimetooskewed": _CLOCK,
    "resourcenotfoundexception": _Kind(404, remedy="check the model's id and the region"),
    "servicequotaexceededexception": _Kind(400, remedy="raise the quota of the account"),
    "serviceunavailable": _Kind(503, True),
    "serviceunavailableexception": _Kind(503, True),
    "signaturedoesnotmatch": _UNSIGNED,
    "throttling": _Kind(429, True),
    "throttlingexception": _Kind(429, True),
    "toomanyrequestsexception": _Kind(429, True),
    "unrecognizedclientexception": _UNSIGNED,
    "validationexception": _Kind(400),
}
"""By their names in lower case: those within a stream begin with a small letter."""

_PASSING = frozenset({408, 424, 429})
_NEEDS_PROFILE = "on-demand throughput"
_SIGNED = re.compile(r"\s*(?:The Canonical String|The String-to-Sign).*", re.DOTALL)
"""What follows repeats the signed headers."""


class mapped_errors:
    """Inside the block every error that is not ours becomes a `ModelError` with its cause.

    Cancellation is no error and passes.
    """

    def __init__(self, line: Line) -> None:
        self._line = line

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, TeamrunError):
            secrets = self._line.secrets
            found = to_model_error(error, secrets, is_sent=self._line.is_used)
            raise found from without_secrets(error, secrets)


def to_model_error(error: Exception, secrets: Sequence[str], *, is_sent: bool) -> ModelError:
    """The error in our terms, with the service's words and whether the call may be repeated.

    Args:
        error: What the SDK raised.
        secrets: Values to remove from the message.
        is_sent: Whether the request has left.
    """
    match error:
        case aws.ClientError():
            return _service_error(error, secrets)
        case aws.ReadTimeoutError() | http.ReadTimeoutError() | TimeoutError():
            return ModelError(
                "The model did not respond in time; see timeout=.", retryable=True, timed_out=True
            )
        case aws.ConnectionClosedError() | aws.ResponseStreamingError() | http.ProtocolError():
            return _cut(error, secrets)
        case ParserError() | ResponseParserError():
            return unreadable(tidy(str(error), secrets))
        case aws.BotoCoreError():
            return _local_error(error, secrets)
        case http.HTTPError() | OSError():
            return _cut(error, secrets)
        case UnicodeEncodeError():
            return ModelError(f"The request cannot be written as JSON: {error}.")
        case _ if is_sent and isinstance(error, READING):
            return unreadable_by(error, secrets)
        case _:
            words = tidy(f"{type(error).__name__}: {error}", secrets)
            return ModelError(f"The model call failed: {words}")


def _cut(error: Exception, secrets: Sequence[str]) -> ModelError:
    words = tidy(str(error) or type(error).__name__, secrets)
    return ModelError(
        f"The model's server broke the connection off: {words}", retryable=True, cut=True
    )


def _local_error(error: aws.BotoCoreError, secrets: Sequence[str]) -> ModelError:
    """An error before the service has answered."""
    words = tidy(str(error), secrets)
    match error:
        case aws.NoRegionError():
            return ModelError(
                "Bedrock needs a region: set region=, AWS_REGION, or the region of the AWS profile."
            )
        case aws.NoCredentialsError() | aws.PartialCredentialsError() | aws.NoAuthTokenError():
            return ModelError(
                f"There are no AWS credentials for Bedrock ({words}): set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, AWS_BEARER_TOKEN_BEDROCK or AWS_PROFILE, "
                f"{_ROLE[_is_off()]}."
            )
        case aws.CredentialRetrievalError() | aws.MetadataRetrievalError():
            return ModelError(f"AWS credentials cannot be had now: {words}", retryable=True)
        case (
            aws.ProfileNotFound()
            | aws.TokenRetrievalError()
            | aws.SSOError()
            | aws.LoginError()
            | aws.ConfigParseError()
        ):
            return ModelError(f"The AWS credentials cannot be used: {words} ({_CREDENTIALS})")
        case aws.ParamValidationError():
            hint = "; a newer boto3 may know it" if "Unknown parameter" in words else ""
            return ModelError(f"The request does not fit Converse{hint}: {words}")
        case aws.HTTPClientError() | aws.ConnectionError():
            return ModelError(f"The model cannot be reached: {words}", retryable=True)
        case _:
            return ModelError(f"The AWS SDK refused the call: {words}")


def _phrase(status: int | None) -> str:
    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return "no reason is given"


def _is_off() -> bool:
    return os.environ.get(_METADATA_OFF, "").lower() == "true"


def _service_error(error: aws.ClientError, secrets: Sequence[str]) -> ModelError:
    response: Mapping[str, Any] = error.response
    told: Mapping[str, Any] = response.get("Error", {})
    metadata: Mapping[str, Any] = response.get("ResponseMetadata", {})
    code = str(told.get("Code", ""))
    in_stream = isinstance(error, aws.EventStreamError)
    http_status = None if in_stream else metadata.get("HTTPStatusCode")
    kind = _KINDS.get(code.lower())
    status: int | None = http_status if isinstance(http_status, int) else kind and kind.status
    words = str(told.get("Message") or told.get("message") or response.get("message") or "")
    if code.isdecimal():  # botocore's own, if the service named none
        code = ""
    words = tidy(_SIGNED.sub("", words), secrets) or code or _phrase(status)
    data = _data(code, words, metadata)
    if in_stream:
        text = f"The model's server broke the answer off with an error: {words}"
        data["cut"] = True
    else:
        text = f"The model's server answered {status}: {words}"
    if remedy := _remedy(kind, words):
        text += f" ({remedy})"
    return ModelError(
        text,
        status_code=status,
        retryable=_is_transient(kind, status, words, response),
        **data,
    )


def _data(code: str, words: str, metadata: Mapping[str, Any]) -> JsonObject:
    data: JsonObject = {}
    if code:
        data["provider_code"] = tidy(code_of(code, words) or code)
    if request_id := metadata.get("RequestId"):
        data["request_id"] = str(request_id)
    wait = retry_after(metadata.get("HTTPHeaders", {}), now=datetime.now(UTC))
    if wait is not None:
        data["retry_after"] = wait
    return data


def _remedy(kind: _Kind | None, words: str) -> str:
    if _NEEDS_PROFILE in words:
        return "use the id of an inference profile, such as 'us.' or 'global.' before the model's"
    return kind.remedy if kind else ""


def _is_transient(
    kind: _Kind | None, status: int | None, words: str, response: Mapping[str, Any]
) -> bool:
    if "per day" in words:  # a daily quota, which no retry waits for
        return False
    original = response.get("originalStatusCode")
    if isinstance(original, int) and 400 <= original < 500:
        return original in _PASSING
    if kind is not None:
        return kind.retryable
    return status is None or status in _PASSING or status >= 500
