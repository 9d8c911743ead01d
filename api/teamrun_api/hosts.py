"""Without keys, only this machine is served: the address to listen on, and the allowed `Host`.

A web page can let its own name resolve to 127.0.0.1 and then read responses of a local server
(DNS rebinding); its requests still carry that name in `Host`, and its origin in `Origin`.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from teamrun.core.loopback import is_loopback
from teamrun.errors import UsageError
from teamrun_api.auth import Keyring
from teamrun_api.faults import HostNotAllowed, OriginNotAllowed
from teamrun_api.problems import problem_response

__all__ = ["LoopbackOnly", "check_bind"]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"none", "same-origin"})


def check_bind(host: str, keyring: Keyring) -> None:
    """Let the server listen on `host`.

    Raises:
        UsageError: It is reachable from elsewhere and no keys are configured.
    """
    if not keyring and not is_loopback(host):
        raise UsageError(
            f"Without API keys the server listens on loopback only, not on {host!r}:"
            " set TEAMRUN_API_KEYS, or TEAMRUN_HOST=127.0.0.1.",
            setting="api_keys",
        )


class LoopbackOnly:
    """ASGI middleware for a server without keys."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str] = ()) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if it was meant for this machine and no foreign page sent it."""
        fault = self._fault_of(scope) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await problem_response(fault, scope)(scope, receive, send)

    def _fault_of(self, scope: Scope) -> UsageError | None:
        headers = Headers(scope=scope)
        host = _host_of(headers.get("host", ""))
        if not is_loopback(host):
            return HostNotAllowed(
                f"The Host {host!r} is not this machine; use 127.0.0.1 or localhost,"
                " or ask the operator to set TEAMRUN_API_KEYS."
            )
        if scope["method"] in _SAFE or not self._is_foreign(headers):
            return None
        page = headers.get("origin") or "another site"
        return OriginNotAllowed(
            f"The request was sent by a page of {page[:200]!r}, which must not make changes;"
            " ask the operator to add its origin to TEAMRUN_CORS_ORIGINS."
        )

    def _is_foreign(self, headers: Headers) -> bool:
        """Whether a page of another origin sent the request (Fetch, 3.1; Fetch Metadata, 2.3).

        Other ports of this machine are other origins: anything may be served there. Programs that
        are no browsers send neither header.
        """
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") not in _OWN_SITE
        if origin in self._origins:
            return False
        _, _, netloc = origin.partition("://")
        return not netloc or netloc.lower() != headers.get("host", "").lower()


def _host_of(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""
