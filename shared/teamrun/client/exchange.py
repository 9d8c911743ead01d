"""One exchange over HTTP: what both clients send, and how failures of the connection are named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from teamrun.client.address import Address
from teamrun.client.errors import (
    APIConnectionError,
    APITimeoutError,
    InvalidAnswerError,
    ServerUnreachableError,
)
from teamrun.client.requests import Reply, Request, Upload
from teamrun.errors import TeamrunError
from teamrun.version import VERSION

__all__ = ["PIECE_BYTES", "SILENCE_S", "Exchange", "is_success", "reply_of"]

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
        timeout: How long an answer may take, in seconds, without the wait that a request asks for.
        headers: Additional headers of every request.
    """

    address: Address
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    has_answered: bool = False
    """Whether the server has sent any answer."""

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
                f"base_url or TEAMRUN_URL ({error}).",
                setting="url",
            )
        if isinstance(error, httpx2.TimeoutException):
            return APITimeoutError(f"{shown} did not answer in time ({type(error).__name__}).")
        return APIConnectionError(f"The connection to {shown} failed: {error or type(error)!r}")


def is_success(status: int) -> bool:
    """Whether an answer is what was requested; 304 is the answer to a conditional request."""
    return 200 <= status < 300 or status == 304


def reply_of(response: httpx2.Response, content: bytes) -> Reply:
    """The answer as data."""
    return Reply(response.status_code, response.headers, content)


def _file_headers(body: bytes | Upload | None) -> dict[str, str]:
    if not isinstance(body, Upload):
        return {}
    return {"Content-Type": body.media_type, "Content-Length": str(body.path.stat().st_size)}
