"""The outermost layer: request ids, metrics, and the answer where everything else failed."""

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from teamrun_api.metrics import Metrics
from teamrun_api.problems import problem_response

__all__ = ["Edge"]

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """ASGI middleware around all others."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request with an `X-Request-Id`, whatever happens inside."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A copy: layers below change it (HEAD becomes GET), and the server reads its own.
        scope = {**scope, "state": {**scope.get("state", {})}}
        exchange = _Exchange(scope, send, self._metrics)
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as error:
            logger.exception(
                "request failed",
                extra={"action": "request", "request_id": exchange.request_id},
            )
            if exchange.began:
                raise  # too late for an answer; the server cuts the connection
            await problem_response(error, scope)(scope, receive, exchange.send)


class _Exchange:
    """One request and its answer."""

    __slots__ = ("_method", "_metrics", "_scope", "_send", "_since", "began", "request_id")

    def __init__(self, scope: Scope, send: Send, metrics: Metrics) -> None:
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._method: str = scope["method"] if scope["method"] in _METHODS else "other"
        self._since = time.perf_counter()
        self.began = False
        given = Headers(scope=scope).get("x-request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        scope["state"]["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began = True
            MutableHeaders(scope=message)["X-Request-Id"] = self.request_id
            self._count(message["status"])
        await self._send(message)

    def _count(self, status: int) -> None:
        route = self._scope.get("route")
        path = str(getattr(route, "path_format", "") or "none")
        seconds = time.perf_counter() - self._since
        self._metrics.request(self._method, path, status, seconds)
        if logger.isEnabledFor(logging.DEBUG):
            data = {"request_id": self.request_id, "status": status, "route": path}
            logger.debug("request answered", extra={"action": "request", **data})
