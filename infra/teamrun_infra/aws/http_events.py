"""Requests to an ASGI application from events of an HTTP API or a function URL.

Both use version 2.0 of the format.
Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Message, Scope

from teamrun.errors import Unavailable, UsageError
from teamrun.json_types import JsonObject
from teamrun_api.context import DEADLINE
from teamrun_api.faults import ResponseTooLarge
from teamrun_api.problems import problem_response

__all__ = ["respond"]

_MOST_BYTES: Final = (6 * 1024 * 1024 - 64 * 1024) * 3 // 4
"""The largest body that fits into a response of Lambda, in base64.
Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
_MOST_TEXT: Final = 1024 * 1024
"""A longer text is sent in base64, too: as a JSON string it might become twice as long."""
_ANSWER_BEFORE_S: Final = 1.0
"""A request is answered so long before Lambda ends the invocation."""
_LEAVE_S: Final = 0.25


async def respond(app: ASGIApp, event: Mapping[str, Any], *, seconds: float) -> JsonObject:
    """The answer of an application to the request in an event.

    Args:
        app: The application. Its lifespan is not used.
        event: The event.
        seconds: The time before Lambda ends the invocation. A request that takes as long is
            cancelled, and answered with 503.

    Raises:
        UsageError: The event is not one of an HTTP API or a function URL.
    """
    if event.get("version") != "2.0" or "http" not in event.get("requestContext", {}):
        raise UsageError(
            "The event is not a request: connect the function to an HTTP API with payload format "
            "2.0, or to a function URL."
        )
    scope, body = _request(event)
    scope[DEADLINE] = asyncio.get_running_loop().time() + seconds
    exchange = _Exchange(body)
    serving = asyncio.ensure_future(app(scope, exchange.receive, exchange.send))
    if not await _ends(serving, max(seconds - _ANSWER_BEFORE_S, 0)):
        exchange.has_left.set()
        if not await _ends(serving, _LEAVE_S):
            serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return await _problem(scope, Unavailable("The request took too long; send it again."))
    serving.result()
    if len(exchange.body) > _MOST_BYTES:
        error = ResponseTooLarge(
            f"The response has more than {_MOST_BYTES} bytes, which a function cannot send; ask "
            "for a part of it, with `limit` or `Range`."
        )
        return await _problem(scope, error)
    return exchange.answer()


async def _ends(task: "asyncio.Future[None]", within_s: float) -> bool:
    return bool((await asyncio.wait([task], timeout=within_s))[0])


async def _problem(scope: Scope, error: Unavailable | ResponseTooLarge) -> JsonObject:
    exchange = _Exchange(b"")
    await problem_response(error, scope)(scope, exchange.receive, exchange.send)
    return exchange.answer()


def _request(event: Mapping[str, Any]) -> tuple[Scope, bytes]:
    context = event["requestContext"]
    http, stage = context["http"], context.get("stage", "$default")
    path = unquote(event.get("rawPath") or "/")
    if stage != "$default" and f"{path}/".startswith(f"/{stage}/"):
        path = path.removeprefix(f"/{stage}") or "/"
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    if cookies := event.get("cookies"):
        headers["cookie"] = "; ".join(cookies)
    body: str = event.get("body") or ""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": http["method"],
        "scheme": headers.get("x-forwarded-proto", "https"),
        "path": path,
        "raw_path": quote(path).encode("ascii"),
        "query_string": (event.get("rawQueryString") or "").encode("latin-1", "replace"),
        "root_path": "",
        "headers": [(name.encode(), value.encode("utf-8")) for name, value in headers.items()],
        "client": (http.get("sourceIp", ""), 0),
        "server": (headers.get("host", ""), 443),
        "state": {},
    }
    return scope, base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8")


class _Exchange:
    """One request and its answer."""

    def __init__(self, body: bytes) -> None:
        self._request: bytes | None = body
        self.has_left = asyncio.Event()
        self.body = bytearray()
        self._status = 500
        self._headers: list[tuple[str, str]] = []

    async def receive(self) -> Message:
        """The request; then, if the time is over, that the client has left."""
        if (body := self._request) is not None:
            self._request = None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Keep a part of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in message.get("headers", ())
            ]
        elif len(self.body) <= _MOST_BYTES:
            self.body += message.get("body", b"")

    def answer(self) -> JsonObject:
        """The answer in the form of Lambda."""
        headers: dict[str, str] = {}
        for name, value in self._headers:
            if name != "set-cookie":
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        text = _text_of(self.body, headers)
        return {
            "statusCode": self._status,
            "headers": headers,
            "cookies": [value for name, value in self._headers if name == "set-cookie"],
            "body": base64.b64encode(self.body).decode("ascii") if text is None else text,
            "isBase64Encoded": text is None,
        }


def _text_of(body: bytearray, headers: Mapping[str, str]) -> str | None:
    """The body if it is a text that is best sent as it is."""
    kind = headers.get("content-type", "").partition(";")[0]
    is_text = kind.startswith("text/") or kind.endswith(("json", "javascript", "+xml"))
    if body and (not is_text or "content-encoding" in headers or len(body) > _MOST_TEXT):
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
