"""Without keys only this machine is served: where to listen, and which `Host` may be asked for.

A web page can let its own name resolve to 127.0.0.1 and then read what a local server answers
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


def check_bind(host: str, keyring: Keyring) -> None:
    """Let the server listen on `host`.

    Raises:
        UsageError: It is reachable from elsewhere and no keys are configured.
    """
    if not keyring and not is_loopback(host):
        raise UsageError(
            f"Without API keys the server listens on loopback only, not on {host!r}:"
            " set TEAMRUN_API_KEYS, or TEAMRUN_HOST=127.0.0.1."
        )


class LoopbackOnly:
    """ASGI middleware for a server without keys."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str] = ()) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on where it was meant for this machine, by this machine."""
        fault = self._fault_of(scope) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await problem_response(fault, scope)(scope, receive, send)

    def _fault_of(self, scope: Scope) -> UsageError | None:
        headers = Headers(scope=scope)
        host = _host_of(f"//{headers.get('host', '')}")
        if not is_loopback(host):
            return HostNotAllowed(
                f"The Host {host!r} is not this machine; ask for 127.0.0.1 or localhost,"
                " or have the operator set TEAMRUN_API_KEYS."
            )
        origin = headers.get("origin")
        if origin is None or scope["method"] in _SAFE or origin in self._origins:
            return None
        if is_loopback(_host_of(origin)):
            return None
        return OriginNotAllowed(
            f"Pages of {origin!r} may change nothing here; have the operator name the origin in"
            " TEAMRUN_CORS_ORIGINS."
        )


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
