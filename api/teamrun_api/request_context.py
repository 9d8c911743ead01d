"""The outermost layers: request ids, metrics, request logs, and the answer to a failed request."""

import logging
import re
import secrets
import time
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from teamrun_api.heads import head_fault
from teamrun_api.metrics import Metrics
from teamrun_api.problems import problem_response

__all__ = ["Failsafe", "RequestContextMiddleware"]

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that probes request every few seconds; their requests are logged at debug."""

_PATH_LENGTH = 200
"""Number of characters of a path that are logged; the query is not, as it may have metadata."""

_PATH_SAFE = "/:@!$&'()*+,;=~"
"""Characters that are not escaped in a logged path (RFC 3986, 3.3); line breaks are."""

_CLOSE = (("Connection", "close"),)


class RequestContextMiddleware:
    """ASGI middleware around all others."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, root_path: str = "") -> None:
        self._app = app
        self._metrics = metrics
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request with an `X-Request-Id`, whatever happens inside."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A copy: layers below change it (HEAD becomes GET), and the server reads its own.
        scope = {**scope, "state": {**scope.get("state", {})}}
        if self._root_path and scope["path"].startswith(f"{self._root_path}/"):
            scope["path"] = scope["path"].removeprefix(self._root_path)
        exchange = _Exchange(scope, send, self._metrics)
        fault = head_fault(scope)
        if fault is None:
            await self._app(scope, receive, exchange.send)
        else:
            # The following bytes may be a body or a request, so they are not read.
            await problem_response(fault, scope, headers=_CLOSE)(scope, receive, exchange.send)


class Failsafe:
    """ASGI middleware that answers 500 if a layer below it raises.

    It is inside the CORS layer, so that pages of allowed origins can read the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; log exceptions with the request's id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def sending(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            request_id = scope["state"].get("request_id")
            data = {"action": "request.failed", "request_id": request_id}
            logger.exception("A request failed", extra=data)
            if began:
                raise  # too late for an answer; the server cuts the connection
            await problem_response(error, scope)(scope, receive, send)


class _Exchange:
    """One request and its answer."""

    __slots__ = ("_method", "_metrics", "_scope", "_send", "_since", "request_id")

    def __init__(self, scope: Scope, send: Send, metrics: Metrics) -> None:
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._method: str = scope["method"] if scope["method"] in _METHODS else "other"
        self._since = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        scope["state"]["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["X-Request-Id"] = self.request_id
            self._count(message["status"])
        await self._send(message)

    def _count(self, status: int) -> None:
        route = self._scope.get("route")
        path = str(getattr(route, "path_format", "") or "none")
        seconds = time.perf_counter() - self._since
        self._metrics.request(self._method, path, status, seconds)
        level = logging.DEBUG if path in _PROBES else logging.INFO
        if logger.isEnabledFor(level):
            data = {
                "action": "request.answered",
                "request_id": self.request_id,
                "method": self._method,
                "path": quote(self._scope["path"][:_PATH_LENGTH], safe=_PATH_SAFE),
                "status": status,
                "duration_ms": round(seconds * 1000, 1),
            }
            logger.log(level, "A request was answered", extra=data)
