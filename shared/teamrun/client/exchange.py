"""One exchange over HTTP: what both clients send, and how failures of the connection are named."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2

from teamrun.client.address import REMEDY, Address
from teamrun.client.errors import (
    APIConnectionError,
    APITimeoutError,
    InvalidAnswerError,
    ServerUnreachableError,
)
from teamrun.client.requests import Reply, Request, Upload
from teamrun.core.urls import public_url
from teamrun.errors import TeamrunError, UsageError
from teamrun.version import VERSION

__all__ = [
    "PIECE_BYTES",
    "SILENCE_S",
    "Exchange",
    "http_client",
    "is_complete",
    "is_success",
    "reply_of",
]

H = TypeVar("H", httpx2.Client, httpx2.AsyncClient)

CONNECT_S = 5.0

SILENCE_S = 45.0
"""How long a stream may be silent. The server sends a comment every 15 s."""

PIECE_BYTES = 64 * 1024

_UNREACHABLE = (httpx2.ConnectError, httpx2.ConnectTimeout)


@dataclass(slots=True)
class Exchange:
    """The part of a sender that does no input or output.

    Args:
        address: The API.
        timeout: The longest time between two pieces of an answer, in seconds, without the wait
            that a request asks for.
        headers: Additional headers of every request.
    """

    address: Address
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    has_answered: bool = False
    """Whether the server has sent any answer."""

    def __post_init__(self) -> None:
        """Check that the HTTP library accepts the URL.

        Raises:
            UsageError: It does not.
        """
        try:
            httpx2.URL(self.address.url)
        except (httpx2.InvalidURL, ValueError):  # their texts repeat parts of the URL
            raise UsageError(f"{public_url(self.address.url)} is not a URL. {REMEDY}") from None

    def arguments(self, request: Request[Any], *, silence: float | None = None) -> dict[str, Any]:
        """The arguments of `build_request`, without the content."""
        read = silence or self.timeout + request.wait_seconds
        return {
            "method": request.method,
            "url": f"{self.address.url}{request.path}",
            "params": request.query or None,
            "headers": {
                "User-Agent": f"teamrun-python/{VERSION}",
                "Accept": "application/json",
                **self.headers,
                **self.address.headers,
                **request.headers,
                **_file_headers(request.body),
            },
            "timeout": httpx2.Timeout(read, connect=CONNECT_S),
        }

    def failure(self, error: httpx2.HTTPError) -> TeamrunError:
        """The error of this client for one of the HTTP library."""
        shown = self.address.shown
        if isinstance(error, httpx2.DecodingError):
            return InvalidAnswerError(f"The answer of {shown} cannot be decoded: {error}")
        if isinstance(error, _UNREACHABLE) and not self.has_answered:
            return ServerUnreachableError(
                f"No API responds at {shown}: start one with `teamrun serve`, or set its URL with "
                f"base_url (--url) or TEAMRUN_URL ({error}).",
                setting="url",
            )
        if isinstance(error, httpx2.TimeoutException):
            return APITimeoutError(f"{shown} did not answer in time ({type(error).__name__}).")
        return APIConnectionError(f"The connection to {shown} failed: {error or type(error)!r}")


def http_client(kind: Callable[..., H], address: Address) -> H:
    """An HTTP client with the proxies of the environment, unless the API is on this machine.

    Raises:
        UsageError: A proxy of the environment cannot be used.
    """
    try:
        return kind(trust_env=not address.is_local)
    except (httpx2.InvalidURL, ValueError, ImportError) as error:  # may repeat a password
        reason = str(error) if isinstance(error, ImportError) else "its URL is invalid"
        raise UsageError(
            "The proxy of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY cannot be used for "
            f"{address.shown}: {reason}. NO_PROXY names hosts to reach without it."
        ) from None


def is_success(request: Request[Any], status: int) -> bool:
    """Whether an answer is what was requested.

    304 is the answer to a conditional request; 416 to one for the rest of a document that has none.
    """
    return 200 <= status < 300 or status == 304 or (status == 416 and "Range" in request.headers)


def is_complete(status: int, headers: Mapping[str, str], size: int) -> bool:
    """Whether the answer to a request for a rest says that `size` bytes are the whole document."""
    return status == 416 and headers.get("content-range") == f"bytes */{size}"  # RFC 9110, 15.5.17


def reply_of(response: httpx2.Response, content: bytes) -> Reply:
    """The answer as data."""
    return Reply(response.status_code, response.headers, content)


def _file_headers(body: bytes | Upload | None) -> dict[str, str]:
    if not isinstance(body, Upload):
        return {}
    return {"Content-Type": body.media_type, "Content-Length": str(body.path.stat().st_size)}
