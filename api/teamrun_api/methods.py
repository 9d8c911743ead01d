"""Methods of every resource: HEAD in addition to GET, and OPTIONS, which lists the methods."""

import re
from collections.abc import Iterable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from teamrun_api.faults import RouteNotFound, UnknownVersion
from teamrun_api.problems import problem_response

__all__ = ["HEAD_FLAG", "MethodTable", "Methods", "missing_route"]

HEAD_FLAG = "head"
"""Key of the request's state that is set if the client sent HEAD."""

_VERSION = re.compile(r"/v(\d+)(?:/|$)")
_PARAMETER = re.compile(r"\\\{[^}]+\\\}")


class MethodTable:
    """Which methods each path takes."""

    def __init__(self, routes: Iterable[tuple[str, str]]) -> None:
        methods: dict[str, set[str]] = {}
        for path, method in routes:
            methods.setdefault(path, set()).add(method)
        self._rows = [
            (_pattern(path), tuple(sorted(_completed(found)))) for path, found in methods.items()
        ]

    def allowed(self, path: str) -> tuple[str, ...]:
        """The methods of a path in order; none if the path does not exist."""
        found = (methods for pattern, methods in self._rows if pattern.fullmatch(path))
        return tuple(sorted({method for methods in found for method in methods}))

    def every(self) -> tuple[str, ...]:
        """The methods that some path takes, in order."""
        return tuple(sorted({method for _, methods in self._rows for method in methods}))


class Methods:
    """ASGI middleware that answers OPTIONS and makes HEAD a GET without its body."""

    def __init__(self, app: ASGIApp, *, table: MethodTable) -> None:
        self._app = app
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer OPTIONS; pass everything else on."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            await self._options(scope)(scope, receive, send)
            return
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope["method"] = "GET"
            scope["state"][HEAD_FLAG] = True
            send = _without_body(send)
        await self._app(scope, receive, send)

    def _options(self, scope: Scope) -> Response:
        allowed = self._table.allowed(scope["path"])
        if not allowed:
            return problem_response(missing_route(scope["path"]), scope)
        return Response(status_code=204, headers={"Allow": ", ".join(allowed)})


def missing_route(path: str) -> RouteNotFound:
    """The error for a path that does not exist."""
    version = _VERSION.match(path)
    if version is not None and version[1] != "1":
        return UnknownVersion(
            f"This server does not speak version {version[1][:9]} of the API; use /v1."
        )
    if version is None:
        return RouteNotFound(
            f"There is nothing at {path[:200]!r}; the API begins at /v1, and /docs describes it."
        )
    return RouteNotFound(f"There is nothing at {path[:200]!r}; /openapi.json lists all paths.")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub("[^/]+", re.escape(path)))


def _completed(methods: set[str]) -> set[str]:
    return methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())


def _without_body(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending
